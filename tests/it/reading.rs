//! Neither a defect in the reading of session files nor a disk that does not answer ends it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use agent_presence::core::source::Agent;
use agent_presence::core::source_event::SourceEvent;
use agent_presence::core::time::Now;
use agent_presence::host::reading::{Read, Reading};
use agent_presence::io::clock;
use agent_presence::io::homes::Home;
use agent_presence::io::intake::IntakeConfig;
use tempfile::TempDir;

use crate::support::PATIENCE;

const ID: &str = "01aa0000-0000-7000-8000-000000000001";

/// A home of Codex's with one session, and what it is called.
fn home(label: &str) -> (TempDir, Home) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("sessions/2026/11/20")).unwrap();
    let at = clock::now().wall;
    let line = format!(
        r#"{{"timestamp":"{at}","type":"session_meta","payload":{{"id":"{ID}","timestamp":"{at}","cwd":"/w/app","originator":"codex-tui","cli_version":"0.160.0","source":"cli"}}}}"#
    );
    append(folder.path(), &line);
    let home = Home { agent: Agent::CODEX, path: folder.path().to_owned(), label: label.into() };
    (folder, home)
}

fn append(home: &Path, line: &str) {
    let file = home.join(format!("sessions/2026/11/20/rollout-2026-11-20T10-00-00-{ID}.jsonl"));
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Ten tokens, for the `n`th time.
fn use_tokens(home: &Path, n: u64) {
    let at = clock::now().wall;
    let count = |n: u64| format!(r#"{{"input_tokens":{n},"output_tokens":0,"total_tokens":{n}}}"#);
    let (total, last) = (count(n * 10), count(10));
    append(
        home,
        &format!(
            r#"{{"timestamp":"{at}","type":"event_msg","payload":{{"type":"token_count","info":{{"total_token_usage":{total},"last_token_usage":{last}}}}}}}"#
        ),
    );
}

/// Waits for an event in which `look` finds what it looks for. Says as well whether everything was read anew before it.
async fn wait_for<T>(reading: &mut Reading, mut look: impl FnMut(&SourceEvent) -> Option<T>) -> (bool, T) {
    let mut started_again = false;
    loop {
        match tokio::time::timeout(PATIENCE, reading.next()).await.unwrap() {
            Read::Restarted => started_again = true,
            Read::Event(event) => {
                if let Some(found) = look(&event) {
                    return (started_again, found);
                }
            }
        }
    }
}

/// What the session in the home `label` has used, and what of it is news.
fn usage(label: &str, event: &SourceEvent) -> Option<(u64, Vec<u64>)> {
    let SourceEvent::Updated { update, .. } = event else { return None };
    let total = update.session.usage.session_total_tokens.unwrap_or_default().all();
    let news = update.usage.iter().filter_map(|event| Some(event.added?.all()));
    (*update.session.home == *label).then(|| (total, news.collect()))
}

fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Tells the time, but panics where the reading asks for it first.
fn defective() -> Now {
    static HAS_PANICKED: AtomicBool = AtomicBool::new(false);
    let is_reading = thread::current().name() == Some("intake");
    assert!(!is_reading || HAS_PANICKED.swap(true, Ordering::SeqCst), "the defect");
    clock::now()
}

#[test]
fn a_reading_that_breaks_off_is_started_again() {
    let (_folder, home) = home("home");
    let (started_again, ()) = in_runtime(async {
        let mut reading = Reading::resume(Arc::new(defective), vec![home], None).unwrap();
        wait_for(&mut reading, |event| usage("home", event).map(|_| ())).await
    });
    assert!(started_again);
}

/// A disk that gives nothing while it is stuck.
#[derive(Default)]
struct Disk {
    is_stuck: Mutex<bool>,
    changed: Condvar,
}

impl Disk {
    fn set_stuck(&self, is_stuck: bool) {
        *self.is_stuck.lock().unwrap() = is_stuck;
        self.changed.notify_all();
    }

    fn wait(&self) {
        drop(self.changed.wait_while(self.is_stuck.lock().unwrap(), |is_stuck| *is_stuck).unwrap());
    }
}

/// Two homes, of which one is on a disk that may be stuck, and how to read them.
struct Two {
    quick: TempDir,
    slow: TempDir,
    disk: Arc<Disk>,
    config: IntakeConfig,
}

impl Two {
    fn new() -> Self {
        let ((quick, one), (slow, other)) = (home("quick"), home("slow"));
        let disk = Arc::new(Disk::default());
        let of_other = Arc::clone(&disk);
        let turn = move |home: &str| {
            if home == "slow" {
                of_other.wait();
            }
        };
        // The one that is slow is met first.
        let config = IntakeConfig {
            turn: Some(Arc::new(turn)),
            ..IntakeConfig::new(vec![other, one], Arc::new(clock::now))
        };
        Self { quick, slow, disk, config }
    }
}

impl Drop for Two {
    fn drop(&mut self) {
        self.disk.set_stuck(false);
    }
}

#[test]
fn a_home_on_a_disk_that_does_not_answer_delays_no_other() {
    let two = Two::new();
    two.disk.set_stuck(true);
    in_runtime(async {
        let mut reading = Reading::start(two.config.clone()).unwrap();
        let (started_again, first) = wait_for(&mut reading, |event| {
            assert_eq!(usage("slow", event), None, "its disk is stuck");
            usage("quick", event)
        })
        .await;
        assert_eq!((started_again, first), (true, (0, vec![])));
        wait_for(&mut reading, |event| matches!(event, SourceEvent::CaughtUp).then_some(())).await;

        use_tokens(two.quick.path(), 1);
        let (started_again, live) = wait_for(&mut reading, |event| usage("quick", event)).await;
        assert_eq!((started_again, live), (false, (10, vec![10])));

        two.disk.set_stuck(false);
        let (_, late) = wait_for(&mut reading, |event| usage("slow", event)).await;
        assert_eq!(late, (0, vec![]));
    });
}

#[test]
fn events_from_before_a_disk_was_stuck_are_not_repeated() {
    let two = Two::new();
    in_runtime(async {
        let mut reading = Reading::start(two.config.clone()).unwrap();
        wait_for(&mut reading, |event| matches!(event, SourceEvent::CaughtUp).then_some(())).await;
        for home in [&two.quick, &two.slow] {
            use_tokens(home.path(), 1);
        }
        let mut told = [false; 2];
        wait_for(&mut reading, |event| {
            for (label, told) in ["quick", "slow"].into_iter().zip(&mut told) {
                *told |= usage(label, event).is_some_and(|usage| usage == (10, vec![10]));
            }
            (told == [true; 2]).then_some(())
        })
        .await;

        two.disk.set_stuck(true);
        use_tokens(two.slow.path(), 2);
        // The reading turns to the other home once it is apart.
        let (started_again, restored) = wait_for(&mut reading, |event| usage("quick", event)).await;
        assert_eq!((started_again, restored), (true, (10, vec![])), "no news");
        use_tokens(two.quick.path(), 2);
        let (_, live) = wait_for(&mut reading, |event| usage("quick", event)).await;
        assert_eq!(live, (20, vec![10]));

        two.disk.set_stuck(false);
        let mut news = Vec::new();
        wait_for(&mut reading, |event| {
            let (total, new) = usage("slow", event)?;
            news.extend(new);
            (total == 20).then_some(())
        })
        .await;
        assert_eq!(news, [10], "what came meanwhile, once");
    });
}

#[test]
fn homes_can_change_while_a_disk_is_stuck() {
    let two = Two::new();
    let (third_folder, third) = home("third");
    two.disk.set_stuck(true);
    in_runtime(async {
        let mut reading = Reading::start(two.config.clone()).unwrap();
        wait_for(&mut reading, |event| usage("quick", event)).await;
        let mut homes = two.config.homes.clone();
        homes.push(third.clone());
        reading.set_homes(homes);
        let (started_again, _) = wait_for(&mut reading, |event| usage("third", event)).await;
        assert!(!started_again, "the other homes are read on");

        // Without the one that is stuck.
        reading.set_homes(vec![third]);
        let (started_again, _) = wait_for(&mut reading, |event| usage("third", event)).await;
        assert!(started_again, "what is known of the home that is stuck is void");
        use_tokens(third_folder.path(), 1);
        let (started_again, live) = wait_for(&mut reading, |event| usage("third", event)).await;
        assert_eq!((started_again, live), (false, (10, vec![10])));
    });
}
