#![no_main]
#[path = "../url_guard.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entry::url_guard(bytes));
