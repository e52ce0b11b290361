//! Any bytes are a frame that is written back as it came, or a typed error.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mcbp::check::frame(bytes));
