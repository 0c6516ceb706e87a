//! Turns the lines of one session file into facts, in order.
//!
//! The user's message begins a turn, or joins a running one. A turn has steps, each with a start, messages and an
//! end. It is over with the step whose last message requests no tool. Lines of sub-agents are in the same file and
//! name their agent.
//! Read next: [`super::entry`] for the format of a line.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;

use super::entry::{Data, Entry, Folder, Usage};
use super::exits::Exits;
use super::{is_silent, layout, store, tool};
use crate::fingerprint;
use crate::lines::Line;
use crate::source::database::Row;
use crate::source::lenient::{Room, Scalar, read};
use crate::source::value::text_after;
use crate::source::{Call, Fact, Message, Meta, Parsed, Parser, Surface};

/// No more requests or sub-agents are open at once; a file with more has lost their ends.
const MOST_OPEN: usize = 64;

/// Reads the lines of one file, in order.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The session in the file's path.
    place: Option<String>,
    is_known: bool,
    /// Older lines were copied from another session.
    begun_at: Option<Timestamp>,
    model: Option<String>,
    effort: Option<String>,
    is_turn_open: bool,
    /// Whether the last message of the current step requests no tool.
    is_last: bool,
    /// Whether the current process records each call's usage.
    tells_calls: bool,
    /// The open questions to the user.
    asked: BTreeSet<String>,
    /// The running sub-agents.
    helpers: BTreeSet<String>,
    exits: Exits,
}

impl Parser for Reader {
    fn line(&mut self, line: Line<'_>) -> Parsed {
        let bytes = match line {
            Line::Whole(bytes) | Line::Cut(bytes) => bytes,
            Line::Oversized(first) => return self.oversized(first),
        };
        let mut room = Room::default();
        read(bytes, &mut room).map_or(Parsed::Unreadable, |entry| self.entry(&entry))
    }

    fn row(&mut self, row: &Row<'_>, tell: &mut dyn FnMut(Parsed)) {
        tell(store::call(row));
    }

    fn located(&mut self, path: &Path) {
        self.place = layout::session(path).map(str::to_owned);
    }

    fn jump(&mut self) {
        (self.is_turn_open, self.is_last) = (false, false);
        self.asked.clear();
        self.helpers.clear();
        self.exits.lose();
    }
}

impl Reader {
    fn entry(&mut self, entry: &Entry<'_>) -> Parsed {
        let at = entry.timestamp.time();
        let kind = entry.kind.text().unwrap_or_default();
        let none = Data::default();
        let data = entry.data.0.as_ref().unwrap_or(&none);
        let mut facts = Vec::new();
        self.introduce(kind, data, at, &mut facts);
        if self.begun_at.zip(at).is_some_and(|(begun_at, at)| at < begun_at) {
            self.copied(kind, entry, data, &mut facts);
            return Parsed::Line { at, ordinal: None, fact: Fact::History(facts), unknown: false };
        }
        let is_told = self.told_by_any(kind, entry, data, &mut facts)
            || is_helpers(entry, data)
            || self.told_by_itself(kind, entry, data, &mut facts);
        if !is_told && !is_silent(kind) {
            return Parsed::Line { at, ordinal: None, fact: Fact::Alive, unknown: true };
        }
        Parsed::of(at, facts)
    }

    /// The first line of a file names its session, else its path does.
    fn introduce(&mut self, kind: &str, data: &Data<'_>, at: Option<Timestamp>, facts: &mut Vec<Fact>) {
        if self.is_known {
            return;
        }
        let is_first = kind == "session.start";
        let id = data.session_id.owned().filter(|_| is_first);
        let Some(id) = id.or_else(|| self.place.clone()) else { return };
        self.is_known = true;
        let started_at = data.start_time.time().filter(|_| is_first).or(at);
        self.begun_at = started_at.filter(|_| is_first);
        let place = data.context.0.as_ref().filter(|_| is_first);
        facts.push(Fact::Meta(Box::new(Meta {
            id,
            started_at,
            file_begun_at: self.begun_at,
            cwd: place.and_then(|place| place.cwd.owned()),
            branch: place.and_then(|place| place.branch.owned()),
            surface: Surface::Cli,
            visible: true,
            ..Meta::default()
        })));
        facts.push(Fact::Run);
    }

    /// Reads a line that has the same meaning in a session and its sub-agents; true if it has no further meaning.
    fn told_by_any(&mut self, kind: &str, entry: &Entry<'_>, data: &Data<'_>, facts: &mut Vec<Fact>) -> bool {
        match kind {
            "session.usage_record" => {
                self.tells_calls = true;
                if let Some(usage) = &data.usage.0 {
                    facts.extend(call(entry, usage, !is_helpers(entry, data)));
                }
            }
            "permission.requested"
            | "user_input.requested"
            | "elicitation.requested"
            | "exit_plan_mode.requested" => {
                if self.asked.len() < MOST_OPEN && self.asked.insert(key(&data.request_id)) {
                    facts.push(Fact::UserAwaited(true));
                }
            }
            "permission.completed"
            | "user_input.completed"
            | "elicitation.completed"
            | "exit_plan_mode.completed" => {
                if self.asked.remove(&key(&data.request_id)) && self.asked.is_empty() {
                    facts.push(Fact::UserAwaited(false));
                }
            }
            "subagent.started" => {
                if self.helpers.len() < MOST_OPEN {
                    self.helpers.insert(helper(entry, data));
                }
            }
            "subagent.completed" | "subagent.failed" => {
                if self.helpers.remove(&helper(entry, data)) && self.helpers.is_empty() && !self.is_turn_open
                {
                    facts.push(Fact::TurnEnded);
                }
            }
            "assistant.message" => {
                self.untold(data, facts);
                return false;
            }
            _ => return false,
        }
        true
    }

    /// Reads a line of the session itself. True if it has a meaning.
    fn told_by_itself(
        &mut self,
        kind: &str,
        entry: &Entry<'_>,
        data: &Data<'_>,
        facts: &mut Vec<Fact>,
    ) -> bool {
        match kind {
            "session.start" => facts.push(self.chosen(&data.selected_model, data)),
            "session.resume" => self.resume(data, facts),
            "session.shutdown" => {
                facts.extend(self.exits.end(&data.model_metrics.0).map(Fact::Spent));
                self.tells_calls = false;
                self.helpers.clear();
                self.end_turn(facts);
            }
            "session.error" | "abort" => self.end_turn(facts),
            "session.model_change" => facts.push(self.chosen(&data.new_model, data)),
            "session.auto_mode_resolved" => facts.push(self.chosen(&data.chosen_model, data)),
            "session.context_changed" => {
                let flat = Folder { cwd: data.cwd.clone(), branch: data.branch.clone() };
                facts.extend(place(data.context.0.as_ref().unwrap_or(&flat)));
            }
            "session.compaction_complete" => {
                let used = data.compaction_tokens_used.0.as_ref();
                facts.extend(used.and_then(|used| call(entry, used, false)));
                facts.push(Fact::Compacted(data.post_compaction_tokens.number()));
            }
            "user.message" => self.prompt(entry, data, facts),
            "assistant.turn_start" => {
                self.is_last = false;
                // The agent continues by itself, when a background task is done.
                if !self.is_turn_open {
                    self.begin_turn(entry.id.owned(), facts);
                }
            }
            "assistant.message" => self.message(data, facts),
            "assistant.turn_end" => {
                if std::mem::take(&mut self.is_last) {
                    self.end_turn(facts);
                }
            }
            "tool.user_requested" => facts.push(Fact::UserCommand(true)),
            "tool.execution_start" => self.tool_starts(data, facts),
            "tool.execution_complete" => {
                let by_user = data.is_user_requested.flag();
                let call = data.tool_call_id.owned();
                facts.push(if by_user { Fact::UserCommand(false) } else { Fact::CallEnded { call } });
            }
            _ => return false,
        }
        true
    }

    /// Another process continues the file. Everything open in the process before is over.
    fn resume(&mut self, data: &Data<'_>, facts: &mut Vec<Fact>) {
        self.tells_calls = false;
        self.helpers.clear();
        self.exits.begin();
        self.end_turn(facts);
        facts.push(Fact::Run);
        facts.extend(data.context.0.as_ref().and_then(place));
        facts.push(self.chosen(&data.selected_model, data));
    }

    fn prompt(&mut self, entry: &Entry<'_>, data: &Data<'_>, facts: &mut Vec<Fact>) {
        let is_users = data.source.text().is_none_or(|source| source == "user");
        if self.is_turn_open && (data.delivery.is("steering") || !is_users) {
            return;
        }
        self.begin_turn(data.message_id.owned().or_else(|| entry.id.owned()), facts);
    }

    fn begin_turn(&mut self, turn: Option<String>, facts: &mut Vec<Fact>) {
        self.asked.clear();
        (self.is_turn_open, self.is_last) = (true, false);
        facts.push(Fact::TurnStarted { turn, started_at: None, window: None });
    }

    fn end_turn(&mut self, facts: &mut Vec<Fact>) {
        self.asked.clear();
        (self.is_turn_open, self.is_last) = (false, false);
        facts.push(Fact::TurnEnded);
        if !self.helpers.is_empty() {
            facts.push(Fact::HelpersPending);
        }
    }

    /// A message. If lines record its call, that line came before it.
    fn untold(&mut self, data: &Data<'_>, facts: &mut Vec<Fact>) {
        let output = data.output_tokens.number();
        if let Some((model, output)) = data.model.text().zip(output) {
            self.exits.message(model, output);
        }
        if is_call(data) && !self.tells_calls {
            facts.push(Fact::Untold(output.unwrap_or_default()));
        }
    }

    fn message(&mut self, data: &Data<'_>, facts: &mut Vec<Fact>) {
        self.is_last = data.tool_requests.iter().next().is_none();
        if data.model.text().is_some() {
            facts.push(self.chosen(&data.model, data));
        }
        if self.is_turn_open {
            facts.push(Fact::Working);
        }
    }

    fn tool_starts(&mut self, data: &Data<'_>, facts: &mut Vec<Fact>) {
        if data.is_user_requested.flag() {
            facts.push(Fact::UserCommand(true));
            return;
        }
        let name = data.tool_name.text().unwrap_or_default();
        if let Some(doing) = tool::doing(name, data.arguments.0.as_ref()) {
            facts.push(Fact::CallStarted { call: data.tool_call_id.owned(), doing });
        }
    }

    /// A model was chosen. The model behind `auto` is known later.
    fn chosen(&mut self, model: &Scalar<'_>, data: &Data<'_>) -> Fact {
        self.model = model.owned().filter(|model| model != "auto").or(self.model.take());
        if data.reasoning_effort.is_there() {
            self.effort = data.reasoning_effort.owned();
        }
        Fact::Context { model: self.model.clone(), effort: self.effort.clone(), cwd: None }
    }

    /// A fork begins with the lines of the session it was made from.
    fn copied(&mut self, kind: &str, entry: &Entry<'_>, data: &Data<'_>, facts: &mut Vec<Fact>) {
        let usage = data.usage.0.as_ref();
        match kind {
            "session.usage_record" => {
                self.tells_calls = true;
                if let Some((model, used)) =
                    usage.and_then(|usage| Some((usage.model.text()?, usage.counters()?)))
                {
                    self.exits.copied_call(model, &used);
                }
            }
            "session.shutdown" => {
                self.exits.copied_end(&data.model_metrics.0);
                self.tells_calls = false;
            }
            "session.resume" => {
                facts.extend(data.context.0.as_ref().and_then(place));
                self.tells_calls = false;
            }
            "assistant.message" => {
                if data.model.text().is_some() {
                    facts.push(self.chosen(&data.model, data));
                }
                if is_call(data) && !self.tells_calls {
                    self.exits.copied_message();
                }
            }
            "session.model_change" if entry.agent_id.text().is_none() => {
                facts.push(self.chosen(&data.new_model, data));
            }
            _ => {}
        }
    }

    /// A line that is too long even after cutting. Its first bytes show its kind.
    fn oversized(&mut self, first: &[u8]) -> Parsed {
        let at = super::line_time(first);
        let text = |key| text_after(first, key).map(str::to_owned);
        let mut facts = Vec::new();
        if self.begun_at.zip(at).is_some_and(|(begun_at, at)| at < begun_at) {
            return Parsed::Line { at, ordinal: None, fact: Fact::History(facts), unknown: false };
        }
        match text_after(first, b"\"type\":\"").unwrap_or_default() {
            "user.message" => self.begin_turn(text(b"\"messageId\":\""), &mut facts),
            "tool.execution_complete" => {
                facts.push(Fact::CallEnded { call: text(b"\"toolCallId\":\"") });
            }
            "session.shutdown" => {
                self.exits.lose();
                self.end_turn(&mut facts);
            }
            _ => {}
        }
        Parsed::of(at, facts)
    }
}

/// Whether a line is a sub-agent's. Early versions name only the call that started it.
fn is_helpers(entry: &Entry<'_>, data: &Data<'_>) -> bool {
    entry.agent_id.text().is_some()
        || data.parent_tool_call_id.text().is_some()
        || data.source.begins("agent-")
}

/// Whether a message is a model's. The agent writes some itself.
fn is_call(data: &Data<'_>) -> bool {
    data.output_tokens.is_there() || data.model.text().is_some() || data.api_call_id.text().is_some()
}

fn place(folder: &Folder<'_>) -> Option<Fact> {
    let cwd = folder.cwd.owned();
    cwd.is_some().then(|| Fact::Place { cwd, branch: folder.branch.owned() })
}

fn key(id: &Scalar<'_>) -> String {
    id.owned().unwrap_or_default()
}

/// The id that the start and the end of a sub-agent share.
fn helper(entry: &Entry<'_>, data: &Data<'_>) -> String {
    data.tool_call_id.owned().or_else(|| entry.agent_id.owned()).unwrap_or_default()
}

/// The tokens of one call, if its provider gave them.
fn call(entry: &Entry<'_>, usage: &Usage<'_>, main: bool) -> Option<Fact> {
    let counters = usage.counters()?;
    let time = entry.timestamp.text().unwrap_or_default();
    let id = [entry.id.text().unwrap_or_default(), time, usage.api_call_id.text().unwrap_or_default()];
    let call = Call { model: usage.model.owned(), finish_reason: usage.finish_reason.owned() };
    Some(Fact::Message(Box::new(Message {
        main,
        context: main.then_some(counters.input),
        window: usage.max_prompt_tokens.number(),
        call: call.known(),
        ..Message::of(fingerprint::long(id.join("\n").as_bytes()), counters.tokens())
    })))
}
