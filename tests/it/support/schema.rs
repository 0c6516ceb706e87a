//! What the program prints as JSON, held against `docs/schema.json`.
//!
//! The schema allows fields that it does not name, for readers of later versions; here none may be printed. Everything
//! that a test has the program print as JSON passes here, in tests of any subject.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value};

pub(crate) const SCHEMA: &str = include_str!("../../../docs/schema.json");

/// How many documents were held against it.
static CHECKED: AtomicUsize = AtomicUsize::new(0);

/// What the validator knows of the language of schemas. Another word in the schema would not be obeyed.
const WORDS: [&str; 11] = [
    "$ref",
    "anyOf",
    "const",
    "description",
    "enum",
    "format",
    "items",
    "minimum",
    "properties",
    "required",
    "type",
];

/// The schema, and which of its fields were printed.
pub(crate) struct Schema {
    pub(crate) definitions: Map<String, Value>,
    pub(crate) title: String,
    pub(crate) about: String,
    pub(crate) seen: BTreeSet<String>,
}

impl Schema {
    pub(crate) fn read() -> Self {
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
    pub(crate) fn check(&mut self, name: &str, value: &Value) {
        let rule = self.definitions[name].clone();
        if let Err(problem) = self.holds(&rule, name, value) {
            panic!("{problem} in {value}");
        }
        CHECKED.fetch_add(1, Ordering::Relaxed);
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
        let least = rule["minimum"].as_f64();
        let is_enough = least.is_none_or(|least| value.as_f64().is_none_or(|number| number >= least));
        if !(is_listed && is_const && is_time && is_enough) {
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
}

pub(crate) fn name_of(target: &str) -> &str {
    target.rsplit('/').next().unwrap()
}

/// How many documents the program has printed so far, of those that passed here.
pub(crate) fn checked() -> usize {
    CHECKED.load(Ordering::Relaxed)
}

/// Holds what a command has printed against the schema, as far as it is JSON. A program that was ended may have begun a
/// line.
#[track_caller]
pub(crate) fn check_printed(arguments: &[String], printed: &str) {
    static SHARED: LazyLock<Mutex<Schema>> = LazyLock::new(|| Mutex::new(Schema::read()));

    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let form = ["json", "waybar", "i3blocks"].into_iter().find(|form| has("bar") && has(form));
    let one = ["autostart", "status", "doctor"].into_iter().find(|command| has(command) && has("--json"));
    let mut schema = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = one.filter(|_| printed.ends_with("}\n")) {
        schema.check(name, &serde_json::from_str(printed).unwrap());
    } else if has("--json") && (has("watch") || has("replay")) || form.is_some() {
        for line in printed.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let value: Value = serde_json::from_str(line).unwrap();
            let name = match form {
                Some("json") => "bar".to_owned(),
                Some(form) => form.to_owned(),
                None => format!("{}_event", value["event"].as_str().unwrap()),
            };
            schema.check(&name, &value);
        }
    }
}

/// The words of the schema that the validator does not know.
pub(crate) fn unknown_words() -> BTreeSet<String> {
    fn walk(rule: &Value, found: &mut BTreeSet<String>) {
        for (word, value) in rule.as_object().into_iter().flatten() {
            if !WORDS.contains(&word.as_str()) {
                found.insert(word.clone());
            }
            match word.as_str() {
                "properties" => {
                    value.as_object().into_iter().flatten().for_each(|(_, rule)| walk(rule, found))
                }
                "anyOf" => value.as_array().into_iter().flatten().for_each(|rule| walk(rule, found)),
                "items" => walk(value, found),
                _ => {}
            }
        }
    }
    let mut found = BTreeSet::new();
    Schema::read().definitions.values().for_each(|rule| walk(rule, &mut found));
    found
}
