//! Claude Code's register of running sessions, with the real program and real processes that register.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use agent_presence::core::register::{Register, Status};
use agent_presence::core::source::Agent;
use agent_presence::core::source_event::SourceEvent;
use agent_presence::io::clock;
use agent_presence::io::homes::Home as AgentHome;
use agent_presence::io::intake::{self, IntakeConfig, Pace};
use serde_json::{Value, json};

use crate::support::claude_session::ClaudeSession;
use crate::support::home::Home;
use crate::support::{PATIENCE, SECRET};

/// A process that looks like one that has a session open.
struct Registering {
    child: Child,
    start: String,
}

impl Registering {
    fn start() -> Self {
        // Either waits for input that never comes.
        let (program, arguments): (_, &[&str]) =
            if cfg!(windows) { ("cmd", &["/c", "pause"]) } else { ("cat", &[]) };
        let mut command = Command::new(program);
        let child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let start = start(child.id());
        Self { child, start }
    }

    /// Writes its entry, as Claude Code does at each change of its status.
    fn says(&self, home: &Home, session: &ClaudeSession, status: &str) {
        self.says_started(home, session, status, &self.start);
    }

    fn says_started(&self, home: &Home, session: &ClaudeSession, status: &str, start: &str) {
        self.says_more(home, session, status, json!({"procStart": start}));
    }

    /// The same with other fields.
    fn says_more(&self, home: &Home, session: &ClaudeSession, status: &str, fields: Value) {
        let now = clock::now().wall.as_millisecond();
        let mut entry = json!({
            "pid": self.child.id(), "sessionId": session.id, "cwd": format!("/home/{SECRET}/app"), "startedAt": now,
            "procStart": self.start, "version": "2.1.270", "kind": "interactive", "entrypoint": "cli", "status": status,
            "statusUpdatedAt": now, "updatedAt": now, "name": SECRET,
        });
        if status == "waiting" {
            entry["waitingFor"] = json!("permission prompt");
        }
        entry.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        fs::create_dir_all(home.claude().join("sessions")).unwrap();
        fs::write(self.entry(home), entry.to_string()).unwrap();
    }

    fn entry(&self, home: &Home) -> PathBuf {
        home.claude().join(format!("sessions/{}.json", self.child.id()))
    }

    fn dies(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Registering {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// When a process started, as Claude Code writes it.
fn start(pid: u32) -> String {
    if cfg!(any(target_os = "linux", windows)) {
        return agent_presence::io::process::start_time(pid).unwrap().to_string();
    }
    let mut ps = Command::new("/bin/ps");
    ps.args(["-o", "lstart=", "-p", &pid.to_string()]).env("LC_ALL", "C").env("TZ", "UTC");
    String::from_utf8(ps.output().unwrap().stdout).unwrap().trim().to_owned()
}

fn activity<'a>(status: &'a Value, session: &ClaudeSession) -> &'a str {
    let sessions = status["sessions"].as_array().unwrap();
    let session = sessions.iter().find(|entry| entry["id"] == session.id.as_str());
    session.and_then(|session| session["activity"].as_str()).unwrap_or_default()
}

/// Asks the daemon itself until the session is doing this.
#[track_caller]
fn wait_until(home: &Home, session: &ClaudeSession, wanted: &str) -> Value {
    home.wait_for_status(wanted, |status| {
        status["daemon"]["state"] == "running" && activity(status, session) == wanted
    })
}

#[test]
fn a_permission_prompt_is_waiting_and_a_closed_session_clears_the_card() {
    let home = Home::new();
    let daemon = home.start("run --dry-run");
    let mut claude = home.claude_session();
    claude.turn().call(4_500);
    wait_until(&home, &claude, "running");
    let mut process = Registering::start();
    process.says(&home, &claude, "busy");
    process.says(&home, &claude, "waiting");
    daemon.wait_for_output("Waiting for input · Opus 5");
    assert_eq!(activity(&home.status(), &claude), "waiting");
    process.says(&home, &claude, "busy");
    wait_until(&home, &claude, "running");
    claude.call_done().end(500);
    process.says(&home, &claude, "idle");
    wait_until(&home, &claude, "waiting");
    fs::remove_file(process.entry(&home)).unwrap();
    process.dies();
    daemon.wait_for_output("no card");
    assert!(wait_until(&home, &claude, "idle")["card"].is_null());
    assert_eq!(daemon.terminate().code, Some(0));
}

/// A container that shares the folder takes away the entries of processes that it does not see.
#[test]
fn a_vanished_entry_closes_nothing_while_its_process_lives() {
    let home = Home::new();
    let daemon = home.start("run --dry-run");
    let mut claude = home.claude_session();
    claude.turn().call(4_500);
    let (mut process, mut other) = (Registering::start(), Registering::start());
    process.says(&home, &claude, "busy");
    let mut neighbour = home.claude_session();
    neighbour.turn().call(700).call_done().end(100);
    other.says(&home, &neighbour, "idle");
    wait_until(&home, &claude, "running");
    for swept in [&process, &other] {
        fs::remove_file(swept.entry(&home)).unwrap();
    }
    // Something that comes after it is told after it.
    neighbour.turn();
    let status = wait_until(&home, &neighbour, "thinking");
    assert_eq!(activity(&status, &claude), "running");
    other.dies();
    let status = wait_until(&home, &neighbour, "idle");
    assert_eq!(activity(&status, &claude), "running");
    process.dies();
    daemon.wait_for_output("no card");
    assert_eq!(daemon.terminate().code, Some(0));
}

/// The next daemon finds no entry any more, and knows the process all the same.
#[test]
fn a_session_whose_entry_vanished_stays_open_over_a_takeover() {
    let home = Home::new();
    let first = home.start("run");
    let mut claude = home.claude_session();
    claude.turn().call(4_500);
    let mut process = Registering::start();
    process.says(&home, &claude, "busy");
    wait_until(&home, &claude, "running");
    fs::remove_file(process.entry(&home)).unwrap();
    let second = home.start("run");
    assert_eq!(first.wait_for_end().code, Some(0));
    let told = |status: &Value| status["daemon"]["pid"] == second.pid() && !status["sessions"][0].is_null();
    let status = home.wait_for_status("the next daemon", told);
    assert_eq!(activity(&status, &claude), "running");
    process.dies();
    assert!(wait_until(&home, &claude, "idle")["card"].is_null());
    assert_eq!(second.terminate().code, Some(0));
}

/// The same id may be another machine's or another namespace's: such an entry neither opens nor closes.
#[test]
fn an_entry_from_another_namespace_says_nothing() {
    let home = Home::new();
    let _daemon = home.start("run --dry-run");
    let mut claude = home.claude_session();
    claude.turn().call(4_500);
    let mut process = Registering::start();
    process.says(&home, &claude, "waiting");
    wait_until(&home, &claude, "waiting");
    // It took the place of one that says something.
    let foreign = json!({"pidDomain": "linux:0:pid:[1]", "procStart": "1"});
    process.says_more(&home, &claude, "waiting", foreign.clone());
    wait_until(&home, &claude, "running");
    process.dies();
    wait_until(&home, &claude, "idle");
    let mut unseen = home.claude_session();
    unseen.turn().call(700);
    process.says_more(&home, &unseen, "waiting", foreign);
    wait_until(&home, &unseen, "running");
}

/// `/clear` and `/branch`: one process, one session after the other.
#[test]
fn the_card_goes_over_to_the_next_session_of_a_process() {
    for says_so in [true, false] {
        let home = Home::new();
        let daemon = home.start("run --dry-run");
        let mut claude = home.claude_session();
        claude.turn().call(4_500).call_done().end(500);
        let mut process = Registering::start();
        process.says(&home, &claude, "idle");
        wait_until(&home, &claude, "waiting");
        let mut next = home.claude_session();
        next.process = Some(claude.id.clone());
        let registered = if says_so { &next.id } else { &claude.id }.clone();
        process.says_more(&home, &claude, "busy", json!({"sessionId": registered}));
        next.turn().call(700);
        let status = wait_until(&home, &next, "running");
        assert_eq!(status["card"]["session"], next.id.as_str(), "{says_so}");
        home.wait_for_status("the end of the first", |status| activity(status, &claude) == "idle");
        process.says_more(&home, &claude, "waiting", json!({"sessionId": registered}));
        wait_until(&home, &next, "waiting");
        process.dies();
        wait_until(&home, &next, "idle");
        let ended = daemon.terminate();
        assert_eq!(ended.out.matches("no card").count(), 1, "{}", ended.out);
    }
}

#[test]
fn an_entry_of_another_process_with_the_same_id_says_nothing() {
    let home = Home::new();
    let mut claude = home.claude_session();
    claude.turn().call(4_500);
    let (process, recycled) = (Registering::start(), Registering::start());
    process.says(&home, &claude, "busy");
    recycled.says_started(&home, &claude, "waiting", "1");
    assert_eq!(activity(&home.status(), &claude), "running", "without a daemon");
    let _daemon = home.start("run --dry-run");
    wait_until(&home, &claude, "running");
    process.says(&home, &claude, "waiting");
    wait_until(&home, &claude, "waiting");
}

#[test]
fn a_killed_process_does_not_wait_for_ever() {
    let home = Home::new();
    let daemon = home.start("run --dry-run");
    let mut claude = home.claude_session();
    claude.turn().call(4_500);
    let mut process = Registering::start();
    process.says(&home, &claude, "waiting");
    wait_until(&home, &claude, "waiting");
    process.dies();
    daemon.wait_for_output("no card");
    assert!(process.entry(&home).exists());
}

/// What does not register goes on as if there was no register: old versions, one-shot runs.
#[cfg(unix)]
#[test]
fn without_a_register_and_with_one_that_was_empty_before_nothing_changes() {
    let home = Home::new();
    let mut claude = home.claude_session();
    claude.turn().call(4_500);
    assert_eq!(activity(&home.status(), &claude), "running");
    let folder = home.claude().join("sessions");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("1.ab12.key"), SECRET).unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    fs::File::open(&folder).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(activity(&home.status(), &claude), "running");
}

/// The secrets beside the entries are not even read: that would show in their access times.
#[test]
fn files_that_are_no_entries_are_not_opened() {
    let home = Home::new();
    let mut claude = home.claude_session();
    claude.turn().call(4_500);
    let process = Registering::start();
    process.says(&home, &claude, "waiting");
    let accessed = |path: &Path| fs::metadata(path).unwrap().accessed().unwrap();
    let keys = [format!("{}.0a1b.key", process.child.id()), "7.key".to_owned(), "7.json.tmp".to_owned()];
    let keys = keys.map(|name| home.claude().join("sessions").join(name));
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    for key in &keys {
        fs::write(key, SECRET).unwrap();
        let times = fs::FileTimes::new().set_accessed(long_ago);
        fs::File::options().write(true).open(key).unwrap().set_times(times).unwrap();
    }
    assert_eq!(activity(&home.status(), &claude), "waiting");
    for key in &keys {
        assert_eq!(accessed(key), long_ago, "{}", key.display());
    }
}

/// Without a watcher, registers are read at every rescan.
#[test]
fn a_register_is_polled_where_nothing_can_be_watched() {
    let home = Home::new();
    let claude = home.claude_session();
    let label: Arc<str> = "home".into();
    let homes = vec![AgentHome { agent: Agent::CLAUDE, path: home.claude(), label }];
    let often = Duration::from_millis(20);
    let config = IntakeConfig {
        pace: Pace { rescan: often, hot: often, cold: often, list: often },
        most_watches: 0,
        ..IntakeConfig::new(homes, Arc::new(clock::now))
    };
    let (sender, events) = mpsc::channel();
    let intake = intake::start(config, move |event| {
        if let SourceEvent::Register { register, .. } = event {
            // At the end of the test the receiver is gone.
            let _ = sender.send(register);
        }
        ControlFlow::Continue(())
    });
    let wait_for = |what: &str, wanted: &dyn Fn(Option<&Register>) -> bool| loop {
        let register = events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("waited in vain for {what}"));
        if wanted(register.as_ref()) {
            return;
        }
    };
    let intake = intake.unwrap();
    let status = |register: Option<&Register>| register?.open.get(&claude.id)?.status;
    let mut process = Registering::start();
    process.says(&home, &claude, "busy");
    wait_for("the entry", &|register| status(register) == Some(Status::Busy));
    process.says(&home, &claude, "waiting");
    wait_for("the wait", &|register| status(register) == Some(Status::Waiting));
    process.dies();
    wait_for("the end", &|register| register.is_some_and(|register| register.left.contains(&claude.id)));
    fs::remove_file(process.entry(&home)).unwrap();
    wait_for("nothing", &|register| register.is_some_and(|register| register.left.is_empty()));
    intake.set_homes(Vec::new());
    wait_for("no register", &|register| register.is_none());
    assert!(intake.stop());
}
