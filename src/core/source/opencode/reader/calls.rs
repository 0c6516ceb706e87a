//! The running tools of the newest response, from itself or its parts, and the tokens in the parts of others.

use jiff::Timestamp;

use super::Reader;
use crate::source::opencode::entry::{Entry, Tool, Used};
use crate::source::opencode::tool;
use crate::source::{Doing, Fact, Parsed};

impl Reader {
    /// The tool calls of a response that contains them.
    pub(super) fn tools(&mut self, entry: &Entry<'_>, facts: &mut Vec<Fact>, tell: &mut dyn FnMut(Parsed)) {
        for Tool { id, name, state, time, .. } in entry.tools() {
            let Some(state) = &state.0 else { continue };
            let Some(call) = id.owned() else { continue };
            let doing = || tool::doing(name.text().unwrap_or_default(), state.input.0.as_ref());
            let times = time.0.as_ref();
            let began = times.and_then(|times| times.created.time());
            let ended = times.and_then(|times| times.completed.time());
            self.tool(call, doing, state.is_over(), (began, ended), facts, tell);
        }
    }

    fn tool(
        &mut self,
        call: String,
        doing: impl Fn() -> Doing,
        is_over: bool,
        (began, ended): (Option<Timestamp>, Option<Timestamp>),
        facts: &mut Vec<Fact>,
        tell: &mut dyn FnMut(Parsed),
    ) {
        let Some(answer) = &mut self.answer else { return };
        let is_open = answer.calls.contains(&call);
        let started = Fact::CallStarted { call: Some(call.clone()), doing: doing() };
        match (is_over, is_open) {
            (false, true) => {}
            (false, false) => {
                answer.calls.push(call);
                facts.push(started);
            }
            (true, is_open) => {
                answer.calls.retain(|open| *open != call);
                if answer.done.insert(call.clone()) {
                    if !is_open {
                        tell(Parsed::of(began, vec![started]));
                    }
                    tell(Parsed::of(ended, vec![Fact::CallEnded { call: Some(call) }]));
                }
            }
        }
    }

    pub(super) fn part(
        &mut self,
        key: &str,
        of: Option<&str>,
        entry: &Entry<'_>,
        tell: &mut dyn FnMut(Parsed),
    ) {
        let Some(of) = of else { return tell(Parsed::Unreadable) };
        let answer = self.answer.as_ref().filter(|answer| answer.id == of);
        let is_open = answer.is_some_and(|answer| answer.completed.is_none());
        match entry.kind.text() {
            Some("tool") if is_open => {
                let Some(state) = &entry.state.0 else { return };
                let call = entry.call.owned().unwrap_or_else(|| key.to_owned());
                let doing = || tool::doing(entry.tool.text().unwrap_or_default(), state.input.0.as_ref());
                let times = state.time.0.as_ref();
                let began = times.and_then(|times| times.start.time());
                let ended = times.and_then(|times| times.end.time());
                let mut facts = Vec::new();
                self.tool(call, doing, state.is_over(), (began, ended), &mut facts, tell);
                if !facts.is_empty() {
                    tell(Parsed::of(began, facts));
                }
            }
            Some("step-finish") => {
                let Some(tokens) = entry.tokens.0.as_ref().map(Used::tokens) else { return };
                let completed = self.parts.contains_key(of);
                if !is_open && !completed {
                    return;
                }
                self.parts.entry(of.to_owned()).or_default().insert(key.to_owned(), tokens);
                if !is_open {
                    self.filled.insert(of.to_owned());
                }
            }
            _ => {}
        }
    }
}
