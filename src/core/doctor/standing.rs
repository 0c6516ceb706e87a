//! What is needed to keep running: the login entry, the lock and its record, the state folder.

use super::{Check, DaemonState, Facts, Grade, Lock, Login, RecordState, StateFolderKind};

/// The daemon's files take far less.
const LITTLE: u64 = 16 << 20;
/// With less than this the next write may fail.
const NOTHING: u64 = 1 << 20;

/// The permission bits of other users.
const OTHERS_WRITE: u32 = 0o002;
const OTHERS: u32 = 0o077;

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![login(&facts.login)];
    checks.extend(facts.exposed.as_deref().map(exposed));
    checks.push(lock(facts));
    checks.extend(state(facts));
    checks
}

fn login(login: &Login) -> Check {
    const NAME: &str = "login entry";
    const ENABLE: &str = "`agent-presence autostart enable`";
    let with = |check: Check, hint: &Option<String>| check.hint(hint.as_deref().unwrap_or(ENABLE));
    match login {
        Login::Enabled { place } => {
            Check::new(NAME, Grade::Ok, format!("{place} starts this program at login"))
        }
        Login::Disabled => Check::new(NAME, Grade::Skipped, "nothing is started at login").hint(ENABLE),
        Login::SwitchedOff { hint } => {
            with(Check::new(NAME, Grade::Skipped, "switched off by you with the system's own means"), hint)
        }
        Login::Differs { place, hint, is_gone } => {
            let state = if *is_gone { Grade::Failure } else { Grade::Warning };
            with(Check::new(NAME, state, format!("{place} does not start this program")), hint)
        }
        Login::Unknown { cause } => Check::new(NAME, Grade::Skipped, cause.as_str()),
    }
}

/// A user who may write there decides which program runs with this user's rights.
fn exposed(place: &str) -> Check {
    let message = format!("other users may write to {place}, so they decide what login starts for you");
    Check::new("login program", Grade::Warning, message).hint(format!(
        "`chmod go-w {place}`, or put the program where only you may write and `agent-presence autostart enable` again"
    ))
}

fn lock(facts: &Facts) -> Check {
    const NAME: &str = "lock";
    let answers = matches!(facts.daemon, DaemonState::Running(_));
    match (facts.lock, &facts.record) {
        (Lock::Unknown, _) => Check::new(NAME, Grade::Warning, "could not find out whether it is held")
            .hint("set AGENT_PRESENCE_STATE_DIR to a folder of yours on a local disk"),
        (Lock::Held, RecordState::Of { pid, is_ours: true }) => {
            Check::new(NAME, Grade::Ok, format!("held by process {pid}"))
        }
        (_, RecordState::Of { pid, is_ours: false }) => {
            let state = if facts.lock == Lock::Held { Grade::Failure } else { Grade::Warning };
            Check::new(NAME, state, format!("its record names process {pid} of another user"))
                .hint("set AGENT_PRESENCE_STATE_DIR to a folder of your own; two users cannot share one")
        }
        (Lock::Held, RecordState::Garbled | RecordState::Absent) => {
            let state = if answers { Grade::Warning } else { Grade::Failure };
            let found = if facts.record == RecordState::Absent {
                "there is no record"
            } else {
                "the record is garbled"
            };
            let hint = if answers {
                "`agent-presence stop`, then start it again: a new daemon writes a new record"
            } else {
                "end the process that has instance.lock open by hand (`fuser instance.lock`): a process that is not \
                 in the record is never ended by a takeover"
            };
            Check::new(NAME, state, format!("held, and {found}")).hint(hint)
        }
        (Lock::Free, RecordState::Garbled) => {
            Check::new(NAME, Grade::Warning, "free; the record beside it is garbled")
                .hint("nothing has to be done: the next `agent-presence run` writes a new one")
        }
        (Lock::Free, RecordState::Of { pid, .. }) => {
            Check::new(NAME, Grade::Ok, format!("free; process {pid} had it last"))
        }
        (Lock::Free, RecordState::Absent) => Check::new(NAME, Grade::Ok, "free"),
    }
}

fn state(facts: &Facts) -> Vec<Check> {
    const NAME: &str = "state folder";
    const ELSEWHERE: &str = "or set AGENT_PRESENCE_STATE_DIR to another folder";
    let path = &facts.state.path;
    let one = |state, found: &str| Check::new(NAME, state, format!("{path}: {found}"));
    let (mode, is_ours, is_writable, free) = match &facts.state.found {
        StateFolderKind::Missing { can_be_made: true } => {
            return vec![one(Grade::Ok, "not there yet, the first run makes it")];
        }
        StateFolderKind::Missing { can_be_made: false } => {
            return vec![
                one(Grade::Failure, "not there, and it cannot be made")
                    .hint(format!("make the folder above it writable, {ELSEWHERE}")),
            ];
        }
        StateFolderKind::NotAFolder => {
            return vec![
                one(Grade::Failure, "it is not a folder").hint(format!("move it away, {ELSEWHERE}")),
            ];
        }
        StateFolderKind::Unreadable { cause } => {
            return vec![one(Grade::Failure, cause).hint(format!("make it readable, {ELSEWHERE}"))];
        }
        StateFolderKind::Folder { mode, is_ours, is_writable, free } => {
            (mode.unwrap_or_default(), *is_ours, *is_writable, *free)
        }
    };
    let private = format!("chmod 700 {path}");
    let mut checks = vec![match () {
        () if !is_ours => one(Grade::Failure, "it belongs to another user")
            .hint("set AGENT_PRESENCE_STATE_DIR to a folder of your own"),
        () if mode & OTHERS_WRITE != 0 => one(Grade::Failure, "every user may write to it").hint(private),
        () if !is_writable => {
            one(Grade::Failure, "you may not write to it").hint(format!("chmod u+rwx {path}, {ELSEWHERE}"))
        }
        () if mode & OTHERS != 0 => one(Grade::Warning, "other users may look into it").hint(private),
        () => one(Grade::Ok, "yours alone, and writable"),
    }];
    if let Some(free) = free.filter(|free| *free < LITTLE) {
        let state = if free < NOTHING { Grade::Failure } else { Grade::Warning };
        let kilobytes = free >> 10;
        checks.push(
            one(state, &format!("{kilobytes} KB are free on its disk"))
                .hint(format!("make room on that disk, {ELSEWHERE}")),
        );
    }
    checks
}
