//! The output of `claude -p --output-format stream-json --verbose`: turns a line into facts.
//!
//! A message of the model has one line per block. A line need not show how the message ended, and has the usage of
//! its beginning; partial messages come as well if they were requested. So a message is held back until it is over,
//! and then counted once. Helpers' messages count like the others. Tokens that no message contained are in the
//! `result` at the end of a turn, and are counted with the turn's last call.
//! Read next: [`super::run`] for the results; [`ledger`](crate::source::ledger), which counts the messages.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};

use serde::Deserialize;
use serde_json::Value;

use super::entry::{Body, Raw, decode};
use super::run::{LastCall, ResultFigures, Run};
use super::usage::Usage;
use super::{limits, tool, usage, window};
use crate::fingerprint;
use crate::lines::Line;
use crate::source::lenient::{Object, Room, Scalar, read};
use crate::source::{Call, Fact, Message, Meta, Parsed, Parser, Response, Surface};
use crate::usage::Tokens;

/// How many lines are remembered to recognise repeated ones.
const REMEMBERED_LINES: usize = 32;

/// The fields of a line that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry<'a> {
    #[serde(borrow, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow)]
    subtype: Scalar<'a>,
    #[serde(borrow)]
    session_id: Scalar<'a>,
    #[serde(borrow)]
    parent_tool_use_id: Scalar<'a>,
    #[serde(borrow)]
    cwd: Scalar<'a>,
    #[serde(borrow)]
    model: Scalar<'a>,
    #[serde(borrow)]
    message: Object<Body<'a>>,
    #[serde(borrow)]
    event: Object<Part<'a>>,
    #[serde(borrow)]
    usage: Object<Usage<'a>>,
    #[serde(borrow, rename = "modelUsage")]
    model_usage: Raw<'a>,
    #[serde(borrow)]
    model_usage_since_last_result: Raw<'a>,
    #[serde(borrow)]
    result_index: Scalar<'a>,
    #[serde(borrow)]
    stop_reason: Scalar<'a>,
    #[serde(borrow)]
    uuid: Scalar<'a>,
    #[serde(borrow)]
    historical: Scalar<'a>,
    #[serde(borrow, rename = "isReplay")]
    is_replay: Scalar<'a>,
    rate_limit_info: Raw<'a>,
}

/// A part of a message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow)]
    message: Object<Body<'a>>,
    /// The new part of the message; its fields are the message's.
    #[serde(borrow)]
    delta: Object<Body<'a>>,
    #[serde(borrow)]
    usage: Object<Usage<'a>>,
}

/// Reads the lines of one stream, in order.
#[derive(Debug, Default)]
pub(super) struct Stream {
    session: Option<String>,
    /// The current message.
    pending: Option<Message>,
    /// The last completed message of the conversation itself.
    last: Option<Message>,
    run: Run,
    /// The largest context so far, in tokens.
    most_context: u64,
    results: u64,
    /// Fingerprints of the last lines.
    lines: VecDeque<u64>,
}

impl Parser for Stream {
    fn line(&mut self, line: Line<'_>) -> Parsed {
        let mut facts = Vec::new();
        self.read(line, &mut facts);
        Parsed::of(None, facts)
    }

    fn settle(&mut self) -> Parsed {
        let mut facts = Vec::new();
        self.tell_pending(&mut facts);
        Parsed::of(None, facts)
    }
}

impl Stream {
    fn read(&mut self, line: Line<'_>, facts: &mut Vec<Fact>) {
        let (Line::Whole(bytes) | Line::Cut(bytes) | Line::Oversized(bytes)) = line;
        let kind = kind(bytes);
        match kind {
            Some(("user", rest)) => return self.user(rest, facts),
            Some(("stream_event", rest)) if !is_telling(rest) => return,
            Some(("assistant" | "result", _)) if self.is_repeated(bytes) => return,
            _ => {}
        }
        let (Line::Whole(bytes) | Line::Cut(bytes)) = line else { return };
        let mut room = Room::default();
        let Some(entry) = read::<Entry<'_>>(bytes, &mut room) else { return };
        // History that a resumed session repeats is not new.
        if entry.historical.flag() || entry.is_replay.flag() {
            return;
        }
        match entry.kind.text() {
            // With the usual order of keys this was checked already.
            Some("assistant" | "result") if kind.is_none() && self.is_repeated(bytes) => {}
            Some("system") if entry.subtype.is("init") => {
                self.introduce(&entry, facts);
                self.tell_pending(facts);
                facts.push(Fact::Context {
                    model: entry.model.owned(),
                    effort: None,
                    cwd: entry.cwd.owned(),
                });
                facts.push(Fact::TurnStarted { turn: None, started_at: None, window: None });
            }
            Some("assistant") => self.assistant(&entry, facts),
            Some("user") => self.user(bytes, facts),
            Some("stream_event") => self.part(&entry, facts),
            Some("result") => self.result(&entry, facts),
            Some("rate_limit_event") => facts.extend(limits::of_event(entry.rate_limit_info)),
            // Hooks that run before a session is resumed name another one, which never begins.
            _ => {}
        }
    }

    /// Whether the same line came just before. It has nothing new, and to recognise it takes a tenth of the time of
    /// reading it.
    fn is_repeated(&mut self, line: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        hasher.write(line);
        let line = hasher.finish();
        if self.lines.contains(&line) {
            return true;
        }
        if self.lines.len() >= REMEMBERED_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
        false
    }

    /// Completes the current message: nothing more is expected of it for now.
    fn tell_pending(&mut self, facts: &mut Vec<Fact>) {
        let Some(message) = self.pending.take() else { return };
        let before = self.run.reported(message.id);
        if (message.tokens.output, message.tokens.all()) < (before.output, before.all()) {
            return;
        }
        self.run.tell(&message);
        if message.main {
            self.last = Some(message.clone());
        }
        facts.push(Fact::Message(Box::new(message)));
    }

    /// The line's session, if it has changed.
    fn introduce(&mut self, entry: &Entry<'_>, facts: &mut Vec<Fact>) {
        let Some(id) = entry.session_id.text() else { return };
        if self.session.as_deref() == Some(id) {
            return;
        }
        self.tell_pending(facts);
        *self = Self { session: Some(id.to_string()), ..Self::default() };
        facts.push(Fact::Meta(Box::new(Meta {
            id: id.to_owned(),
            cwd: entry.cwd.owned(),
            surface: Surface::Exec,
            visible: true,
            ..Meta::default()
        })));
    }

    fn assistant(&mut self, entry: &Entry<'_>, facts: &mut Vec<Fact>) {
        self.introduce(entry, facts);
        let nothing = Body::default();
        let body = entry.message.0.as_ref().unwrap_or(&nothing);
        if body.model.is(usage::SYNTHETIC) {
            return;
        }
        let main = entry.parent_tool_use_id.text().is_none();
        self.message(body, &entry.uuid, main, facts);
        if !main {
            return;
        }
        facts.push(Fact::Context { model: body.model.owned(), effort: None, cwd: None });
        facts.push(Fact::Working);
        for block in &body.content.0 {
            if block.kind.is("tool_use") {
                let doing = tool::doing(block.name.text().unwrap_or_default(), block.input.0.as_ref());
                facts.push(Fact::CallStarted { call: block.id.owned(), doing });
            }
        }
    }

    /// A line of a message. Its usage only grows; any of its lines may show how it ended.
    fn message(&mut self, body: &Body<'_>, line: &Scalar<'_>, main: bool, facts: &mut Vec<Fact>) {
        let Some(id) = body.id.text().or_else(|| line.text()) else { return };
        let message_id = fingerprint::long(id.as_bytes());
        if self.pending.as_ref().is_some_and(|pending| pending.id != message_id) {
            self.tell_pending(facts);
        }
        let Some(written) = &body.usage.0 else { return };
        let Some(tokens) = usage::tokens(written) else { return };
        let context = if main { usage::context(written) } else { None };
        let mut window = None;
        if let Some(used) = context {
            self.most_context = self.most_context.max(used);
            window = body.model.text().and_then(|model| window::of(model, id, self.most_context));
        }
        let before = self.pending.take();
        let more = before.as_ref().is_none_or(|before| {
            (tokens.output, tokens.all()) >= (before.tokens.output, before.tokens.all())
        });
        let known = before.as_ref().and_then(|before| before.call.clone()).unwrap_or_default();
        let call = Call {
            model: body.model.owned().or(known.model),
            finish_reason: body.stop_reason.owned().or(known.finish_reason),
        };
        let tokens = before.filter(|_| !more).map_or(tokens, |before| before.tokens);
        let is_over = call.finish_reason.is_some();
        self.pending = Some(Message {
            id: message_id,
            response: Response::default(),
            tokens,
            main,
            is_aside: false,
            copied: false,
            replaces: false,
            at_least: false,
            context,
            window,
            call: call.known(),
        });
        if is_over {
            self.tell_pending(facts);
        }
    }

    /// A part of a message: the beginning has its id, the end its whole usage and its reason.
    fn part(&mut self, entry: &Entry<'_>, facts: &mut Vec<Fact>) {
        self.introduce(entry, facts);
        let Some(part) = &entry.event.0 else { return };
        let main = entry.parent_tool_use_id.text().is_none();
        if part.kind.is("message_start") {
            if let Some(body) = &part.message.0 {
                self.message(body, &Scalar::Absent, main, facts);
            }
            return;
        }
        if !part.kind.is("message_delta") {
            return;
        }
        if main && self.pending.as_ref().is_none_or(|pending| !pending.main) {
            // A helper's lines came between; the end belongs to the message that began last.
            self.tell_pending(facts);
            self.pending.clone_from(&self.last);
        }
        let Some(pending) = self.pending.as_mut().filter(|pending| pending.main == main) else { return };
        if let Some(usage) = &part.usage.0 {
            let tokens = pending.tokens;
            pending.tokens = Tokens {
                input: usage.input_tokens.count().max(tokens.input),
                cached_input: usage.cache_read_input_tokens.count().max(tokens.cached_input),
                cache_write: usage.cache_creation_input_tokens.count().max(tokens.cache_write),
                output: usage.output_tokens.count().max(tokens.output),
                reasoning: tokens.reasoning,
            };
        }
        let reason = part.delta.0.as_ref().and_then(|delta| delta.stop_reason.owned());
        if let Some(reason) = reason {
            pending.call.get_or_insert_default().finish_reason = Some(reason);
            self.tell_pending(facts);
        }
    }

    /// A tool's result. Only its first bytes are read, because the rest is the tool's output.
    fn user(&mut self, line: &[u8], facts: &mut Vec<Fact>) {
        const NEAR: usize = 512;
        self.tell_pending(facts);
        let key: &[u8] = b"\"tool_use_id\":";
        let near = line.get(..line.len().min(NEAR)).unwrap_or_default();
        let Some(at) = memchr::memmem::find(near, key) else { return };
        let id = string(near.get(at + key.len()..).unwrap_or_default());
        facts.extend(id.map(|(id, _)| Fact::CallEnded { call: Some(id.to_owned()) }));
    }

    /// The end of a turn. Tokens that no message contained are counted with the turn's last call.
    fn result(&mut self, entry: &Entry<'_>, facts: &mut Vec<Fact>) {
        self.introduce(entry, facts);
        let mut untold = Vec::new();
        self.tell_pending(&mut untold);
        let models = decode(entry.model_usage).unwrap_or_default();
        let since_last = decode(entry.model_usage_since_last_result);
        let LastCall { message, tokens } = self.run.result(ResultFigures {
            usage: entry.usage.0.as_ref().map(|usage| usage::tokens(usage).unwrap_or_default()),
            models: usage::of_models(&models),
            since_last: since_last.map(|models| usage::of_models(&models).unwrap_or_default()),
            index: entry.result_index.number(),
        });
        let last = self.last.take_if(|last| message == Some(last.id));
        let mut last = last.unwrap_or_else(|| self.unknown_call(message, &models));
        last.tokens = tokens;
        untold.retain(|fact| !matches!(fact, Fact::Message(message) if message.id == last.id));
        facts.append(&mut untold);
        if !last.tokens.is_zero() {
            let mut call = last.call.unwrap_or_default();
            call.finish_reason = call.finish_reason.or_else(|| entry.stop_reason.owned());
            last.call = call.known();
            facts.push(Fact::Message(Box::new(last)));
        }
        facts.push(Fact::TurnEnded);
        self.results += 1;
    }

    /// A call of which at most the message is known.
    fn unknown_call(&self, message: Option<u128>, models: &Value) -> Message {
        let mut model = None;
        let id = message.unwrap_or_else(|| {
            let mut names = models.as_object().into_iter().flat_map(serde_json::Map::keys);
            model = names.next().filter(|_| names.next().is_none()).cloned();
            let session = self.session.as_deref().unwrap_or_default();
            fingerprint::long(format!("{session} result {}", self.results).as_bytes())
        });
        Message {
            id,
            response: Response::default(),
            tokens: Tokens::ZERO,
            main: true,
            is_aside: false,
            copied: false,
            replaces: false,
            at_least: false,
            context: None,
            window: None,
            call: Call { model, finish_reason: None }.known(),
        }
    }
}

/// `{"type":"…"`: the kind of a line, and the bytes after it.
fn kind(line: &[u8]) -> Option<(&str, &[u8])> {
    string(line.strip_prefix(b"{\"type\":")?)
}

/// A short text without escapes, and the bytes after it.
fn string(bytes: &[u8]) -> Option<(&str, &[u8])> {
    const LONGEST: usize = 128;
    let bytes = bytes.strip_prefix(b" ").unwrap_or(bytes).strip_prefix(b"\"")?;
    let near = bytes.get(..bytes.len().min(LONGEST))?;
    let end = memchr::memchr2(b'"', b'\\', near)?;
    let (text, after) = bytes.split_at_checked(end)?;
    Some((std::str::from_utf8(text).ok()?, after.strip_prefix(b"\"")?))
}

/// Whether a part has usage; most are pieces of text.
fn is_telling(rest: &[u8]) -> bool {
    let kind = rest.strip_prefix(b",\"event\":{\"type\":").and_then(string);
    kind.is_none_or(|(kind, _)| matches!(kind, "message_start" | "message_delta"))
}

/// Whether a line is one that `claude -p` prints.
pub(super) fn is_line(line: &[u8]) -> bool {
    let mut room = Room::default();
    let Some(entry) = read::<Entry<'_>>(line, &mut room) else { return false };
    let kinds = ["system", "assistant", "user", "result", "stream_event", "rate_limit_event"];
    entry.session_id.is_there() && entry.kind.text().is_some_and(|kind| kinds.contains(&kind))
}
