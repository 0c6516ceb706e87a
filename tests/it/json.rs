//! What is printed as JSON is what `docs/schema.json` says, field for field, and `docs/json.md` is made of it.
//!
//! `DOCS=overwrite cargo test --test it json::` writes the page. Read next: `support::schema`, the validator.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use agent_presence::core::remote::alive::{Hello, LinkLine, SCHEMA as SCHEMA_OF_LINES};
use agent_presence::core::remote::{RemoteReport, RemoteState};
use agent_presence::core::report::{Event, PlaceReport};
use agent_presence::core::source::Agent;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;
use crate::support::schema::{SCHEMA, Schema, checked, name_of, unknown_words};

const PAGE: &str = include_str!("../../docs/json.md");

impl Schema {
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
        () if types.contains("array") => match &rule["items"] {
            item if item.get("$ref").is_some() => format!("list of {}", linked(item)),
            item if item.get("enum").is_some() => format!("list of {}", words(item)),
            _ => "list of texts".to_owned(),
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
    assert_eq!(unknown_words(), [""; 0].map(str::to_owned).into(), "words that the validator does not obey");
    let mut schema = Schema::read();
    let home = Home::new();
    let read = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let bars = [("bar", "json"), ("waybar", "waybar"), ("i3blocks", "i3blocks")];
    let bar = |home: &Home, schema: &mut Schema| {
        for (name, format) in bars {
            schema.check(name, &read(&home.output(&format!("bar --format {format}"))));
        }
    };
    schema.check("status", &home.status());
    bar(&home, &mut schema);

    let discord = FakeDiscord::in_folder(&home.path("run"));
    let settings = fs::read_to_string(home.config()).unwrap();
    home.settings(&format!("{settings}[record]\nenabled = true\n"));
    let mut session = home.session();
    session.limits(36.0, 95.0).turn().tokens(4_500);
    let daemon = home.start("run");
    discord.wait_for_presence("the session", |_| true);
    schema.check("status", &home.wait_for_status("a connection", |status| !status["links"][0].is_null()));
    schema.check("doctor", &read(&home.run("doctor --json").out));
    schema.check("autostart", &read(&home.run("autostart status --json").out));
    bar(&home, &mut schema);
    session.tokens(100);
    home.wait_for_status("the figures", |status| status["sessions"][0]["tokens"]["total"] == 4_600);
    daemon.terminate();
    let mut recorded = 0;
    for month in fs::read_dir(home.state().join("record")).unwrap() {
        for line in fs::read_to_string(month.unwrap().path()).unwrap().lines() {
            schema.check("usage_event", &read(line));
            recorded += 1;
        }
    }
    assert_eq!(recorded, 2);

    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for agent in Agent::ALL {
        let before = checked();
        let folder = fixtures.join(agent.word());
        for line in home.output(&format!("replay --json {}", folder.display())).lines() {
            let event = read(line);
            schema.check(&format!("{}_event", event["event"].as_str().unwrap()), &event);
        }
        assert!(checked() > before, "{}", folder.display());
    }
    for (name, value) in told_to_another_machine() {
        schema.check(name, &value);
    }
    println!("{} JSON documents are as the schema says", checked());
    // What is only seen while much is read.
    schema.seen.insert("status.reading".to_owned());
    assert_eq!(schema.unseen(), [""; 0], "fields of the schema that nothing prints");
}

/// The form of everything that `watch --alive` tells; what it tells is in `watch/far.rs`.
fn told_to_another_machine() -> Vec<(&'static str, Value)> {
    let at = Timestamp::UNIX_EPOCH;
    let text = |text: &str| Some(text.to_owned());
    let place = PlaceReport {
        cwd: text("/srv/app"),
        been: vec!["/srv".to_owned()],
        lost: true,
        forked_from: text("s"),
        timer_from: Some(at),
        file: text("main.rs"),
        tool: true,
    };
    let hello = Hello {
        schema: SCHEMA_OF_LINES,
        version: "1.0.0".to_owned(),
        at,
        agents: vec!["codex".to_owned()],
        stream: "s".to_owned(),
        restored: true,
        alive: Some(60.0),
    };
    let remote = RemoteReport {
        name: "devbox".to_owned(),
        state: RemoteState::Connected,
        version: text("1.0.0"),
        last_heard_at: Some(at),
        last_error: None,
    };
    let tokens = json!({"delta": 1, "last": 1, "total": 1});
    let usage = json!({"delta": null, "last": null, "total": null});
    let limits = json!({"agent": "codex", "host": "devbox", "home": "", "home_name": null, "family": "codex", "name": null, "plan": null,
        "observed_at": at, "stale": false, "source_session": null, "windows": []});
    let session = json!({"id": "s", "agent": "codex", "host": "devbox", "home": "/root/.codex", "home_name": "work", "surface": "cli", "shown": false, "visible": true, "file": null,
        "project": null, "branch": null, "model": null, "effort": null, "service_tier": null, "activity": "idle",
        "started_at": null, "last_event_at": null, "last_usage_at": null, "restored": true, "counting": false,
        "parent": null, "tokens": tokens, "usage": usage, "context": null, "place": place});
    let kinds = [
        (
            "usage_event",
            "usage",
            json!({"session": "s", "agent": "codex", "host": "devbox", "turn": null,
            "tokens": tokens, "usage": usage, "restored": true}),
        ),
        (
            "activity_event",
            "activity",
            json!({"session": "s", "agent": "codex", "host": "devbox", "activity": "idle"}),
        ),
        ("limits_event", "limits", limits.clone()),
        ("session_event", "session", json!({"session": session})),
        ("card_event", "card", json!({"card": null})),
    ];
    let events = kinds.into_iter().map(|(name, event, mut value)| {
        value["at"] = json!(at);
        value["event"] = json!(event);
        // It is read as an event and printed as one.
        let mut value = serde_json::to_value(serde_json::from_value::<Event>(value).unwrap()).unwrap();
        value["seq"] = json!(7);
        (name, value)
    });
    let value = |what: &LinkLine| serde_json::to_value(what).unwrap();
    let beside =
        [("hello_event", value(&LinkLine::Hello(hello))), ("alive_event", value(&LinkLine::Alive { at }))];
    let limits = ("limits", limits.clone());
    events.chain(beside).chain([limits]).chain([("remote", serde_json::to_value(remote).unwrap())]).collect()
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
