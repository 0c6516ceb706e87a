//! Any bytes as a session file of pi; what is checked is in `session_file`.
#![no_main]

use agent_presence::core::source::Agent;
use agent_presence_fuzz::session_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| session_file::check(Agent::PI, data));
