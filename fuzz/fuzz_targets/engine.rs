//! Any script of a daemon's life: the engine keeps its promises with every step, and in the end everything is well.
//!
//! The promises are checked in `world`, against figures that `writers` count by themselves; `script` reads the bytes.
#![no_main]

use agent_presence_fuzz::live;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let trace = live(data);
    if data.first().is_some_and(|first| first % 8 == 7) {
        assert_eq!(trace, live(data), "the same script, another trace");
    }
});
