//! Applies the values from outside the file: the environment overrides it, and a built-in application id is its
//! fallback.
//!
//! A value here that cannot be used is a warning, not an error, because no change to the file could correct it.

use super::value::{self, is_application_id, log_filter, quoted};
use super::{ConfigContext, Effective, EffectiveValue, Issue, Origin, Severity, keys};

/// The variable that overrides `discord.application_id`.
pub(super) const APPLICATION_ID: &str = "AGENT_PRESENCE_APPLICATION_ID";

/// The variable that overrides `log.level`.
pub(super) const LOG: &str = "RUST_LOG";

pub(super) fn apply(effective: &mut Effective, context: &ConfigContext) {
    let given = |text: &Option<String>| {
        text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    if let Some(id) = given(&context.environment_application_id) {
        application_id(effective, id, Origin::Environment(APPLICATION_ID));
    }
    if let Some(id) = given(&context.built_in_application_id)
        && effective.settings.discord.application_id.is_empty()
    {
        application_id(effective, id, Origin::BuiltIn);
        icons(effective);
    }
    if let Some(level) = given(&context.environment_log) {
        match log_filter(&level) {
            Ok(()) => {
                note(effective, "log", "level", &level, Origin::Environment(LOG));
                effective.settings.log.level = level;
            }
            Err(part) => warn(
                effective,
                "log.level",
                format!("{LOG} is ignored: {} is not a level", quoted(&part)),
                None,
            ),
        }
    }
}

fn application_id(effective: &mut Effective, id: String, origin: Origin) {
    if is_application_id(&id) {
        note(effective, "discord", "application_id", &id, origin);
        effective.settings.discord.application_id = id;
        return;
    }
    let whose = if origin == Origin::BuiltIn { "the built-in id" } else { APPLICATION_ID };
    let message = format!("{whose} is ignored: expected 17 to 20 digits, found {}", quoted(&id));
    warn(effective, "discord.application_id", message, Some(value::APPLICATION_ID_HINT));
}

/// A built-in application has icons.
fn icons(effective: &mut Effective) {
    let is_open =
        |value: &&EffectiveValue| value.key.path() == "card.icons" && value.origin == Origin::Default;
    if let Some(key) = effective.values.iter().find(is_open).map(|value| value.key)
        && !effective.settings.discord.application_id.is_empty()
    {
        effective.note(key, "true".to_owned(), Origin::BuiltIn);
        effective.settings.card.icons = true;
    }
}

fn note(effective: &mut Effective, table: &str, name: &str, text: &str, origin: Origin) {
    if let Some(key) = keys::find(table, name) {
        effective.note(key, toml::Value::from(text).to_string(), origin);
    }
}

fn warn(effective: &mut Effective, key: &str, message: String, hint: Option<&str>) {
    effective.issues.push(Issue {
        line: None,
        column: None,
        key: Some(key.to_owned()),
        severity: Severity::Warning,
        message,
        hint: hint.map(str::to_owned),
        withholds: false,
    });
}
