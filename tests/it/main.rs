//! The integration tests: one binary, one module per part of the outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed; clippy knows that only inside the test functions themselves"
)]

mod agents;
mod agreement;
#[cfg(unix)]
mod arrpc;
mod autostart;
mod bar;
mod card;
mod claude;
mod claude_live;
mod claude_open;
mod cli;
mod codex;
#[cfg(unix)]
mod codex_live;
#[cfg(unix)]
mod completions;
mod config;
mod config_file;
mod control;
mod daemon;
mod dashboard;
mod databases;
mod doctor;
#[cfg(unix)]
mod endpoints;
mod fake;
mod homes;
#[cfg(target_os = "linux")]
mod in_place_of_files;
mod instance;
mod intake;
mod json;
mod limits;
mod links;
#[cfg(unix)]
mod logs;
mod made_up;
mod many_files;
mod old_codex;
mod one_instance;
#[cfg(target_os = "linux")]
mod other_users;
#[cfg(unix)]
mod packages;
mod paths;
mod privacy;
mod properties;
mod publish;
mod reading;
mod readme;
#[cfg(unix)]
mod real_path;
mod record;
mod reload;
mod remotes;
mod replay;
mod resting;
mod settings_watch;
mod setup;
mod show;
mod sim;
mod status;
mod statusline;
mod support;
mod takeover;
mod tap;
mod terminals;
mod threads;
mod tidy;
mod torn;
#[cfg(unix)]
mod uninstall;
mod watch;
mod world;
