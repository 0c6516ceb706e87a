//! Finds the beginning and end of each turn of one transcript.
//!
//! Newer versions mark every line that begins a turn (`turnOrigin`, see [`super::reader`]). Otherwise the user's
//! prompt begins one, and so do lines that start the model again: a background task's notification, a schedule, the
//! end of a limit. A message that is queued into a running turn does not.
//! Read next: [`super::reader`], which classifies the lines.

use std::time::Duration;

use jiff::Timestamp;

use super::entry::{Block, Entry, decode};
use crate::session::CALL_SILENCE;
use crate::source::lenient::Scalar;
use crate::source::{Fact, value};

/// The beginnings of user lines that are not prompts: local commands and their output.
const NO_PROMPT: [&str; 3] = ["<command-name>", "<local-command-", "[Request interrupted"];

/// The beginning of a finished background task's line in the user's name.
const NOTIFICATION: &str = "<task-notification>";

/// `origin.kind` of the lines that start a session again when a limit is over.
const CONTINUATION: &str = "auto-continuation";

/// The kind of a user line that is not a tool's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UserLine {
    /// Claude Code's note that the turn was interrupted.
    Interrupted,
    /// A command that the user runs (`!`).
    Command,
    /// The end of that command.
    CommandDone,
    /// The user's prompt to the model.
    Prompt,
    /// A finished background task's notification, which the model answers.
    Notification,
    /// A line without an author that makes the model continue.
    Wake,
    /// A note of the program; a scheduled task's prompt looks the same.
    Note,
    /// A line that the model does not answer.
    Nothing,
}

impl UserLine {
    pub(super) fn of(entry: &Entry<'_>, blocks: &[Block<'_>]) -> Self {
        let begins = |word: &str| blocks.first().is_some_and(|block| block.text.begins(word));
        if blocks.iter().any(|block| block.text.begins("[Request interrupted")) {
            return Self::Interrupted;
        }
        if begins("<bash-input>") {
            return Self::Command;
        }
        if begins("<bash-stdout>") || begins("<bash-stderr>") {
            return Self::CommandDone;
        }
        let aside = [&entry.is_compact_summary, &entry.is_visible_in_transcript_only, &entry.turn_companion];
        let says_something = blocks
            .iter()
            .any(|block| block.text.text().is_some() || block.kind.is("image") || block.kind.is("document"));
        if !says_something || aside.into_iter().any(Scalar::flag) || NO_PROMPT.into_iter().any(begins) {
            return Self::Nothing;
        }
        let origin = decode(entry.origin);
        let origin = origin.as_ref().and_then(|origin| value::text(origin, "kind"));
        match origin {
            Some("task-notification") => Self::Notification,
            None if begins(NOTIFICATION) => Self::Notification,
            // For other kinds, only the program's own texts are known to be for the model.
            Some(kind) if kind == CONTINUATION || kind != "human" && entry.is_meta.flag() => Self::Wake,
            _ if entry.is_meta.flag() => Self::Note,
            None | Some("human") => Self::Prompt,
            Some(_) => Self::Nothing,
        }
    }
}

/// Whether a turn is running, by the lines so far.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: State,
    /// Whether a scheduled task was announced since the newest turn began.
    fired: bool,
    /// The number of helpers that continue, by the line that ended the turn, minus those that have ended since.
    pending: u64,
    /// The time of the first answer without a running turn. The line that began its turn may come later: a new file
    /// is written in any order.
    early: Option<Timestamp>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No turn is known to run. A hook may still continue the last one.
    #[default]
    Over,
    /// The end of the turn is recorded, so a further answer belongs to another turn.
    Closed {
        /// Whether a line has come since that the model may answer.
        asked: bool,
    },
    Open,
    /// The newest step was a call or its result, so the model will continue.
    BetweenCalls,
}

impl Turns {
    /// A turn begins.
    fn begin(&mut self) {
        (self.state, self.fired, self.early) = (State::Open, false, None);
    }

    /// The turn may be over.
    pub(super) fn end(&mut self, facts: &mut Vec<Fact>) {
        self.state = State::Over;
        facts.push(Fact::TurnEnded);
        if self.pending > 0 {
            facts.push(Fact::HelpersPending);
        }
    }

    /// The turn is over and will not continue, but this many helpers do.
    pub(super) fn close(&mut self, pending: u64, facts: &mut Vec<Fact>) {
        self.pending = pending;
        self.end(facts);
        (self.state, self.early) = (State::Closed { asked: false }, None);
    }

    /// A scheduled task is announced; its prompt follows.
    pub(super) fn fire(&mut self) {
        self.fired = true;
        self.asked();
    }

    /// A result of a call arrives, or a call begins.
    pub(super) fn between_calls(&mut self) {
        self.state = State::BetweenCalls;
    }

    /// The model answers. True if this begins a turn that no line announced.
    pub(super) fn answered(&mut self, at: Option<Timestamp>) -> bool {
        let unannounced = self.state == State::Closed { asked: true };
        if !self.is_open() {
            self.early = self.early.or(at);
        }
        self.state = State::Open;
        unannounced
    }

    /// A user line that is not a result. True if a turn begins with it, as it does if it is `marked`. `silence` is
    /// the time since the line before.
    pub(super) fn user_line(
        &mut self,
        line: UserLine,
        at: Option<Timestamp>,
        silence: Option<Duration>,
        marked: bool,
    ) -> bool {
        if line == UserLine::Notification {
            self.pending = self.pending.saturating_sub(1);
        }
        if at.zip(self.early).is_some_and(|(at, answer)| at < answer) {
            return false;
        }
        let is_running = match line {
            _ if marked => false,
            UserLine::Prompt => self.state == State::BetweenCalls,
            UserLine::Notification | UserLine::Wake => self.is_open(),
            UserLine::Note if self.fired => self.is_open(),
            _ => {
                self.asked();
                return false;
            }
        };
        // No message is queued into a turn that was broken off long ago.
        let begins = !is_running || silence.is_some_and(|silence| silence >= CALL_SILENCE);
        if begins {
            self.begin();
        }
        begins
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open | State::BetweenCalls)
    }

    fn asked(&mut self) {
        if let State::Closed { asked } = &mut self.state {
            *asked = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_after_the_first_answer_began_its_turn() {
        let [prompt, answer, next] = [1, 2, 9].map(|second| Timestamp::from_second(second).ok());
        let mut turns = Turns::default();
        assert!(!turns.answered(answer));
        turns.end(&mut Vec::new());
        assert!(!turns.user_line(UserLine::Prompt, prompt, None, true), "the turn was reported, and is over");
        assert!(turns.user_line(UserLine::Prompt, next, None, true));
    }

    #[test]
    fn a_prompt_is_queued_only_between_calls() {
        let mut turns = Turns::default();
        assert!(turns.user_line(UserLine::Prompt, None, None, false));
        assert!(turns.user_line(UserLine::Prompt, None, None, false), "the first was never answered");
        turns.between_calls();
        assert!(!turns.user_line(UserLine::Prompt, None, Some(Duration::from_secs(5)), false));
        assert!(turns.user_line(UserLine::Prompt, None, Some(CALL_SILENCE), false), "the call never ended");
    }

    #[test]
    fn a_notification_is_queued_into_a_running_turn() {
        let mut turns = Turns::default();
        assert!(turns.user_line(UserLine::Wake, None, None, false));
        assert!(!turns.user_line(UserLine::Wake, None, None, false));
        assert!(!turns.answered(None));
        assert!(!turns.user_line(UserLine::Wake, None, None, false));
        turns.end(&mut Vec::new());
        assert!(turns.user_line(UserLine::Wake, None, None, false));
    }

    #[test]
    fn a_note_begins_a_turn_when_a_scheduled_task_fired() {
        let mut turns = Turns::default();
        assert!(!turns.user_line(UserLine::Note, None, None, false));
        turns.fire();
        assert!(turns.user_line(UserLine::Note, None, None, false));
        turns.close(0, &mut Vec::new());
        assert!(!turns.user_line(UserLine::Note, None, None, false), "that was the one before");
    }

    #[test]
    fn an_answer_after_a_recorded_end_begins_a_turn_only_after_another_line() {
        let mut turns = Turns::default();
        turns.close(0, &mut Vec::new());
        assert!(!turns.answered(None), "a line of the last message may come late");
        turns.close(0, &mut Vec::new());
        turns.user_line(UserLine::Nothing, None, None, false);
        assert!(turns.answered(None));
        assert!(!turns.answered(None));
        turns.end(&mut Vec::new());
        turns.user_line(UserLine::Note, None, None, false);
        assert!(!turns.answered(None), "a hook made it go on");
    }

    #[test]
    fn a_marked_line_of_any_kind_begins_a_turn() {
        let mut turns = Turns::default();
        turns.between_calls();
        assert!(turns.user_line(UserLine::CommandDone, None, None, true));
    }

    #[test]
    fn helpers_are_pending_until_each_has_ended() {
        let pending = |turns: &mut Turns| {
            let mut facts = Vec::new();
            turns.end(&mut facts);
            facts.contains(&Fact::HelpersPending)
        };
        let mut turns = Turns::default();
        turns.close(2, &mut Vec::new());
        turns.user_line(UserLine::Prompt, None, None, false);
        assert!(pending(&mut turns), "a turn in between");
        turns.user_line(UserLine::Notification, None, None, true);
        assert!(pending(&mut turns), "one of two is done");
        turns.user_line(UserLine::Notification, None, None, false);
        assert!(!pending(&mut turns));
        turns.close(1, &mut Vec::new());
        turns.close(0, &mut Vec::new());
        assert!(!pending(&mut turns));
    }
}
