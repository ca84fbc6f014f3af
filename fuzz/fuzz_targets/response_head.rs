#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kong_fuzz::response_head(bytes));
