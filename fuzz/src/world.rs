//! The simulated machine of the tests, and any script on it.

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/world/discords.rs"]
mod discords;
#[path = "../../tests/it/world/files.rs"]
mod files;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/world/machine.rs"]
mod machine;
#[path = "../../tests/it/world/script.rs"]
pub(crate) mod script;
#[path = "../../tests/it/world/writers.rs"]
mod writers;
