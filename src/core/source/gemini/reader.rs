//! Turns the messages of one session into facts, from all its files.
//!
//! A message is written again under its id when it has more content. All messages are written again when a session is
//! resumed or a failed turn is removed. So each prompt and each call is counted once, by its id. A turn begins with
//! the user's prompt. No line records its end: calls are written when they are over, so that more may follow a text.
//! The turn stays open until a notice ends it, or after a long silence.
//! Read next: [`super::entry`] for the format of a message.

use std::collections::BTreeSet;
use std::path::Path;

use super::entry::{Entry, Used};
use super::{KINDS, layout};
use crate::fingerprint;
use crate::lines::Line;
use crate::source::lenient::{List, Object, Room, read};
use crate::source::parts::{Called, Parts};
use crate::source::{Call, Fact, Message, Meta, Parsed, Parser, Response, Surface};

/// Reads the messages of one session.
#[derive(Debug, Default)]
pub(super) struct Reader {
    is_known: bool,
    /// The session that it works for, if it is a sub-agent.
    parent: Option<String>,
    is_helper: bool,
    /// Whether the sub-agent has got its prompt.
    is_asked: bool,
    /// The messages and states of calls that were reported already.
    seen: BTreeSet<u64>,
    /// The prompt of the current turn.
    prompt: Option<u64>,
    /// How often the user went back to an earlier message. After that, the same id belongs to another response.
    rewinds: u32,
}

/// The context in which a message is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageContext {
    /// Alone, when it happens.
    Now,
    /// With all others, during a turn.
    Again,
    /// With all others, without a running turn.
    Before,
}

impl Parser for Reader {
    fn line(&mut self, line: Line<'_>) -> Parsed {
        let bytes = match line {
            Line::Whole(bytes) | Line::Cut(bytes) => bytes,
            Line::Oversized(first) => return Parsed::of(super::line_time(first), Vec::new()),
        };
        let mut room = Room::default();
        read(bytes, &mut room).map_or(Parsed::Unreadable, |entry| self.entry(&entry))
    }

    fn document(&mut self, _key: &str, bytes: &[u8], tell: &mut dyn FnMut(Parsed)) {
        let mut room = Room::default();
        let Some(entry) = read::<Entry<'_>>(bytes, &mut room) else { return tell(Parsed::Unreadable) };
        if !entry.is_header() {
            return;
        }
        tell(self.header(&entry));
        for message in entry.messages.objects() {
            tell(self.entry(message));
        }
    }

    fn located(&mut self, path: &Path) {
        self.parent = layout::parent(path).map(str::to_owned);
    }

    fn jump(&mut self) {
        self.prompt = None;
    }
}

impl Reader {
    fn entry(&mut self, entry: &Entry<'_>) -> Parsed {
        let mut facts = Vec::new();
        if let Some(set) = &entry.set.0 {
            if set.messages.0.is_some() {
                self.repeated(&set.messages, &mut facts);
            }
            return Parsed::of(set.last_updated.time(), facts);
        }
        if entry.rewind_to.is_there() {
            self.rewinds = self.rewinds.wrapping_add(1);
            self.end(&mut facts);
            return Parsed::of(None, facts);
        }
        if entry.is_header() {
            return self.header(entry);
        }
        let kind = entry.kind.text().unwrap_or_default();
        let at = entry.timestamp.time();
        if !KINDS.contains(&kind) {
            return Parsed::Line { at, ordinal: None, fact: Fact::Alive, unknown: true };
        }
        self.message(kind, entry, MessageContext::Now, &mut facts);
        Parsed::of(at, facts)
    }

    /// The first header names the session of the files; each further one records that it was resumed.
    fn header(&mut self, entry: &Entry<'_>) -> Parsed {
        let at = entry.start_time.time();
        if std::mem::replace(&mut self.is_known, true) {
            return Parsed::of(at, Vec::new());
        }
        self.is_helper = entry.sort.is("subagent") || self.parent.is_some();
        let meta = Meta {
            id: entry.session_id.owned().unwrap_or_default(),
            started_at: at,
            file_begun_at: at,
            cwd: entry.directories.iter().next().and_then(|folder| folder.owned()).filter(|_| self.is_helper),
            surface: Surface::Cli,
            visible: true,
            parent: self.parent.take(),
            subagent: self.is_helper,
            ..Meta::default()
        };
        Parsed::of(at, vec![Fact::Meta(Box::new(meta))])
    }

    /// All messages from now on. Unknown ones are from an earlier time; a turn whose prompt is missing is undone.
    fn repeated(&mut self, messages: &List<Object<Entry<'_>>>, facts: &mut Vec<Fact>) {
        let before = self.prompt;
        let context = if before.is_some() { MessageContext::Again } else { MessageContext::Before };
        for message in messages.objects() {
            if let Some(kind) = message.kind.text() {
                self.message(kind, message, context, facts);
            }
        }
        let is_there = |prompt| messages.objects().any(|message| key(message) == Some(prompt));
        if self.prompt.is_some() && !before.is_some_and(is_there) {
            self.end(facts);
        }
    }

    fn message(&mut self, kind: &str, entry: &Entry<'_>, context: MessageContext, facts: &mut Vec<Fact>) {
        let Some(id) = key(entry) else { return };
        let mut is_new = self.seen.insert(id);
        if context == MessageContext::Now && self.rewinds > 0 {
            is_new = self.seen.insert(id ^ u64::from(self.rewinds));
        }
        let nothing = Parts::default();
        let content = entry.content.as_ref().unwrap_or(&nothing);
        match kind {
            "user" if is_new && context != MessageContext::Again && self.asks(content) => {
                self.prompt = Some(id);
                facts.push(Fact::TurnStarted { turn: entry.id.owned(), started_at: None, window: None });
            }
            "gemini" => self.answer(entry, (id, is_new), context, facts),
            "error" if is_new && context == MessageContext::Now => self.end(facts),
            "info" if is_new && context == MessageContext::Now && is_notice_of_end(content) => {
                self.end(facts)
            }
            _ => {}
        }
    }

    fn answer(
        &mut self,
        entry: &Entry<'_>,
        (id, is_new): (u64, bool),
        context: MessageContext,
        facts: &mut Vec<Fact>,
    ) {
        if let Some(model) = entry.model.owned() {
            facts.push(Fact::Context { model: Some(model), effort: None, cwd: None });
        }
        if let Some(tokens) = entry.tokens.0.as_ref().and_then(Used::tokens) {
            let name = entry.id.text().unwrap_or_default();
            let response = Response { input: tokens.fresh_input(), step: self.rewinds, request: None };
            facts.push(Fact::Message(Box::new(Message {
                response,
                context: Some(tokens.all().saturating_sub(tokens.output))
                    .filter(|_| context == MessageContext::Now),
                call: Call { model: entry.model.owned(), finish_reason: None }.known(),
                ..Message::of(fingerprint::long(name.as_bytes()), tokens)
            })));
        }
        let calls: Vec<_> = entry.tool_calls.objects().collect();
        let is_cancelled = !calls.is_empty() && calls.iter().all(|call| call.status.is("cancelled"));
        let mut working = Vec::new();
        for (place, call) in calls.iter().enumerate() {
            let name = call.id.owned().unwrap_or_else(|| format!("{id} {place}"));
            let mut is_first =
                |state: &str| self.seen.insert(fingerprint::short(format!("{name} {state}").as_bytes()));
            if !matches!(call.status.text(), Some("success" | "error" | "cancelled")) {
                if is_first("begun") {
                    working.push(Fact::CallStarted { call: Some(name), doing: call.doing() });
                }
                continue;
            }
            let (was_begun, is_first) = (!is_first("begun"), is_first("done"));
            if is_first {
                working.push(if was_begun {
                    Fact::CallEnded { call: Some(name) }
                } else {
                    Fact::Done(call.doing())
                });
            }
        }
        // A message with only new tokens, or nothing new, is not a sign of work.
        if context == MessageContext::Now && (is_new || !working.is_empty()) {
            facts.push(Fact::Working);
            facts.extend(working);
            let is_done = |call: &&Called<'_>| call.name.is("complete_task") && call.status.is("success");
            if is_cancelled || self.is_helper && calls.iter().any(is_done) {
                self.prompt = None;
                facts.push(Fact::TurnEnded);
            } else {
                self.prompt = self.prompt.or(Some(id));
            }
        }
    }

    /// Whether a prompt begins a turn. A sub-agent's later prompts belong to its one turn.
    fn asks(&mut self, content: &Parts<'_>) -> bool {
        is_prompt(content) && !(self.is_helper && std::mem::replace(&mut self.is_asked, true))
    }

    fn end(&mut self, facts: &mut Vec<Fact>) {
        self.prompt = None;
        facts.push(Fact::TurnEnded);
    }
}

/// The id of a message.
fn key(entry: &Entry<'_>) -> Option<u64> {
    entry.id.text().map(|id| fingerprint::short(id.as_bytes()))
}

/// Whether it is the user's prompt: not a tool's result, not a text that the program adds, and not a command.
fn is_prompt(content: &Parts<'_>) -> bool {
    const OTHERS: [&str; 5] = ["/", "?", "<session_context>", "<hook_context>", "This is the Gemini CLI"];
    let text = content.text.text().unwrap_or_default().trim_start();
    content.results.is_empty() && !OTHERS.iter().any(|other| text.starts_with(other))
}

/// Whether a notice shows that a turn was cancelled or failed. Other notices end nothing.
fn is_notice_of_end(content: &Parts<'_>) -> bool {
    const ENDS: [&str; 5] = ["cancel", "fail", "error", "interrupt", "abort"];
    let text = content.text.text().unwrap_or_default().to_lowercase();
    ENDS.iter().any(|word| text.contains(word))
}
