//! The `statusLine` entry in Claude Code's `settings.json`, changed in place.
//!
//! Text in, text out: every byte outside the entry stays as it is, so that unknown keys, their order and the layout are
//! kept. A text that is not a JSON object is refused. No file is read or written here.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::value::RawValue;

const KEY: &str = "statusLine";

/// A change of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// No change: the entry is right.
    Nothing,
    /// A new text.
    Write {
        /// The whole text.
        text: String,
        /// The replaced entry, as JSON, unless it was this program's.
        replaced: Option<Option<String>>,
    },
}

/// Sets the entry's command. Other keys of an existing entry are kept.
///
/// # Errors
/// The reason why the text cannot be changed.
pub fn install(text: &str, command: &str) -> Result<Edit, String> {
    let text = if text.trim().is_empty() { "{}\n" } else { text };
    let members = members(text)?;
    let wanted = serde_json::Value::from(command).to_string();
    let entry = format!(r#"{{"type": "command", "command": {wanted}}}"#);
    let Some(old) = members.get(KEY) else {
        let text = insert(text, &members, &entry)?;
        return Ok(Edit::Write { text, replaced: Some(None) });
    };
    let current = command_of(old.get());
    if current.as_deref() == Some(command) {
        return Ok(Edit::Nothing);
    }
    let text = match inner_command(old.get()) {
        Some(inner) => put(text, &within(text, inner)?, &wanted)?,
        None => put(text, &span(text, old)?, &entry)?,
    };
    let is_ours = current.is_some_and(|current| is_ours(&current));
    Ok(Edit::Write { text, replaced: (!is_ours).then(|| Some(old.get().to_owned())) })
}

/// Puts back the `replaced` entry; `None` removes the entry. A foreign entry is left alone.
///
/// # Errors
/// The reason why the text cannot be changed.
pub fn uninstall(text: &str, replaced: Option<&str>) -> Result<Edit, String> {
    if text.trim().is_empty() {
        return Ok(Edit::Nothing);
    }
    let members = members(text)?;
    let Some(old) = members.get(KEY) else { return Ok(Edit::Nothing) };
    if !command_of(old.get()).is_some_and(|current| is_ours(&current)) {
        return Ok(Edit::Nothing);
    }
    let text = match (replaced, inner_command(old.get()), replaced.and_then(inner_command)) {
        (_, Some(ours), Some(before)) => put(text, &within(text, ours)?, before)?,
        (Some(before), ..) => put(text, &span(text, old)?, before)?,
        (None, ..) => remove(text, &span(text, old)?)?,
    };
    Ok(Edit::Write { text, replaced: None })
}

/// The command of an entry; `None` if it has none that can be run.
pub fn command_of(entry: &str) -> Option<String> {
    let command = serde_json::from_str::<String>(inner_command(entry)?).ok()?;
    (!command.trim().is_empty()).then_some(command)
}

/// Whether a command is this program's, with any path.
fn is_ours(command: &str) -> bool {
    let command = command.trim();
    command.ends_with(" statusline") && command.contains("agent-presence")
}

/// The command of an entry as JSON.
fn inner_command(entry: &str) -> Option<&str> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(entry).ok()?;
    members.get("command").map(|command| command.get()).filter(|command| command.starts_with('"'))
}

fn members(text: &str) -> Result<BTreeMap<String, &RawValue>, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// The position of a value in the text that it was parsed from.
fn span(text: &str, value: &RawValue) -> Result<Range<usize>, String> {
    within(text, value.get())
}

fn within(text: &str, part: &str) -> Result<Range<usize>, String> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr());
    let range = start.map(|start| start..start.saturating_add(part.len()));
    range.filter(|range| text.get(range.clone()) == Some(part)).ok_or_else(lost)
}

fn put(text: &str, range: &Range<usize>, new: &str) -> Result<String, String> {
    let (before, after) = (text.get(..range.start), text.get(range.end..));
    let (before, after) = before.zip(after).ok_or_else(lost)?;
    Ok(format!("{before}{new}{after}"))
}

/// Adds the entry as the last one, with the layout of the first.
fn insert(text: &str, members: &BTreeMap<String, &RawValue>, entry: &str) -> Result<String, String> {
    let open = text.find('{').ok_or_else(lost)? + 1;
    let mut end = None;
    for value in members.values() {
        end = end.max(Some(span(text, value)?.end));
    }
    let Some(end) = end else {
        return put(text, &(open..open), &format!("\n  \"{KEY}\": {entry}\n"));
    };
    let rest = text.get(open..).ok_or_else(lost)?;
    let space = rest.get(..rest.len() - rest.trim_start().len()).ok_or_else(lost)?;
    put(text, &(end..end), &format!(",{space}\"{KEY}\": {entry}"))
}

/// Removes the entry with its value at `range`, and one of the commas around it.
fn remove(text: &str, range: &Range<usize>) -> Result<String, String> {
    let before = text.get(..range.start).ok_or_else(lost)?;
    let key = before.rfind(&format!("\"{KEY}\"")).ok_or_else(lost)?;
    let lead = before.get(..key).ok_or_else(lost)?.trim_end();
    let after = text.get(range.end..).ok_or_else(lost)?;
    let tail = after.trim_start();
    if let Some(lead) = lead.strip_suffix(',') {
        return Ok(format!("{lead}{after}"));
    }
    match tail.strip_prefix(',') {
        Some(next) => Ok(format!("{}{}", before.get(..key).unwrap_or_default(), next.trim_start())),
        None => Ok(format!("{lead}{tail}")),
    }
}

fn lost() -> String {
    "its entries could not be located".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "/opt/agent-presence statusline";

    /// Installs into `before`, which gives `expected`, and uninstalls again.
    fn check(before: &str, expected: &str) {
        let Ok(Edit::Write { text, replaced: Some(replaced) }) = install(before, OURS) else {
            panic!("{before}")
        };
        assert_eq!(text, expected);
        assert_eq!(install(&text, OURS), Ok(Edit::Nothing), "again");
        let Ok(Edit::Write { text, .. }) = uninstall(&text, replaced.as_deref()) else { panic!("{text}") };
        assert_eq!(text, before);
        assert_eq!(uninstall(&text, replaced.as_deref()), Ok(Edit::Nothing), "again");
    }

    #[test]
    fn only_the_entry_changes_and_uninstalling_restores_the_text() {
        let entry = r#"{"type": "command", "command": "/opt/agent-presence statusline"}"#;
        check("{}\n", &format!("{{\n  \"statusLine\": {entry}\n}}\n"));
        check(
            "{\n    \"z\": 1,\n    \"a\": [ 2 ]\n}",
            &format!("{{\n    \"z\": 1,\n    \"a\": [ 2 ],\n    \"statusLine\": {entry}\n}}"),
        );
        check(r#"{"z":{"statusLine":1}}"#, &format!(r#"{{"z":{{"statusLine":1}},"statusLine": {entry}}}"#));
        check(
            "{\"a\": 1, \"statusLine\" : {\"padding\":0,\"command\":\"my \\\"line\\\"\", \"type\":\"command\"} , \"b\": 2}",
            "{\"a\": 1, \"statusLine\" : {\"padding\":0,\"command\":\"/opt/agent-presence statusline\", \"type\":\"command\"} , \"b\": 2}",
        );
        check(r#"{"statusLine": null, "b": "é"}"#, &format!(r#"{{"statusLine": {entry}, "b": "é"}}"#));
    }

    #[test]
    fn a_moved_program_replaces_its_own_entry_and_stores_none() {
        let old = r#"{"statusLine":{"command":"'/old place/agent-presence' statusline"}}"#;
        let Ok(Edit::Write { text, replaced }) = install(old, OURS) else { panic!() };
        assert_eq!(text, r#"{"statusLine":{"command":"/opt/agent-presence statusline"}}"#);
        assert_eq!(replaced, None);
    }

    #[test]
    fn a_foreign_entry_is_not_removed() {
        for text in [r#"{"statusLine":{"command":"other"}}"#, r#"{"statusLine":7}"#, "{}", ""] {
            assert_eq!(uninstall(text, None), Ok(Edit::Nothing), "{text}");
        }
    }

    #[test]
    fn an_entry_is_removed_at_any_position() {
        let entry = r#""statusLine":{"command":"agent-presence statusline"}"#;
        for (before, expected) in [
            (format!("{{{entry}}}"), "{}"),
            (format!("{{ {entry} , \"b\":1}}"), "{ \"b\":1}"),
            (format!("{{\"a\":1,{entry},\"b\":1}}"), "{\"a\":1,\"b\":1}"),
            (format!("{{\"a\":1,\n {entry}\n}}"), "{\"a\":1\n}"),
        ] {
            let Ok(Edit::Write { text, .. }) = uninstall(&before, None) else { panic!("{before}") };
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn a_broken_text_is_refused() {
        for text in ["{", "[]", "// comment\n{}", "{\"a\":1,}", "null", "\u{feff}{}"] {
            assert!(install(text, OURS).is_err() && uninstall(text, None).is_err(), "{text}");
        }
    }
}
