//! Registers, and the state of sessions that follows from them.

use super::*;
use crate::file::SessionFile;
use crate::source::Agent;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

/// A session of `home` with its last line at `last`.
fn session(id: &str, home: &str, last: i64) -> Session {
    let mut file = SessionFile::new(Agent::CLAUDE, home.into(), Timestamp::MIN);
    let line = format!(
        r#"{{"type":"user","uuid":"u","sessionId":"{id}","timestamp":"{}","message":{{"role":"user","content":"x"}}}}"#,
        at(last)
    );
    file.push(format!("{line}\n").as_bytes());
    file.take_update().unwrap().session
}

fn register(open: &[&str], left: &[&str], empty_since: Option<i64>) -> Option<Register> {
    Some(Register {
        open: open.iter().map(|id| ((*id).to_owned(), entry(id))).collect(),
        left: left.iter().map(|id| (*id).to_owned()).collect(),
        unseen: BTreeSet::new(),
        empty_since: empty_since.map(at),
    })
}

/// The state of a session whose process has the same id.
fn entry(id: &str) -> OpenSession {
    OpenSession {
        process: Some(id.bytes().fold(0, |sum, byte| sum * 31 + u32::from(byte))),
        ..OpenSession::default()
    }
}

fn open(id: &str) -> Option<Registration> {
    Some(Registration::Open(entry(id)))
}

fn closed(seconds: i64) -> Option<Registration> {
    Some(Registration::Closed(at(seconds)))
}

#[test]
fn without_a_register_nothing_is_known() {
    let mut registers = Registers::default();
    assert_eq!(registers.registration(&session("a", "home", 0)), None);
    registers.learn(at(10), "home".into(), register(&[], &[], Some(10)));
    assert_eq!(registers.registration(&session("a", "other home", 0)), None);
    registers.learn(at(20), "home".into(), None);
    assert_eq!(registers.registration(&session("a", "home", 0)), None);
}

#[test]
fn a_session_that_leaves_the_register_is_closed() {
    let mut registers = Registers::default();
    registers.learn(at(10), "home".into(), register(&["a", "b"], &[], None));
    assert_eq!(registers.registration(&session("a", "home", 0)), open("a"));
    assert_eq!(registers.registration(&session("never registered", "home", 0)), None);
    registers.learn(at(20), "home".into(), register(&["b"], &[], None));
    assert_eq!(registers.registration(&session("a", "home", 19)), closed(20));
    assert_eq!(registers.registration(&session("b", "home", 19)), open("b"));
    assert_eq!(registers.registration(&session("never registered", "home", 0)), None);
    // Opened again, and closed again.
    registers.learn(at(30), "home".into(), register(&["a", "b"], &[], None));
    assert_eq!(registers.registration(&session("a", "home", 19)), open("a"));
    registers.learn(at(40), "home".into(), register(&["b"], &[], None));
    assert_eq!(registers.registration(&session("a", "home", 19)), closed(40));
}

#[test]
fn an_empty_register_closes_every_session() {
    let mut registers = Registers::default();
    registers.learn(at(100), "home".into(), register(&[], &[], Some(50)));
    assert_eq!(registers.registration(&session("a", "home", 49)), closed(50));
    assert_eq!(registers.registration(&session("a", "home", 55)), closed(50), "its last words");
    assert_eq!(registers.registration(&session("a", "home", 56)), None, "it continues without a register");
}

#[test]
fn sessions_that_cannot_be_seen_are_neither_open_nor_closed() {
    let mut registers = Registers::default();
    let unseen = BTreeSet::from(["a".to_owned()]);
    registers.learn(at(100), "home".into(), Some(Register { unseen, ..Register::default() }));
    assert_eq!(registers.registration(&session("a", "home", 0)), None);
    assert_eq!(registers.registration(&session("b", "home", 0)), None);
}

#[test]
fn a_killed_process_closes_only_its_session() {
    let mut registers = Registers::default();
    registers.learn(at(100), "home".into(), register(&["b"], &["a"], None));
    registers.learn(at(200), "home".into(), register(&["b"], &["a"], None));
    assert_eq!(registers.registration(&session("a", "home", 90)), closed(100));
    assert_eq!(
        registers.registration(&session("a", "home", 190)),
        None,
        "resumed by a kind that does not register"
    );
    assert_eq!(registers.registration(&session("b", "home", 90)), open("b"));
}

/// A register with one process, which has this session open.
fn one(id: &str, since: i64) -> Option<Register> {
    let open = OpenSession { status: Some(Status::Waiting), since: Some(at(since)), process: Some(7) };
    Some(Register { open: [(id.to_owned(), open)].into(), ..Register::default() })
}

fn waiting(since: i64) -> Option<Registration> {
    let open = OpenSession { status: Some(Status::Waiting), since: Some(at(since)), process: Some(7) };
    Some(Registration::Open(open))
}

#[test]
fn a_session_that_its_process_left_stays_open_until_the_next_begins() {
    let mut registers = Registers::default();
    let (a, b) = (session("a", "home", 5), session("b", "home", 31));
    registers.learn(at(10), "home".into(), one("a", 4));
    registers.learn(at(30), "home".into(), one("b", 30));
    registers.heard(at(30), &a);
    assert_eq!(registers.registration(&a), None);
    // Resumed by its old line, from another process.
    registers.heard(at(30), &session("b", "home", 2));
    assert_eq!(registers.registration(&a), None);
    registers.heard(at(31), &b);
    assert_eq!(registers.registration(&a), closed(31));
    assert_eq!(registers.registration(&b), waiting(30));
    registers.learn(at(40), "home".into(), one("a", 40));
    assert_eq!(registers.registration(&a), waiting(40), "and back");
}

#[test]
fn a_session_that_was_left_is_closed_with_its_process() {
    let mut registers = Registers::default();
    registers.learn(at(10), "home".into(), one("a", 4));
    registers.learn(at(30), "home".into(), one("b", 30));
    registers.learn(at(35), "home".into(), one("c", 35));
    registers.learn(at(40), "home".into(), register(&["d"], &[], None));
    for id in ["a", "b", "c"] {
        assert_eq!(registers.registration(&session(id, "home", 5)), closed(40), "{id}");
    }
}

/// The same for a session whose lines name the one that its process began with.
fn of_process(id: &str, began_with: &str, last: i64) -> Session {
    Session { process: Some(began_with.into()), ..session(id, "home", last) }
}

#[test]
fn a_switch_under_the_old_id_is_recognised_by_lines() {
    let mut registers = Registers::default();
    let (a, b) = (session("a", "home", 5), of_process("b", "a", 20));
    registers.learn(at(10), "home".into(), one("a", 25));
    for session in [&a, &b] {
        registers.heard(at(20), session);
    }
    assert_eq!(registers.registration(&b), waiting(25));
    assert_eq!(registers.registration(&a), closed(20));
    let c = of_process("c", "a", 30);
    registers.heard(at(30), &c);
    assert_eq!((registers.registration(&b), registers.registration(&c)), (closed(30), waiting(25)));
    registers.learn(at(50), "home".into(), register(&["d"], &[], None));
    for session in [&a, &b, &c] {
        assert_eq!(registers.registration(session), closed(50), "{}", session.id);
    }
    // Another process resumes the first session.
    registers.learn(at(60), "home".into(), one("a", 60));
    for session in [&a, &b, &c] {
        registers.heard(at(60), session);
    }
    assert_eq!(registers.registration(&a), waiting(60));
    assert_eq!(registers.registration(&c), closed(50));
}

#[test]
fn a_registered_session_is_not_another_one_s() {
    let mut registers = Registers::default();
    let mut register = one("a", 25).unwrap();
    register.open.insert("b".to_owned(), entry("b"));
    registers.learn(at(10), "home".into(), Some(register));
    let (a, b) = (session("a", "home", 5), of_process("b", "a", 20));
    for session in [&a, &b] {
        registers.heard(at(20), session);
    }
    assert_eq!((registers.registration(&a), registers.registration(&b)), (waiting(25), open("b")));
}

/// A session that a terminal begins at that time in this folder.
fn begun(id: &str, cwd: &str, begun: i64) -> Session {
    let cwd = Some(cwd.into());
    let surface = crate::source::Surface::Cli;
    Session { cwd, surface, started_at: Some(at(begun)), ..session(id, "home", begun) }
}

#[test]
fn a_switch_is_recognised_by_the_silent_session_and_the_folder() {
    for (folder, since, silent_from, others, is_known) in [
        ("/app", 105, 50, false, true),
        ("/other", 105, 50, false, false),
        ("/app", 50, 50, false, false),
        ("/app", 205, 200, false, false),
        ("/app", 105, 50, true, false),
    ] {
        let mut registers = Registers::default();
        let mut register = one("a", since).unwrap();
        if others {
            register.open.insert("o".to_owned(), OpenSession { since: Some(at(104)), ..entry("o") });
        }
        registers.learn(at(10), "home".into(), Some(register));
        for session in [begun("a", "/app", silent_from), begun("o", "/app", 50), begun("b", folder, 100)] {
            registers.heard(at(210), &session);
        }
        let expected = is_known.then(|| waiting(since)).flatten();
        let found = registers.registration(&begun("b", folder, 100));
        assert_eq!(found, expected, "{folder} {since} {silent_from} {others}");
    }
}

#[test]
fn a_clock_that_was_set_back_closes_no_session_forever() {
    let mut registers = Registers::default();
    registers.learn(at(1_000), "home".into(), register(&["a"], &[], None));
    registers.learn(at(1_001), "home".into(), register(&[], &[], Some(1_001)));
    registers.not_after(at(100));
    assert_eq!(registers.registration(&session("a", "home", 100)), closed(100));
    assert_eq!(registers.registration(&session("a", "home", 110)), None);
}

#[test]
fn closed_sessions_stay_closed_for_the_next_daemon() {
    let mut first = Registers::default();
    first.learn(at(10), "home".into(), register(&["a", "b"], &[], None));
    first.learn(at(20), "home".into(), register(&["b"], &[], None));
    let left = serde_json::to_vec(&first.leave()).unwrap();
    let left: Vec<RegisterHandover> = serde_json::from_slice(&left).unwrap();
    assert_eq!(left.iter().flat_map(|left| left.open.keys()).collect::<Vec<_>>(), ["b"]);
    let mut next = Registers::default();
    next.inherit(&left);
    for _ in 0..2 {
        assert_eq!(next.registration(&session("a", "home", 5)), closed(20));
        next.learn(at(30), "home".into(), register(&["b"], &[], None));
    }
    assert_eq!(next.registration(&session("b", "home", 5)), open("b"));
}

#[test]
fn a_server_s_status_is_as_old_as_its_message() {
    let mut registers = Registers::default();
    let entry = OpenSession { status: Some(Status::Waiting), since: Some(at(10)), process: None };
    let register = Register { open: [("a".to_owned(), entry)].into(), ..Register::default() };
    registers.learn(at(10), "home".into(), Some(register));
    let status = |last| match registers.registration(&session("a", "home", last)) {
        Some(Registration::Open(open)) => open.status,
        other => panic!("{other:?}"),
    };
    assert_eq!([status(5), status(12), status(13)], [Some(Status::Waiting), Some(Status::Waiting), None]);
}

#[test]
fn sessions_of_one_server_are_closed_one_by_one() {
    let mut registers = Registers::default();
    let open = |ids: &[&str]| Register {
        open: ids.iter().map(|id| ((*id).to_owned(), OpenSession::default())).collect(),
        ..Register::default()
    };
    registers.learn(at(10), "home".into(), Some(open(&["a", "b"])));
    registers.learn(at(20), "home".into(), Some(open(&["b"])));
    assert_eq!(registers.registration(&session("a", "home", 19)), closed(20));
    assert_eq!(
        registers.registration(&session("b", "home", 19)),
        Some(Registration::Open(OpenSession::default()))
    );
    assert!(registers.leave().iter().all(|left| left.open.is_empty()), "no process to be looked up");
}
