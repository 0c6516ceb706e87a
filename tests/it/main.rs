//! The integration tests: one binary, one module per part of the outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed; clippy knows that only inside the test functions themselves"
)]

mod card;
mod cli;
mod codex;
mod config;
mod config_file;
#[cfg(unix)]
mod endpoints;
#[cfg(unix)]
mod fake;
mod instance;
#[cfg(unix)]
mod links;
mod paths;
mod publish;
mod support;
