//! A made-up agent: several documents a session, each rewritten whole. Adding it takes a row and a parser.

use std::collections::BTreeSet;
use std::path::Path;

use agent_presence::cmd::replay::replay_of;
use agent_presence::core::activity::Activity;
use agent_presence::core::engine::{Engine, Output};
use agent_presence::core::fingerprint;
use agent_presence::core::publish::Publisher;
use agent_presence::core::report::{ConfigReport, DaemonReport, EventKind};
use agent_presence::core::settings::Settings;
use agent_presence::core::source::layout::{Documents, Homes, Layout, Name, Purpose, Tree};
use agent_presence::core::source::{Agent, Doing, Fact, Message, Meta, Parsed, Parser, Spec};
use agent_presence::core::usage::Tokens;
use agent_presence::host::Host;
use agent_presence::host::inputs::Inputs;
use agent_presence::host::statusline::StateAccess;
use agent_presence::io::clock;
use agent_presence::io::paths::Environment;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub(crate) const QUILL: Agent = Agent::new(&SPEC);

static SPEC: Spec = Spec {
    word: "quill",
    card_name: "Quill",
    short_name: "Quill",
    homes: Homes {
        key: "quill_home",
        variables: &["QUILL_HOME"],
        below: &[],
        files: &[],
        has_commas: false,
        usual: &[".quill"],
    },
    layout: Layout {
        trees: &[Tree { folder: "talks", levels: &[Name::Any], purpose: Purpose::Sessions }],
        thread: |name| name.strip_suffix(".page"),
        documents: Some(Documents {
            session: talk,
            is_one: |head| head.starts_with(b"{\"talk\":"),
            ..Documents::USUAL
        }),
        ..Layout::USUAL
    },
    parser: || Box::<Pages>::default(),
    ..Spec::USUAL
};

/// `talks/<talk>/<number>.page`
fn talk(path: &Path) -> Option<String> {
    path.extension().filter(|kind| *kind == "page")?;
    Some(path.parent()?.file_name()?.to_str()?.to_owned())
}

/// What was said already: pages say everything again.
#[derive(Debug, Default)]
struct Pages(BTreeSet<String>);

impl Parser for Pages {
    fn document(&mut self, _: &str, bytes: &[u8], tell: &mut dyn FnMut(Parsed)) {
        let Ok(page) = serde_json::from_slice::<Value>(bytes) else { return tell(Parsed::Unreadable) };
        let text = |of: &Value, name: &str| of[name].as_str().map(str::to_owned);
        let mut say = |at, key: String, fact| {
            if self.0.insert(key) {
                tell(Parsed::Line { at, ordinal: None, fact, unknown: false });
            }
        };
        let id = text(&page, "talk").unwrap_or_default();
        let began = text(&page, "began").and_then(|at| at.parse::<Timestamp>().ok());
        let meta =
            Meta { id, started_at: began, cwd: text(&page, "folder"), visible: true, ..Meta::default() };
        say(began, "talk".to_owned(), Fact::Meta(Box::new(meta)));
        for part in page["said"].as_array().into_iter().flatten() {
            let (at, id) =
                (text(part, "at").and_then(|at| at.parse().ok()), text(part, "id").unwrap_or_default());
            let (input, output) = (part["in"].as_u64().unwrap_or(0), part["out"].as_u64().unwrap_or(0));
            if part["by"] == "person" {
                say(at, id.clone(), Fact::TurnStarted { turn: Some(id), started_at: None, window: None });
                continue;
            }
            let tokens = Tokens { input, output, ..Tokens::ZERO };
            let context = Fact::Context { model: text(part, "model"), effort: None, cwd: None };
            say(at, format!("{id} model"), context);
            say(
                at,
                format!("{id} {output}"),
                Fact::Message(Box::new(Message::of(fingerprint::long(id.as_bytes()), tokens))),
            );
            if part["writes"].is_string() {
                let doing = Doing::plain(Activity::Editing);
                say(at, format!("{id} writes"), Fact::CallStarted { call: Some(id.clone()), doing });
            }
            if part["done"] == true {
                say(at, format!("{id} done"), Fact::TurnEnded);
            }
        }
    }
}

/// A talk, as its writer keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Talk {
    id: String,
    began: Timestamp,
    /// What each page says.
    pages: Vec<Vec<Value>>,
}

impl Talk {
    pub(crate) fn new(id: &str, began: Timestamp) -> Self {
        Self { id: id.to_owned(), began, pages: Vec::new() }
    }

    /// Writes part `number` of a page, or writes it anew; returns the page's name and all of it.
    pub(crate) fn write(&mut self, page: usize, number: usize, part: Value) -> (String, String) {
        self.pages.resize(self.pages.len().max(page + 1), Vec::new());
        let parts = &mut self.pages[page];
        parts.truncate(number);
        let mut whole = json!({"id": format!("{}-{page}-{number}", self.id)});
        whole.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        parts.push(whole);
        (format!("{page}.page"), self.page(page))
    }

    /// What a page says now.
    pub(crate) fn page(&self, page: usize) -> String {
        let said = &self.pages[page];
        let (id, began, folder) = (&self.id, self.began.to_string(), "/home/u/app");
        format!(r#"{{"talk":"{id}","began":"{began}","folder":"{folder}","said":{}}}"#, json!(said))
    }

    pub(crate) fn pages(&self) -> impl Iterator<Item = (String, String)> {
        (0..self.pages.len()).map(|page| (format!("{page}.page"), self.page(page)))
    }
}

/// A turn on two pages: the answer on the first one grows, the second one has the next answer, and the end.
fn turn(talk: &mut Talk, mut at: impl FnMut(i64) -> Timestamp, mut written: impl FnMut(i64, &str, &str)) {
    let model = |input: u64, output: u64, at: Timestamp| json!({"at": at.to_string(), "by": "quill", "model": "plume-2", "in": input, "out": output});
    let mut write = |second: i64, page, number, part: Value| {
        let (name, text) = talk.write(page, number, part);
        written(second, &name, &text);
    };
    let asked = at(0).to_string();
    write(0, 0, 0, json!({"at": asked, "by": "person"}));
    write(2, 0, 1, model(100, 5, at(2)));
    let mut first = model(100, 40, at(2));
    first["writes"] = json!("MARKER-SECRET");
    write(4, 0, 1, first);
    write(6, 1, 0, model(30, 7, at(6)));
    let mut last = model(30, 9, at(6));
    last["done"] = json!(true);
    write(7, 1, 0, last);
}

#[test]
fn a_replay_tells_its_turn_in_order() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("talks/t1");
    std::fs::create_dir_all(&folder).unwrap();
    let began: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
    let at = |second| began + SignedDuration::from_secs(second);
    turn(&mut Talk::new("t1", began), at, |_, name, text| std::fs::write(folder.join(name), text).unwrap());
    let mut told = Vec::new();
    let problems =
        replay_of(&[QUILL], &[home.path().into()], Settings::default(), TimeZone::UTC, &mut |event| {
            match event.kind {
                EventKind::Usage(usage) => {
                    told.push(format!("+{} = {:?}", usage.tokens.delta.unwrap(), usage.tokens.total))
                }
                EventKind::Activity { activity, .. } => told.push(activity.word().to_owned()),
                _ => {}
            }
        });
    assert_eq!(problems, []);
    // The pages are as they were last: what grew is one figure.
    let expected = ["waiting", "thinking", "+140 = Some(140)", "editing", "+39 = Some(179)", "waiting"];
    assert_eq!(told, expected);
}

/// The daemon's own driver, over files that are written while it looks.
#[tokio::test]
async fn a_document_is_read_as_it_is_rewritten() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("quill/talks/t1");
    std::fs::create_dir_all(&folder).unwrap();
    let mut settings = Settings::default();
    settings.sources.of_mut(QUILL).homes = vec![home.path().join("quill")];
    let environment = Environment::new([("HOME", home.path())], None);
    let engine = Engine::new(settings.clone(), TimeZone::UTC, Publisher::new(0, &settings));
    let keeping = StateAccess::ReadOnly(home.path().join("state"));
    let inputs = Inputs::start(engine.settings(), &environment, keeping, None).unwrap();
    let mut host = Host::new(engine, inputs, &environment);
    let began = clock::now().wall;
    let at = |second| began + SignedDuration::from_millis(second);
    let (mut talk, mut written) = (Talk::new("t1", began), Vec::new());
    turn(&mut talk, at, |_, name, text| written.push((folder.join(name), text.to_owned())));
    let mut totals = Vec::new();
    for (step, (path, text)) in written.iter().enumerate() {
        std::fs::write(path, text).unwrap();
        while totals.len() < step {
            let inputs = host.next().await;
            host.take_burst(inputs);
            while let Some(output) = host.poll() {
                if let Output::Event(event) = output
                    && let EventKind::Usage(usage) = event.kind
                {
                    totals.push((usage.tokens.delta.unwrap(), usage.tokens.total.unwrap(), usage.restored));
                }
            }
        }
    }
    assert_eq!(totals, [(105, 105, false), (35, 140, false), (37, 177, false), (2, 179, false)]);
    // What vanishes takes nothing away.
    std::fs::remove_file(folder.join("0.page")).unwrap();
    let status = host.status(DaemonReport::not_running(), ConfigReport { path: None, issues: Vec::new() });
    assert_eq!(status.sessions[0].tokens.total, Some(179));
}
