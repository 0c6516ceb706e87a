//! The integration tests: one binary, one module per part of the outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed; clippy knows that only inside the test functions themselves"
)]

#[cfg(unix)]
mod arrpc;
mod autostart;
mod card;
mod claude;
mod cli;
mod codex;
mod config;
mod config_file;
#[cfg(unix)]
mod control;
#[cfg(unix)]
mod daemon;
#[cfg(unix)]
mod endpoints;
#[cfg(unix)]
mod fake;
mod instance;
mod intake;
#[cfg(unix)]
mod links;
#[cfg(unix)]
mod logs;
mod old_codex;
mod one_instance;
mod paths;
mod privacy;
mod properties;
mod publish;
mod reading;
mod readme;
#[cfg(unix)]
mod reload;
mod replay;
mod settings_watch;
mod sim;
mod status;
mod support;
#[cfg(unix)]
mod takeover;
mod tidy;
