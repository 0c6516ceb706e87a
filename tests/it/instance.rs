//! One daemon per state folder, also between processes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use agent_presence::error::{Exit, Failure};
use agent_presence::io::instance::{self, AcquireError, Instance, LockState, held_by_another};
use agent_presence::io::paths::{StateDir, ensure_state_dir};

/// Set for the child process of [`another_process_is_seen`]: the folder whose lock it takes.
const HOLD: &str = "AGENT_PRESENCE_TEST_HOLD";

fn state() -> (tempfile::TempDir, StateDir) {
    let folder = tempfile::tempdir().unwrap();
    let state = ensure_state_dir(&folder.path().join("state")).unwrap();
    (folder, state)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_lock_has_one_holder_at_a_time() {
    let (_folder, state) = state();
    let first = Instance::acquire(&state).unwrap();
    let second = Instance::acquire(&state).unwrap_err();
    let AcquireError::Held { record: Some(record) } = &second else { panic!("{second:?}") };
    assert_eq!(**record, first.record);
    assert_eq!(record.pid, std::process::id());

    let failure = Failure::from(second);
    assert_eq!(failure.exit, Exit::Held);
    let pid = std::process::id();
    assert_eq!(
        failure.to_string(),
        format!(
            "error: could not start: another instance is running (process {pid})\nhint: see `agent-presence status`"
        )
    );

    let token = first.record.token.clone();
    drop(first);
    let third = Instance::try_acquire(&state).unwrap();
    assert_ne!(third.record.token, token);
}

#[test]
fn files_without_a_lock_are_no_running_instance() {
    let (_folder, state) = state();
    drop(Instance::acquire(&state).unwrap());
    assert_eq!(names(state.path()), ["instance.json", "instance.lock"]);
    assert!(instance::read_record(state.path()).is_some());
    assert_eq!(held_by_another(state.path()), LockState::Free);
    std::fs::write(state.join("instance.json"), b"{\"pid\": \"half a rec").unwrap();
    assert_eq!(instance::read_record(state.path()), None);
    Instance::try_acquire(&state).unwrap();
}

#[test]
fn looking_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(held_by_another(folder.path()), LockState::Free);
    assert_eq!(held_by_another(&folder.path().join("no such folder")), LockState::Free);
    assert_eq!(names(folder.path()), [""; 0]);

    let (_folder, state) = state();
    let _held = Instance::acquire(&state).unwrap();
    assert_eq!(held_by_another(state.path()), LockState::Held);
    assert_eq!(names(state.path()), ["instance.json", "instance.lock"]);
}

#[test]
fn a_lock_that_cannot_be_made_is_not_a_running_instance() {
    let (_folder, state) = state();
    std::fs::create_dir(state.join("instance.lock")).unwrap();
    let error = Instance::acquire(&state).unwrap_err();
    assert!(matches!(error, AcquireError::Unavailable { what: "open", .. }), "{error:?}");
    let failure = Failure::from(error);
    assert_eq!(failure.exit, Exit::Failed);
    assert!(failure.message.starts_with("could not open ") && failure.message.contains("instance.lock: "));
}

#[cfg(unix)]
#[test]
fn its_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, state) = state();
    let _held = Instance::acquire(&state).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(state.path()), 0o700);
    assert_eq!(mode(&state.join("instance.lock")), 0o600);
    assert_eq!(mode(&state.join("instance.json")), 0o600);
}

/// Kills the child when a test ends, however it ends.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn another_process_is_seen() {
    if let Some(folder) = std::env::var_os(HOLD) {
        let _held = Instance::acquire(&ensure_state_dir(Path::new(&folder)).unwrap()).unwrap();
        println!("\nheld");
        // Holds the lock until its standard input ends or it is killed.
        let _ = std::io::stdin().lines().count();
        return;
    }
    let (_folder, state) = state();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "instance::another_process_is_seen", "--nocapture"])
        .env(HOLD, state.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut holder = Holder(child);
    let mut lines = BufReader::new(holder.0.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "held"));

    assert_eq!(held_by_another(state.path()), LockState::Held);
    match Instance::acquire(&state) {
        Err(AcquireError::Held { record: Some(record) }) => assert_eq!(record.pid, holder.0.id()),
        other => panic!("{other:?}"),
    }
    // Killed without a chance to tidy up: the record stays, the lock does not.
    drop(holder);
    assert_eq!(held_by_another(state.path()), LockState::Free);
    assert_eq!(Instance::acquire(&state).unwrap().record.pid, std::process::id());
}
