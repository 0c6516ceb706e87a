//! What several test modules need.

#[cfg(unix)]
pub(crate) mod discord_rules;
#[cfg(unix)]
pub(crate) mod fake_discord;
