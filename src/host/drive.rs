//! The engine, driven in a time that the caller gives, with its questions about folders answered.
//!
//! The rules of driving: hand in what happens with [`Drive::take`], take what comes out until [`Drive::poll`] has nothing
//! more, and come again at the engine's next deadline.

use std::future::pending;

use super::finding::Finding;
use crate::core::engine::{Engine, Input, Output};
use crate::core::privacy::Answer;
use crate::core::report::{ConfigReport, DaemonReport, StatusReport};
use crate::core::time::Now;
use crate::io::real_path;

/// Who finds out where folders lead.
#[derive(Debug)]
pub enum Folders {
    /// Nobody: there are no links and no worktrees.
    AsWritten,
    /// This machine, at once.
    Looked,
    /// This machine, beside what else is done.
    Beside(Finding),
}

/// An engine that is driven.
#[derive(Debug)]
pub struct Drive {
    /// What decides.
    pub engine: Engine,
    folders: Folders,
}

impl Drive {
    /// Drives `engine`.
    pub fn new(engine: Engine, folders: Folders) -> Self {
        Self { engine, folders }
    }

    /// Hands in what happened at once: one decision follows from all of it.
    pub fn take(&mut self, now: Now, inputs: impl IntoIterator<Item = Input>) {
        self.engine.handle_all(now, inputs);
    }

    /// The next thing to be done outside; to be called until there is none. Questions about folders are none of them.
    pub fn poll(&mut self, now: Now) -> Option<Output> {
        loop {
            let question = match self.engine.poll_output(now)? {
                Output::Locate(question) => question,
                output => return Some(output),
            };
            let answer = match &mut self.folders {
                Folders::AsWritten => question.as_written(),
                Folders::Looked => real_path::locate(&question),
                Folders::Beside(finding) => {
                    finding.ask(question);
                    continue;
                }
            };
            self.engine.handle(now, Input::Located(answer));
        }
    }

    /// What was found out beside everything else, to be handed in. Nothing is lost when the wait is given up.
    pub async fn found(&mut self) -> Answer {
        match &mut self.folders {
            Folders::Beside(finding) => finding.next().await,
            Folders::AsWritten | Folders::Looked => pending().await,
        }
    }

    /// The status report.
    pub fn status(&self, now: Now, daemon: DaemonReport, config: ConfigReport) -> StatusReport {
        let daemon = DaemonReport { paused_until: self.engine.paused_until(), ..daemon };
        self.engine.status(now, daemon, config)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::core::config::{ConfigContext, Effective};
    use crate::core::file::SessionFile;
    use crate::core::publish::Publisher;
    use crate::core::source::Agent;
    use crate::core::source_event::{FileId, SourceEvent};

    const NOW: Now = Now { mono: Duration::ZERO, wall: Timestamp::constant(1_763_632_800, 0) };

    fn drive(settings: &str) -> Drive {
        let settings = Effective::read(settings, &ConfigContext::default()).settings;
        let publisher = Publisher::new(0, &settings).with_terminal(NOW);
        Drive::new(Engine::new(settings, TimeZone::UTC, publisher), Folders::AsWritten)
    }

    fn outputs(drive: &mut Drive, event: SourceEvent) -> Vec<Output> {
        drive.take(NOW, [Input::Source(event)]);
        std::iter::from_fn(|| drive.poll(NOW)).collect()
    }

    #[test]
    fn what_a_shell_has_to_know_comes_out() {
        let (mut drive, home) = (drive(""), || Arc::from("/home"));
        let problem = |message: Option<&str>| (home(), message.map(str::to_owned));
        for (home, message) in [problem(Some("it cannot be read")), problem(None)] {
            let event =
                SourceEvent::Problem { key: "folder", home: Arc::clone(&home), message: message.clone() };
            assert!(outputs(&mut drive, event).contains(&Output::Problem { home, message }));
        }
        assert!(outputs(&mut drive, SourceEvent::CaughtUp).contains(&Output::CaughtUp));
        let register = SourceEvent::Register { home: home(), register: None };
        assert!(outputs(&mut drive, register).contains(&Output::Register));
    }

    #[test]
    fn a_question_about_folders_is_answered_before_anything_else_comes_out() {
        let mut drive = drive("[[privacy.rule]]\npath = \"/secret\"\nshow = \"hide\"");
        let mut file = SessionFile::new(Agent::CODEX, Arc::from("/home"), NOW.wall);
        let line = |kind: &str, payload: &str| {
            let at = NOW.wall;
            format!("{{\"timestamp\":\"{at}\",\"type\":\"{kind}\",\"payload\":{{{payload}}}}}\n")
        };
        file.push(line("session_meta", "\"id\":\"s\",\"cwd\":\"/app\",\"source\":\"cli\"").as_bytes());
        file.push(line("event_msg", "\"type\":\"task_started\",\"turn_id\":\"t\"").as_bytes());
        let update = Box::new(file.take_update().unwrap());
        let file = FileId::new(1);
        let event = SourceEvent::Updated { file, update, read: None };
        let outputs = outputs(&mut drive, event);
        assert!(!outputs.iter().any(|output| matches!(output, Output::Locate(_))), "{outputs:?}");
        assert!(drive.engine.card().is_some());
    }
}
