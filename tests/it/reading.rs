//! A defect in the reading of session files ends neither the daemon nor the reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use agent_presence::core::source::Agent;
use agent_presence::core::source_event::SourceEvent;
use agent_presence::core::time::Now;
use agent_presence::host::reading::{Read, Reading};
use agent_presence::io::clock;
use agent_presence::io::homes::Home;

use crate::support::PATIENCE;

/// Tells the time, but panics where the reading asks for it first.
fn defective() -> Now {
    static HAS_PANICKED: AtomicBool = AtomicBool::new(false);
    let is_reading = thread::current().name() == Some("intake");
    assert!(!is_reading || HAS_PANICKED.swap(true, Ordering::SeqCst), "the defect");
    clock::now()
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
        let mut reading = Reading::resume(Arc::new(defective), homes, None).unwrap();
        let mut started_again = false;
        loop {
            match tokio::time::timeout(PATIENCE, reading.next()).await.unwrap() {
                Read::StartedAgain => started_again = true,
                Read::Event(SourceEvent::Updated { update, .. }) => {
                    return (started_again, update.session.id);
                }
                Read::Event(_) => {}
            }
        }
    });
    assert_eq!(seen, (true, id.to_owned()));
}
