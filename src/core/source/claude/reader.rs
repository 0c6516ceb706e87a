//! Turns the lines of one transcript into facts, in order.
//!
//! The meaning of a line depends slightly on earlier ones: whose file it is, whether a tool was called, whether the
//! ends of turns are recorded. No other state is kept here.
//! Read next: [`ledger`](crate::source::ledger), which counts the usage.

use std::path::Path;

use jiff::Timestamp;

use super::entry::{Body, Entry, GLANCE, branch, decode, forked_from, speaks, surface};
use super::place::PathInfo;
use super::turn::{Turns, UserLine};
use super::{SILENT, limit, tool, usage, window};
use crate::lines::Line;
use crate::source::lenient::{Room, read};
use crate::source::{Call, Fact, Message, Meta, Parsed, Parser, value};
use crate::time::elapsed;

/// Reads the lines of one file, in order.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// What the file's path shows.
    place: Option<Box<PathInfo>>,
    /// The session of the file, once a line has named it.
    whose: Option<FileSession>,
    /// The session that the process began with, if that was another one.
    process: Option<String>,
    /// The time of the first line before the current ones.
    begun_at: Option<Timestamp>,
    cwd: Option<String>,
    branch: Option<String>,
    last_at: Option<Timestamp>,
    turns: Turns,
    /// Whether the ends of turns are recorded.
    ends_recorded: bool,
    /// The largest context so far, in tokens.
    most_context: u64,
    /// Whether bytes were left out before the session was known.
    torn: bool,
    /// Whether the newest line was copied from another session.
    in_history: bool,
    /// The number of the user's lines so far: prompts and results.
    steps: u32,
}

#[derive(Debug)]
struct FileSession {
    id: String,
    helper: bool,
    /// Whether the file's name gives the session.
    by_name: bool,
    /// The session from which history was copied, once a line has named it.
    forked_from: Option<String>,
}

impl Parser for Reader {
    fn line(&mut self, line: Line<'_>) -> Parsed {
        match line {
            Line::Whole(bytes) | Line::Cut(bytes) => self.whole(bytes),
            Line::Oversized(first) => Parsed::of(None, self.oversized(first)),
        }
    }

    fn located(&mut self, path: &Path) {
        self.place = Some(Box::new(PathInfo::of(path)));
    }

    fn jump(&mut self) {
        self.torn |= self.whose.is_none();
        self.turns = Turns::default();
    }
}

impl Reader {
    fn whole(&mut self, bytes: &[u8]) -> Parsed {
        if bytes.len() > GLANCE && !speaks(bytes) {
            // A line that was broken off rarely ends like a complete one.
            return if bytes.trim_ascii_end().ends_with(b"}") {
                Parsed::of(None, Vec::new())
            } else {
                Parsed::Unreadable
            };
        }
        // Not kept for the next line, because there are thousands of readers and hardly any line needs it.
        let mut room = Room::default();
        read(bytes, &mut room).map_or(Parsed::Unreadable, |entry| self.entry(&entry))
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Parsed {
        let kind = entry.kind.text().unwrap_or_default();
        if !matches!(kind, "assistant" | "user" | "system" | "progress") {
            if self.whose.is_none() {
                self.begun_at = self.begun_at.or(entry.timestamp.time());
            }
            let unknown = !SILENT.contains(&kind);
            if kind == "cost-state"
                && let Some(spent) = decode(entry.model_usage).as_ref().and_then(usage::of_models)
            {
                return Parsed::of(None, vec![Fact::Spent(spent)]);
            }
            let continued = entry.continued_in_session_id.owned().filter(|_| kind == "continued-in");
            let fact = continued.map_or(Fact::Alive, Fact::ContinuedIn);
            return Parsed::Line { at: None, ordinal: None, fact, unknown };
        }
        let at = entry.timestamp.time();
        let mut facts = Vec::new();
        let origin = forked_from(entry.forked_from);
        self.introduce(entry, at, origin.as_deref(), &mut facts);
        let copied = self.whose.as_ref().is_some_and(|whose| origin.is_some_and(|origin| origin != whose.id));
        if self.in_history && !copied {
            self.history_ends(at, &mut facts);
        }
        self.in_history = copied;
        self.steps = self.steps.wrapping_add(u32::from(kind == "user"));
        if self.is_aside(entry) {
            if kind == "assistant"
                && let Some(body) = &entry.message.0
            {
                facts.extend(self.usage(entry, body));
            }
        } else {
            self.place(entry, &mut facts);
            if !copied {
                self.process(entry, &mut facts);
            }
            match kind {
                "assistant" => self.assistant(entry, &mut facts),
                "user" => self.user(entry, at, &mut facts),
                "system" => self.system(entry, &mut facts),
                _ => {}
            }
        }
        self.last_at = at.or(self.last_at);
        if copied {
            return Parsed::Line { at, ordinal: None, fact: Fact::History(facts), unknown: false };
        }
        Parsed::of(at, facts)
    }

    /// The first own line of a copy: the session begins here, and turns of the copied history are over.
    fn history_ends(&mut self, at: Option<Timestamp>, facts: &mut Vec<Fact>) {
        facts.extend(at.filter(|_| !self.torn).map(Fact::Begun));
        self.turns.close(0, facts);
    }

    /// A helper's line in the file of its conversation, as written by versions before 2.
    fn is_aside(&self, entry: &Entry<'_>) -> bool {
        entry.is_sidechain.flag() && self.whose.as_ref().is_none_or(|whose| !whose.helper)
    }

    /// The first line with a session id gives the file's session; a later one may show that it is a copy.
    fn introduce(
        &mut self,
        entry: &Entry<'_>,
        at: Option<Timestamp>,
        origin: Option<&str>,
        facts: &mut Vec<Fact>,
    ) {
        let named = entry.session_id.owned();
        if let Some(whose) = &mut self.whose {
            // A helper's lines name the session that it works for.
            let by_name = named.filter(|_| whose.by_name);
            let origin = origin.map(str::to_owned);
            let (only_named, origin) = (origin.is_none(), origin.or(by_name));
            let origin = origin.filter(|origin| *origin != whose.id && whose.forked_from.is_none());
            if let Some(from) = origin {
                whose.forked_from = Some(from.clone());
                facts.push(Fact::Forked { from, only_named });
            }
            return;
        }
        let Some(named) = named else { return };
        let PathInfo { session, helps } = self.place.take().map(|place| *place).unwrap_or_default();
        let by_name = session.is_some();
        let helper = entry.agent_id.owned().filter(|_| entry.is_sidechain.flag() && session.is_none());
        let (id, parent) = match helper {
            Some(helper) => (helper, helps.or_else(|| Some(named.clone()))),
            None => (session.unwrap_or_else(|| named.clone()), None),
        };
        let copied_from = origin.filter(|origin| *origin != id && parent.is_none()).map(str::to_owned);
        let only_named = copied_from.is_none();
        let forked_from =
            copied_from.clone().or_else(|| Some(named).filter(|named| parent.is_none() && *named != id));
        (self.cwd, self.branch) = (entry.cwd.owned(), branch(&entry.git_branch).map(str::to_owned));
        self.whose = Some(FileSession {
            id: id.clone(),
            helper: parent.is_some(),
            by_name,
            forked_from: forked_from.clone(),
        });
        facts.push(Fact::Meta(Box::new(Meta {
            id,
            started_at: at.filter(|_| !self.torn && copied_from.is_none()),
            cwd: self.cwd.clone(),
            branch: self.branch.clone(),
            surface: surface(&entry.entrypoint),
            // A teammate works for the lead of its team; its lines name only the team.
            visible: !(entry.team_name.is_there() && entry.agent_name.is_there()),
            subagent: parent.is_some(),
            parent,
            forked_from,
            only_named,
            first_line: entry.uuid.owned().filter(|_| !self.torn),
            late: self.begun_at.zip(at).is_some_and(|(begun_at, at)| begun_at > at),
            midway: entry.parent_uuid.is_there()
                || entry.logical_parent_uuid.is_there()
                || entry.subtype.is("compact_boundary")
                || entry.is_compact_summary.flag(),
            ..Meta::default()
        })));
    }

    fn place(&mut self, entry: &Entry<'_>, facts: &mut Vec<Fact>) {
        let (cwd, branch) = (entry.cwd.text(), branch(&entry.git_branch));
        if cwd.is_some() && (cwd, branch) != (self.cwd.as_deref(), self.branch.as_deref()) {
            (self.cwd, self.branch) = (cwd.map(str::to_owned), branch.map(str::to_owned));
            facts.push(Fact::Place { cwd: self.cwd.clone(), branch: self.branch.clone() });
        }
    }

    /// A process may begin with one session and switch to another.
    fn process(&mut self, entry: &Entry<'_>, facts: &mut Vec<Fact>) {
        let Some(whose) = self.whose.as_ref().filter(|whose| !whose.helper) else { return };
        let Some(process) = entry.process.text() else { return };
        let began_with = (process != whose.id).then_some(process);
        if began_with != self.process.as_deref() {
            self.process = began_with.map(str::to_owned);
            facts.push(Fact::Process(self.process.clone()));
        }
    }

    fn assistant(&mut self, entry: &Entry<'_>, facts: &mut Vec<Fact>) {
        let nothing = Body::default();
        let body = entry.message.0.as_ref().unwrap_or(&nothing);
        let blocks = &body.content.0;
        if body.model.is(usage::SYNTHETIC) {
            facts.extend(limit::of_line(entry, &body.content));
            self.turns.end(facts);
            return;
        }
        if self.turns.answered(entry.timestamp.time()) {
            facts.push(Fact::TurnStarted { turn: entry.uuid.owned(), started_at: None, window: None });
        }
        facts.push(Fact::Context { model: body.model.owned(), effort: entry.effort.owned(), cwd: None });
        facts.extend(self.usage(entry, body));
        facts.push(Fact::Working);
        let mut calls = false;
        for block in blocks {
            if block.kind.is("tool_use") {
                calls = true;
                let doing = tool::doing(block.name.text().unwrap_or_default(), block.input.0.as_ref());
                facts.push(Fact::CallStarted { call: block.id.owned(), doing });
            }
        }
        if calls {
            self.turns.between_calls();
            return;
        }
        match body.stop_reason.text() {
            Some("tool_use" | "pause_turn") => {}
            Some(_) => self.turns.end(facts),
            // Until 2.1.42, and on helpers' lines later, no line records how its message ended.
            None if !self.ends_recorded && blocks.iter().any(|block| block.text.is_there()) => {
                facts.push(Fact::MaybeEnded);
            }
            None => {}
        }
    }

    fn usage(&mut self, entry: &Entry<'_>, body: &Body<'_>) -> Option<Fact> {
        if body.model.is(usage::SYNTHETIC) {
            return None;
        }
        let written = body.usage.0.as_ref()?;
        let tokens = usage::tokens(written)?;
        let id = usage::message_id(entry, body)?;
        let context = if self.is_aside(entry) { None } else { usage::context(written) };
        let mut window = None;
        if let Some(context) = context {
            self.most_context = self.most_context.max(context);
            let message_id = body.id.text().unwrap_or_default();
            window = body.model.text().and_then(|model| window::of(model, message_id, self.most_context));
        }
        Some(Fact::Message(Box::new(Message {
            id,
            response: usage::response(entry, written, self.steps),
            tokens,
            main: !entry.is_sidechain.flag(),
            is_aside: false,
            copied: self.in_history,
            replaces: false,
            at_least: usage::at_least(entry, body),
            context,
            window,
            call: Call { model: body.model.owned(), finish_reason: body.stop_reason.owned() }.known(),
        })))
    }

    fn user(&mut self, entry: &Entry<'_>, at: Option<Timestamp>, facts: &mut Vec<Fact>) {
        let blocks = entry.message.0.as_ref().map_or(&[][..], |body| &body.content.0);
        let results = blocks.iter().filter(|block| block.kind.is("tool_result"));
        let ended: Vec<Fact> =
            results.map(|block| Fact::CallEnded { call: block.tool_use_id.owned() }).collect();
        if !ended.is_empty() {
            self.turns.between_calls();
            facts.extend(ended);
            // A rule that forbids a call does not stop the model; a user who forbids it does.
            if entry.tool_denial_kind.text().is_some_and(|kind| kind != "permission-rule") {
                self.turns.end(facts);
            }
            return;
        }
        let line = UserLine::of(entry, blocks);
        if line == UserLine::Interrupted {
            self.turns.close(0, facts);
            return;
        }
        let turn = entry.prompt_id.owned().or_else(|| entry.uuid.owned());
        self.user_line(line, entry.turn_origin.is_there(), turn, at, facts);
        if matches!(line, UserLine::Command | UserLine::CommandDone) {
            facts.push(Fact::UserCommand(line == UserLine::Command));
        }
    }

    /// A turn may begin at this line; it does if the line is `marked`.
    fn user_line(
        &mut self,
        line: UserLine,
        marked: bool,
        turn: Option<String>,
        at: Option<Timestamp>,
        facts: &mut Vec<Fact>,
    ) {
        let silence = self.last_at.zip(at).map(|(last, at)| elapsed(last, at));
        if self.turns.user_line(line, at, silence, marked) {
            facts.push(Fact::TurnStarted { turn, started_at: None, window: None });
        }
    }

    fn system(&mut self, entry: &Entry<'_>, facts: &mut Vec<Fact>) {
        match entry.subtype.text() {
            Some("turn_duration") => {
                self.ends_recorded = true;
                let pending = [&entry.pending_background_agent_count, &entry.pending_workflow_count];
                let pending = pending.into_iter().filter_map(|count| count.number());
                self.turns.close(pending.fold(0, u64::saturating_add), facts);
            }
            Some("scheduled_task_fire") => self.turns.fire(),
            Some("stop_hook_summary") => self.turns.end(facts),
            Some("compact_boundary") => {
                let after = decode(entry.compact_metadata)
                    .and_then(|about| value::field(&about, "postTokens").and_then(value::number));
                facts.push(Fact::Compacted(after));
            }
            _ => {}
        }
    }

    /// Lines with images are too long to be read. Their first bytes show whether they are a prompt or a result.
    fn oversized(&mut self, first: &[u8]) -> Vec<Fact> {
        let has = |word: &[u8]| memchr::memmem::find(first, word).is_some();
        let helper = self.whose.as_ref().is_some_and(|whose| whose.helper);
        let mut facts = Vec::new();
        self.steps = self.steps.wrapping_add(1);
        if !has(b"\"type\":\"user\"") || has(b"\"isSidechain\":true") && !helper {
            return facts;
        }
        let key: &[u8] = b"\"tool_use_id\":\"";
        if has(key) {
            let call = value::text_after(first, key).map(str::to_owned);
            self.turns.between_calls();
            facts.push(Fact::CallEnded { call });
        } else if !has(b"\"isMeta\":true") && !has(b"\"isCompactSummary\":true") {
            self.user_line(UserLine::Prompt, false, None, None, &mut facts);
        }
        facts
    }
}
