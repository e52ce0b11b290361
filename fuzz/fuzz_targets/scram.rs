//! Any bytes are an answer in a login, or a typed error.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| scram::check::login(bytes));
