//! What is printed as JSON is what `docs/schema.json` says, field for field, and `docs/json.md` is made of it.
//!
//! The schema allows fields that it does not name, for readers of later versions; here none may be printed.
//! `DOCS=overwrite cargo test --test it json::` writes the page.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;

const SCHEMA: &str = include_str!("../../docs/schema.json");
const PAGE: &str = include_str!("../../docs/json.md");

/// The schema, and which of its fields were printed.
struct Schema {
    definitions: Map<String, Value>,
    title: String,
    about: String,
    seen: BTreeSet<String>,
}

impl Schema {
    fn read() -> Self {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let text = |name: &str| schema[name].as_str().unwrap().to_owned();
        Self {
            definitions: schema["$defs"].as_object().unwrap().clone(),
            title: text("title"),
            about: text("description"),
            seen: BTreeSet::new(),
        }
    }

    /// Fails unless `value` is what `definitions` says of `name`.
    #[track_caller]
    fn check(&mut self, name: &str, value: &Value) {
        let rule = self.definitions[name].clone();
        if let Err(problem) = self.holds(&rule, name, value) {
            panic!("{problem} in {value}");
        }
    }

    fn holds(&mut self, rule: &Value, place: &str, value: &Value) -> Result<(), String> {
        if let Some(target) = rule["$ref"].as_str() {
            let name = name_of(target).to_owned();
            let rule = self.definitions[&name].clone();
            return self.holds(&rule, &name, value);
        }
        if let Some(rules) = rule["anyOf"].as_array() {
            let tried: Vec<_> = rules.iter().map(|rule| self.holds(rule, place, value)).collect();
            return if tried.iter().any(Result::is_ok) { Ok(()) } else { tried.into_iter().next().unwrap() };
        }
        let types: Vec<&str> = match &rule["type"] {
            Value::String(one) => vec![one],
            several => several.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect(),
        };
        let is = |name: &&str| match *name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{place} has the unknown type {other}"),
        };
        if !types.iter().any(is) {
            return Err(format!("{place} is not {}", types.join(" or ")));
        }
        let is_listed = rule["enum"].as_array().is_none_or(|words| words.contains(value));
        let is_const = rule.get("const").is_none_or(|word| word == value);
        let is_time = rule.get("format").is_none()
            || value.as_str().is_none_or(|text| text.parse::<Timestamp>().is_ok() && text.ends_with('Z'));
        if !(is_listed && is_const && is_time) {
            return Err(format!("{place} may not be {value}"));
        }
        for item in value.as_array().into_iter().flatten() {
            self.holds(&rule["items"], place, item)?;
        }
        let Some(fields) = value.as_object() else { return Ok(()) };
        for (name, field) in fields {
            let Some(rule) = rule["properties"].get(name) else {
                return Err(format!("{place} has the field `{name}`, which the schema does not name"));
            };
            self.seen.insert(format!("{place}.{name}"));
            self.holds(rule, &format!("{place}.{name}"), field)?;
        }
        let required = rule["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        match required.into_iter().find(|name| !fields.contains_key(*name)) {
            Some(name) => Err(format!("{place} lacks `{name}`")),
            None => Ok(()),
        }
    }

    fn unseen(&self) -> Vec<String> {
        let fields = self.definitions.iter().flat_map(|(name, rule)| {
            let names = rule["properties"].as_object().into_iter().flatten();
            names.map(move |(field, _)| format!("{name}.{field}"))
        });
        fields.filter(|field| !self.seen.contains(field)).collect()
    }

    fn page(&self) -> String {
        let mut page = format!(
            "# {}\n\n<!-- made of schema.json, checked by a test -->\n\n{}\n",
            self.title, self.about
        );
        page.push_str("Times are in UTC. What is not known is `null`. [schema.json](schema.json) says the same as a JSON schema.\n");
        for (name, rule) in ordered(&self.definitions, SCHEMA, 4) {
            let _ = write!(page, "\n## {name}\n\n{}.\n\n", capital(rule["description"].as_str().unwrap()));
            let Some(fields) = rule["properties"].as_object() else {
                let _ = writeln!(page, "One of {}.", words(rule));
                continue;
            };
            page.push_str("| field | form | what |\n| --- | --- | --- |\n");
            let part = SCHEMA.split_once(&format!("\n    \"{name}\": {{")).unwrap().1;
            for (field, rule) in ordered(fields, part, 8) {
                let what = rule["description"].as_str().unwrap();
                let _ = writeln!(page, "| `{field}` | {} | {what} |", form(rule));
            }
        }
        page
    }
}

fn name_of(target: &str) -> &str {
    target.rsplit('/').next().unwrap()
}

/// A parsed object has lost the order of its fields; the text, in which they are set in so far, still has it.
fn ordered<'a>(fields: &'a Map<String, Value>, text: &str, indent: usize) -> Vec<(&'a String, &'a Value)> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(name, _)| text.find(&format!("\n{:indent$}\"{name}\": {{", "")));
    fields
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn words(rule: &Value) -> String {
    let words = rule["enum"].as_array().unwrap().iter().filter(|word| !word.is_null());
    words.map(|word| format!("`{}`", word.as_str().unwrap())).collect::<Vec<_>>().join(" ")
}

/// A field's form in words.
fn form(rule: &Value) -> String {
    let linked = |rule: &Value| {
        let name = name_of(rule["$ref"].as_str().unwrap());
        format!("[{name}](#{name})")
    };
    if rule.get("$ref").is_some() {
        return linked(rule);
    }
    if let Some(rules) = rule["anyOf"].as_array() {
        return format!("{} or null", linked(&rules[0]));
    }
    if let Some(word) = rule.get("const") {
        return format!("`{word}`");
    }
    let types = rule["type"].to_string();
    let base = match () {
        () if rule.get("enum").is_some() => words(rule),
        () if rule.get("format").is_some() => "time".to_owned(),
        () if types.contains("array") => match rule["items"].get("$ref") {
            Some(_) => format!("list of {}", linked(&rule["items"])),
            None => "list of texts".to_owned(),
        },
        () if types.contains("integer") => "whole number".to_owned(),
        () if types.contains("number") => "number".to_owned(),
        () if types.contains("boolean") => "true or false".to_owned(),
        () => "text".to_owned(),
    };
    if types.contains("null") { format!("{base} or null") } else { base }
}

#[test]
fn everything_that_is_printed_is_in_the_schema() {
    let mut schema = Schema::read();
    let home = Home::new();
    let read = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    schema.check("status", &home.status());

    let discord = FakeDiscord::in_folder(&home.path("run"));
    home.session().limits(36.0, 53.0).turn().tokens(4_500);
    let daemon = home.start("run");
    discord.wait_for_presence("the session", |_| true);
    schema.check("status", &home.wait_for_status("a connection", |status| !status["links"][0].is_null()));
    schema.check("doctor", &read(&home.run("doctor --json").out));
    schema.check("autostart", &read(&home.run("autostart status --json").out));
    drop(daemon);

    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for folder in ["codex", "claude"] {
        let printed = home.output(&format!("replay --json {}", fixtures.join(folder).display()));
        assert!(printed.lines().count() > 500, "{folder}");
        for line in printed.lines() {
            let event = read(line);
            schema.check(&format!("{}_event", event["event"].as_str().unwrap()), &event);
        }
    }
    assert_eq!(schema.unseen(), [""; 0], "fields of the schema that nothing prints");
}

#[test]
fn the_page_says_what_the_schema_says() {
    let page = Schema::read().page();
    if std::env::var_os("DOCS").is_some_and(|how| how == "overwrite") {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md"), &page).unwrap();
    } else {
        assert!(page == PAGE, "docs/json.md is out of step; DOCS=overwrite cargo test --test it json::");
    }
}
