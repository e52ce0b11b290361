//! Any operation on any document leaves JSON as JSON, or is a typed error.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| subdoc::check::operation(bytes));
