//! What several fuzz targets share.
//!
//! The targets themselves are in `fuzz_targets/`, and say in their first lines what they check.

pub mod session_file;
mod support;
mod world;

/// Lives any script of a daemon's life, and says what its outputs amount to.
pub fn live(data: &[u8]) -> u64 {
    world::script::live(data)
}
