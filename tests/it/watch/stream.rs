//! A thousand events a second (a hundred in an emulator), while those who read come and go and daemons take over from each
//! other.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::consumer::Consumer;
use crate::support::SLOW_MACHINE;
use crate::support::claude_session::ClaudeSession;
use crate::support::codex_session::CodexSession;
use crate::support::home::Home;
use crate::support::process::Process;

/// How much each event costs, as cards count.
const COST: u64 = 10;
/// Events in a hundredth of a second.
const AT_ONCE: usize = if SLOW_MACHINE { 1 } else { 10 };

/// Sessions of both agents that are written to until they are told to stop.
struct Writer {
    stop: Sender<()>,
    thread: JoinHandle<BTreeMap<String, usize>>,
}

impl Writer {
    fn start(mut codex: Vec<CodexSession>, mut claude: Vec<ClaudeSession>) -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let mut written = BTreeMap::new();
            let mut turn = 0;
            while stopped.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
                for _ in 0..AT_ONCE {
                    let place = turn % (codex.len() + claude.len());
                    let id = match codex.get_mut(place) {
                        Some(session) => session.tokens(COST).id.clone(),
                        None => claude[place - codex.len()].call(COST).id.clone(),
                    };
                    *written.entry(id).or_default() += 1;
                    turn += 1;
                }
            }
            written
        });
        Self { stop, thread }
    }

    /// How many events were written of each session.
    fn stop(self) -> BTreeMap<String, usize> {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

/// Sessions of both agents with one event each.
fn sessions(home: &Home) -> (Vec<CodexSession>, Vec<ClaudeSession>) {
    let codex = (0..3).map(|_| {
        let mut session = home.session();
        session.turn().tokens(COST);
        session
    });
    let codex = codex.collect();
    let claude = (0..3).map(|_| {
        let mut session = home.claude_session();
        session.turn().call(COST);
        session
    });
    (codex, claude.collect())
}

fn started(home: &Home) -> Process {
    let daemon = home.start("run");
    home.wait_for_status("the daemon", |status| {
        status["daemon"]["pid"] == daemon.pid() && status["sessions"].as_array().unwrap().len() == 6
    });
    daemon
}

/// The usage lines that are events in the logs of these daemons.
fn logged(logs: &[String]) -> usize {
    logs.iter().map(|log| log.matches("restored=false").count()).sum()
}

#[test]
fn every_event_comes_once_over_takeovers() {
    let home = Home::new();
    let (codex, claude) = sessions(&home);
    let mut daemon = started(&home);
    let mut consumer = Consumer::start(&home);
    consumer.read_until(|accounts| accounts.len() == 6);
    assert_eq!(consumer.restored(), [1; 6]);

    let writer = Writer::start(codex, claude);
    let mut logs = Vec::new();
    for _ in 0..3 {
        consumer.read_events(500);
        let next = home.start("run");
        let ended = daemon.wait_for_end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        logs.push(ended.err);
        daemon = next;
    }
    consumer.read_events(500);

    // One that comes late sees the rest, one that goes is not missed.
    let mut late = Consumer::start(&home);
    late.read_until(|accounts| accounts.len() == 6);
    let gone = Consumer::start(&home);
    drop(gone);
    consumer.read_events(500);

    let written = writer.stop();
    let is_complete = |accounts: &BTreeMap<String, super::consumer::Account>| {
        written.iter().all(|(id, events)| accounts[id].total.blended() == COST * (*events as u64 + 1))
    };
    consumer.read_until(is_complete);
    late.read_until(is_complete);
    for (id, events) in &written {
        assert_eq!(consumer.accounts[id].events, *events, "{id}");
    }
    assert_eq!(consumer.restored(), [1; 6], "nothing is announced again");
    assert_eq!(late.restored(), [1; 6]);
    assert!(!consumer.others.iter().any(|other| other.starts_with("session")), "{:?}", consumer.others);

    logs.push(daemon.terminate().err);
    assert_eq!(logged(&logs), written.values().sum::<usize>(), "each event is in one log, once");
    let restored: usize = logs.iter().map(|log| log.matches("restored=true").count()).sum();
    assert_eq!(restored, 6, "the first daemon's");
}

#[test]
fn one_restored_event_covers_what_a_killed_daemon_did_not_tell() {
    let home = Home::new();
    let (codex, claude) = sessions(&home);
    let daemon = started(&home);
    let mut consumer = Consumer::start(&home);
    consumer.read_until(|accounts| accounts.len() == 6);
    let writer = Writer::start(codex, claude);
    consumer.read_events(500);
    daemon.kill();
    let _daemon = home.start("run");
    // What comes after the restored figures is told as it happens.
    consumer.read_until(|accounts| accounts.values().all(|account| account.restored == 2));
    consumer.read_events(500);
    let written = writer.stop();
    consumer.read_until(|accounts| {
        written.iter().all(|(id, events)| accounts[id].total.blended() == COST * (*events as u64 + 1))
    });
    assert_eq!(consumer.restored(), [2; 6]);
    assert!(consumer.events() <= written.values().sum());
}
