//! A defect in the reading of session files ends neither the daemon nor the reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agent_presence::core::file::{FileUpdate, LineageRequest, SessionFile, UsageRow};
use agent_presence::core::source::Agent;
use agent_presence::core::source_event::SourceEvent;
use agent_presence::homes::Home;
use agent_presence::host::reading::{Read, Reading};
use agent_presence::intake::{Fold, Head};
use jiff::Timestamp;

use crate::support::PATIENCE;

static HAS_PANICKED: AtomicBool = AtomicBool::new(false);

/// Reads as the real one does, but panics at the first bytes that it ever gets.
#[derive(Debug)]
struct Defective(SessionFile);

impl Fold for Defective {
    type Update = FileUpdate;

    fn new(agent: Agent, home: Arc<str>, live_since: Timestamp) -> Self {
        Self(SessionFile::new(agent, home, live_since))
    }

    fn push(&mut self, bytes: &[u8]) {
        assert!(HAS_PANICKED.swap(true, Ordering::SeqCst), "the defect");
        self.0.push(bytes);
    }

    fn end_line(&mut self) -> bool {
        self.0.end_line()
    }

    fn unfinished(&self) -> u64 {
        self.0.unfinished()
    }

    fn jump(&mut self) {
        self.0.jump();
    }

    fn tail_suffices(&self) -> bool {
        self.0.tail_suffices()
    }

    fn caught_up(&mut self) {
        self.0.caught_up();
    }

    fn lineage_wanted(&self) -> Option<LineageRequest> {
        self.0.lineage_wanted()
    }

    fn set_lineage(&mut self, candidates: &[Vec<UsageRow>]) {
        self.0.set_lineage(candidates);
    }

    fn take_update(&mut self) -> Option<FileUpdate> {
        self.0.take_update()
    }

    fn head(&self) -> Option<Head> {
        Fold::head(&self.0)
    }
}

#[test]
fn a_reading_that_breaks_off_is_started_again() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("sessions/2026/11/20");
    std::fs::create_dir_all(&folder).unwrap();
    let id = "01aa0000-0000-7000-8000-000000000001";
    let line = format!(
        r#"{{"timestamp":"2026-11-20T10:00:00.000Z","type":"session_meta","payload":{{"id":"{id}","timestamp":"2026-11-20T10:00:00.000Z","cwd":"/w/app","originator":"codex-tui","cli_version":"0.160.0","source":"cli"}}}}"#
    );
    std::fs::write(folder.join(format!("rollout-2026-11-20T10-00-00-{id}.jsonl")), line + "\n").unwrap();
    let homes = vec![Home { agent: Agent::CODEX, path: home.path().to_owned(), label: "home".into() }];

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seen = runtime.block_on(async {
        let mut reading = Reading::<Defective>::start(homes).unwrap();
        let mut started_again = false;
        loop {
            match tokio::time::timeout(PATIENCE, reading.next()).await.unwrap() {
                Read::StartedAgain => started_again = true,
                Read::Event(SourceEvent::Updated { update, .. }) => {
                    assert!(reading.stop());
                    return (started_again, update.session.id);
                }
                Read::Event(_) => {}
            }
        }
    });
    assert_eq!(seen, (true, id.to_owned()));
}
