//! Turns the rows of one session into facts. Rows may come in any order, and each of them repeatedly.
//!
//! A user's message begins a turn. If the response before it was still being written, the message waits: it is given
//! to the running turn, or begins the next one. In 1.x a response that requests no tool ends the turn, in 2.x only
//! the row `idle` does. A process that was killed leaves its response open forever.
//! Rows that are older than their session were copied into it.
//! Read next: `calls` for its tools; [`super::entry`] for the format of the JSON.

mod calls;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::entry::{Entry, Model, Used};
use super::tables::{entry, message, part, session};
use crate::fingerprint;
use crate::source::database::{Cell, Row};
use crate::source::lenient::{Object, Room, Scalar, read};
use crate::source::{Call, Fact, Message, Meta, Parsed, Parser};
use crate::usage::Tokens;

/// Kinds of entries without a meaning here. A kind that is in no list is counted as unknown.
const SILENT: [&str; 7] =
    ["synthetic", "system", "compaction", "model-switched", "agent-switched", "location-switched", "shell"];

/// A row's position in its session: its number or the time of its creation, then its id.
type Position = (i64, String);

/// Reads the rows of one session.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Whether the session is known.
    is_known: bool,
    /// Earlier rows were copied.
    began: Option<Timestamp>,
    folder: Option<String>,
    model: Option<String>,
    effort: Option<String>,
    /// The user's messages that were reported.
    asked: BTreeSet<u64>,
    newest_user: Option<Position>,
    /// A user's message that came while a response was being written.
    waiting: Option<(String, Position, Option<Timestamp>)>,
    answer: Option<NewestResponse>,
    is_turn_open: bool,
    /// When the newest row was created or completed.
    newest_at: Option<Timestamp>,
    /// When the session became idle, by its own record.
    idle_at: Option<Timestamp>,
    /// The tokens in the parts of responses that have none themselves: by response, then by part.
    parts: BTreeMap<String, BTreeMap<String, Tokens>>,
    /// Responses whose parts have to be read once.
    wanted: Vec<String>,
    /// Responses whose parts brought new tokens.
    filled: BTreeSet<String>,
}

/// The newest response.
#[derive(Debug)]
struct NewestResponse {
    id: String,
    position: Position,
    /// When it was completed; `None` while it is being written, or if it never will be.
    completed: Option<Timestamp>,
    /// Whether it ends the turn.
    is_last: bool,
    calls: Vec<String>,
    /// Finished calls.
    done: BTreeSet<String>,
}

/// The facts of a response.
struct ResponseFacts<'a> {
    id: &'a str,
    position: Position,
    entry: &'a Entry<'a>,
    created: Option<Timestamp>,
    written: Option<Timestamp>,
    /// Whether a response that stops ends the turn.
    stops: bool,
}

impl Parser for Reader {
    fn row(&mut self, row: &Row<'_>, tell: &mut dyn FnMut(Parsed)) {
        if matches!(row.table, "session" | "session_v2") {
            return self.session_row(row, tell);
        }
        let mut room = Room::default();
        let Some(data) = read::<Entry<'_>>(row.cell(message::DATA).bytes(), &mut room) else {
            return tell(Parsed::Unreadable);
        };
        let created = time(&data, |times| &times.created).or(row.cell(message::CREATED).time());
        let written = row.cell(message::UPDATED).time();
        let made = |cell: Cell<'_>| cell.number().and_then(|number| i64::try_from(number).ok()).unwrap_or(0);
        match row.table {
            "part" => self.part(row.key, row.cell(part::MESSAGE).text(), &data, tell),
            "message" => {
                let position = (made(row.cell(message::CREATED)), row.key.to_owned());
                let response =
                    ResponseFacts { id: row.key, position, entry: &data, created, written, stops: true };
                self.message(data.role.text(), response, tell);
            }
            _ => {
                let position = (made(row.cell(entry::NUMBER)), row.key.to_owned());
                let response =
                    ResponseFacts { id: row.key, position, entry: &data, created, written, stops: false };
                self.message(row.cell(entry::TYPE).text(), response, tell);
            }
        }
    }

    fn document(&mut self, _: &str, bytes: &[u8], tell: &mut dyn FnMut(Parsed)) {
        let mut room = Room::default();
        let Some(data) = read::<Entry<'_>>(bytes, &mut room) else { return tell(Parsed::Unreadable) };
        let Some(id) = data.id.text() else { return tell(Parsed::Unreadable) };
        let created = time(&data, |times| &times.created);
        let Some(session) = data.session.text() else {
            return self.session(id, data.parent.owned(), None, data.directory.owned(), created, tell);
        };
        if !self.is_known {
            // The session's own document is gone.
            let folder = data.path.0.as_ref().and_then(|path| path.cwd.owned());
            self.session(session, None, None, folder, None, tell);
        }
        let position = (created.map_or(0, Timestamp::as_millisecond), id.to_owned());
        let response = ResponseFacts { id, position, entry: &data, created, written: created, stops: true };
        self.message(data.role.text(), response, tell);
    }

    /// The parts of the response that is being written show the running tool.
    fn asks(&mut self) -> Vec<String> {
        let mut asks = std::mem::take(&mut self.wanted);
        let open = self.answer.as_ref().filter(|answer| answer.completed.is_none());
        asks.extend(open.map(|answer| answer.id.clone()));
        asks
    }

    fn settle(&mut self) -> Parsed {
        let mut facts = Vec::new();
        for id in std::mem::take(&mut self.filled) {
            let tokens = self.parts.get(&id).map(sum).unwrap_or_default();
            facts.push(self.used(&id, tokens, &Entry::default()));
        }
        let is_over = self.idle_at.zip(self.newest_at).is_some_and(|(idle, newest)| idle >= newest);
        if is_over && std::mem::take(&mut self.is_turn_open) {
            facts.push(Fact::TurnEnded);
        }
        Parsed::of(self.newest_at.max(self.idle_at.filter(|_| is_over)), facts)
    }
}

impl Reader {
    fn session_row(&mut self, row: &Row<'_>, tell: &mut dyn FnMut(Parsed)) {
        let text = |place| row.cell(place).text().map(str::to_owned);
        self.idle_at = row.cell(session::IDLE).time();
        let (parent, forked_from) = (text(session::PARENT), text(session::FORKED_FROM));
        let created = row.cell(session::CREATED).time();
        self.session(row.key, parent, forked_from, text(session::FOLDER), created, tell);
    }

    fn session(
        &mut self,
        id: &str,
        parent: Option<String>,
        forked_from: Option<String>,
        folder: Option<String>,
        created: Option<Timestamp>,
        tell: &mut dyn FnMut(Parsed),
    ) {
        if self.is_known {
            // It may have moved.
            let moved = folder.filter(|folder| self.folder.as_ref() != Some(folder));
            if moved.is_some() {
                self.folder.clone_from(&moved);
                tell(Parsed::of(None, vec![Fact::Place { cwd: moved, branch: None }]));
            }
            return;
        }
        self.is_known = true;
        (self.began, self.folder) = (created, folder.clone());
        let meta = Meta {
            id: id.to_owned(),
            started_at: created,
            cwd: folder,
            visible: true,
            subagent: parent.is_some(),
            parent,
            forked_from,
            ..Meta::default()
        };
        tell(Parsed::of(created, vec![Fact::Meta(Box::new(meta))]));
    }

    fn message(&mut self, kind: Option<&str>, response: ResponseFacts<'_>, tell: &mut dyn FnMut(Parsed)) {
        let is_copied = self.began.zip(response.created).is_some_and(|(began, created)| created < began);
        match kind {
            Some("assistant") if is_copied => {
                self.learn(response.entry);
                tell(history(response.created, vec![self.context(None)]));
            }
            _ if is_copied => tell(history(response.created, Vec::new())),
            Some("user") => self.user(&response, tell),
            Some("assistant") => self.answer(&response, tell),
            Some("idle") => self.idle(&response, tell),
            kind => {
                let unknown = kind.is_none_or(|kind| !SILENT.contains(&kind));
                tell(Parsed::Line { at: response.created, ordinal: None, fact: Fact::Alive, unknown });
            }
        }
        self.newest_at =
            self.newest_at.max(response.created).max(time(response.entry, |times| &times.completed));
    }

    fn user(&mut self, response: &ResponseFacts<'_>, tell: &mut dyn FnMut(Parsed)) {
        let is_new = self.asked.insert(fingerprint::short(response.id.as_bytes()));
        if !is_new || self.newest_user.as_ref() > Some(&response.position) {
            return tell(Parsed::of(response.created, Vec::new()));
        }
        self.newest_user = Some(response.position.clone());
        let before =
            self.answer.as_ref().filter(|answer| answer.position < response.position && !answer.is_last);
        if before.is_some_and(|answer| answer.completed.is_none()) {
            self.waiting = Some((response.id.to_owned(), response.position.clone(), response.created));
            return tell(Parsed::of(response.created, Vec::new()));
        }
        let is_queued = before.is_some_and(|answer| answer.completed > response.created);
        if is_queued {
            return tell(Parsed::of(response.created, Vec::new()));
        }
        self.begin(response.id.to_owned(), response.created, tell);
    }

    fn begin(&mut self, turn: String, at: Option<Timestamp>, tell: &mut dyn FnMut(Parsed)) {
        self.is_turn_open = true;
        let begins = Fact::TurnStarted { turn: Some(turn), started_at: None, window: None };
        tell(Parsed::of(at, vec![begins]));
    }

    /// The waiting message begins a turn, if there is one before `position`.
    fn begin_waiting(&mut self, position: Option<&Position>, tell: &mut dyn FnMut(Parsed)) {
        let waiting =
            self.waiting.take_if(|(_, waits, _)| position.is_none_or(|position| *waits < *position));
        if let Some((turn, _, at)) = waiting {
            self.begin(turn, at, tell);
        }
    }

    fn answer(&mut self, response: &ResponseFacts<'_>, tell: &mut dyn FnMut(Parsed)) {
        let ResponseFacts { id, ref position, entry, .. } = *response;
        let completed = time(entry, |times| &times.completed);
        let is_newest = self.answer.as_ref().is_none_or(|answer| answer.position <= *position);
        let at = completed.or(response.written).max(response.created);
        let tokens = entry.tokens.0.as_ref().map(Used::tokens).unwrap_or_default();
        if is_newest && self.answer.as_ref().is_none_or(|answer| answer.id != id) {
            // Responses before this one were never completed.
            self.begin_waiting(Some(position), tell);
            self.answer = Some(NewestResponse {
                id: id.to_owned(),
                position: position.clone(),
                completed: None,
                is_last: false,
                calls: Vec::new(),
                done: BTreeSet::new(),
            });
        }
        let mut facts = Vec::new();
        if is_newest {
            self.learn(entry);
            let cwd = entry.path.0.as_ref().and_then(|path| path.cwd.owned());
            facts.push(self.context(cwd));
        }
        let tokens = match (tokens.is_zero(), completed) {
            (true, Some(_)) => {
                self.wanted.push(id.to_owned());
                sum(self.parts.entry(id.to_owned()).or_default())
            }
            (true, None) => tokens,
            (false, _) => {
                self.parts.remove(id);
                tokens
            }
        };
        // A row that had tokens before may be empty now.
        facts.push(self.used(id, tokens, entry));
        if is_newest {
            self.tools(entry, &mut facts, tell);
            self.state(response, completed, &mut facts);
        }
        tell(Parsed::of(at, facts));
        let is_over = self.answer.as_ref().is_some_and(|answer| answer.id == id && answer.is_last);
        if is_newest && completed.is_some() {
            if is_over {
                self.begin_waiting(None, tell);
            } else {
                // The running turn has it now.
                self.waiting = None;
            }
        }
    }

    /// What the newest response shows of its turn.
    fn state(&mut self, response: &ResponseFacts<'_>, completed: Option<Timestamp>, facts: &mut Vec<Fact>) {
        let Some(answer) = &mut self.answer else { return };
        let was_last = answer.is_last;
        answer.completed = completed;
        let goes_on = matches!(response.entry.finish.text(), Some("tool-calls" | "unknown"));
        let failed = response.entry.error.is_there();
        answer.is_last |= response.stops && completed.is_some() && (failed || !goes_on);
        if completed.is_some() {
            facts.extend(answer.calls.drain(..).map(|call| Fact::CallEnded { call: Some(call) }));
        }
        if answer.is_last && !was_last {
            self.is_turn_open = false;
            facts.push(Fact::TurnEnded);
        } else if !answer.is_last {
            self.is_turn_open = true;
            facts.push(Fact::Working);
        }
    }

    fn idle(&mut self, response: &ResponseFacts<'_>, tell: &mut dyn FnMut(Parsed)) {
        if self.newest_user.as_ref() > Some(&response.position) {
            return tell(Parsed::of(response.created, Vec::new()));
        }
        self.waiting = None;
        self.is_turn_open = false;
        if let Some(answer) = self.answer.as_mut().filter(|answer| answer.position < response.position) {
            answer.is_last = true;
        }
        tell(Parsed::of(response.created, vec![Fact::TurnEnded]));
    }

    /// The model and settings of a response.
    fn learn(&mut self, entry: &Entry<'_>) {
        let Object(model) = &entry.model;
        let of_model = |field: fn(&Model<'_>) -> Option<String>| model.as_ref().and_then(field);
        let id = entry.model_id.owned().or_else(|| of_model(|model| model.id.owned()));
        self.model = id.or(self.model.take());
        let variant = entry.variant.owned().or_else(|| of_model(|model| model.variant.owned()));
        self.effort = variant.filter(|variant| variant != "default");
    }

    fn context(&self, cwd: Option<String>) -> Fact {
        Fact::Context { model: self.model.clone(), effort: self.effort.clone(), cwd }
    }

    fn used(&self, id: &str, tokens: Tokens, entry: &Entry<'_>) -> Fact {
        let model = entry.model_id.owned();
        let model = model.or_else(|| entry.model.0.as_ref()?.id.owned()).or_else(|| self.model.clone());
        let call = Call { model, finish_reason: entry.finish.owned() }.known();
        let context = Some(tokens.all().saturating_sub(tokens.output)).filter(|_| !tokens.is_zero());
        let known = Message::of(fingerprint::long(id.as_bytes()), tokens);
        Fact::Message(Box::new(Message { replaces: true, context, call, ..known }))
    }
}

/// One of the times of an entry.
fn time<'e>(
    entry: &'e Entry<'_>,
    which: impl Fn(&'e super::entry::Times<'e>) -> &'e Scalar<'e>,
) -> Option<Timestamp> {
    entry.time.0.as_ref().and_then(|times| which(times).time())
}

fn sum(parts: &BTreeMap<String, Tokens>) -> Tokens {
    parts.values().fold(Tokens::ZERO, |sum, tokens| sum.plus(tokens))
}

fn history(at: Option<Timestamp>, facts: Vec<Fact>) -> Parsed {
    Parsed::Line { at, ordinal: None, fact: Fact::History(facts), unknown: false }
}
