#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ws101_fuzz::python::check(data));
