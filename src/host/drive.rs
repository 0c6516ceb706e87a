//! Runs the engine in a time that the caller gives, and answers its questions about folders.
//!
//! Pass inputs with [`Drive::take`], handle outputs until [`Drive::poll`] has none, and call again at the engine's next
//! deadline.

use std::future::pending;

use super::lookup::FolderLookup;
use crate::core::engine::{Engine, Input, Output};
use crate::core::privacy::FolderAnswer;
use crate::core::report::{ConfigReport, DaemonReport, StatusReport};
use crate::core::time::Now;
use crate::io::real_path;

/// How questions about folders are answered.
#[derive(Debug)]
pub enum Folders {
    /// By the path alone, without links and worktrees.
    AsWritten,
    /// From the file system, at once.
    Looked,
    /// From the file system, on another thread.
    Beside(FolderLookup),
}

/// An engine with its answers about folders.
#[derive(Debug)]
pub struct Drive {
    /// The engine.
    pub engine: Engine,
    folders: Folders,
}

impl Drive {
    /// Drives `engine`.
    pub fn new(engine: Engine, folders: Folders) -> Self {
        Self { engine, folders }
    }

    /// Passes inputs that make one decision together.
    pub fn take(&mut self, now: Now, inputs: impl IntoIterator<Item = Input>) {
        self.engine.handle_all(now, inputs);
    }

    /// The next output; to be called until there is none. Questions about folders are answered here.
    pub fn poll(&mut self, now: Now) -> Option<Output> {
        loop {
            let question = match self.engine.poll_output(now)? {
                Output::Locate(question) => question,
                output => return Some(output),
            };
            let answer = match &mut self.folders {
                Folders::AsWritten => question.as_written(),
                Folders::Looked => real_path::locate(&question),
                Folders::Beside(lookup) => {
                    lookup.ask(question);
                    continue;
                }
            };
            self.engine.handle(now, Input::Located(answer));
        }
    }

    /// The answer of the other thread, to be passed in. Cancel safe.
    pub async fn found(&mut self) -> FolderAnswer {
        match &mut self.folders {
            Folders::Beside(lookup) => lookup.next().await,
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
    fn problems_the_end_of_reading_and_registers_are_outputs() {
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
    fn a_question_about_folders_is_answered_before_the_next_output() {
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
