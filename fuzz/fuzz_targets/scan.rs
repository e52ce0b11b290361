//! Any bytes scan alike wherever a read ends.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mcbp::check::stream(bytes));
