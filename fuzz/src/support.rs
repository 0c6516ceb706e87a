//! What the simulated machine of `world` shares with the tests.

#[path = "../../tests/it/support/discord_rules.rs"]
pub(crate) mod discord_rules;
