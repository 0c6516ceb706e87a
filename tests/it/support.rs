//! What several test modules need.
//!
//! A test of the whole program reads like what a user does: a [`home::Home`] with settings, a
//! [`codex_session::CodexSession`] that grows in it, [`process::Process`]es of the real binary, and a
//! [`fake_discord::FakeDiscord`] that says what it was shown. Tests wait for what has to happen, and never sleep.

use std::time::Duration;

pub(crate) mod claude_session;
pub(crate) mod codex_session;
pub(crate) mod control;
pub(crate) mod discord_rules;
pub(crate) mod fake_discord;
pub(crate) mod fixtures;
pub(crate) mod home;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod schema;
#[cfg(unix)]
pub(crate) mod tmux;

/// Whether the tests are compiled for an emulator.
pub(crate) const SLOW_MACHINE: bool = option_env!("SLOW_MACHINE").is_some();

/// How long anything is waited for before a test fails; generous, for machines under load.
pub(crate) const PATIENCE: Duration = Duration::from_secs(if SLOW_MACHINE { 180 } else { 20 });

/// Stands in session files wherever people's content stands, and must not be found anywhere else.
pub(crate) const SECRET: &str = "MARKER-SECRET";
