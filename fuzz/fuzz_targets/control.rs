//! Any bytes from another process: what the daemon is asked, what it answers, and what one daemon leaves to the next.
//!
//! No panic, the same line from any pieces, and what was understood is understood again when it is
//! written. The first four bytes are the sizes of the pieces.
#![no_main]

use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use agent_presence::control::server::read_line;
use agent_presence::control::{ErrorReport, EventMessage, Handover, LONGEST_REQUEST, Reply, Request, Verb};
use agent_presence::core::engine::{Engine, Input};
use agent_presence::core::publish::Publisher;
use agent_presence::core::settings::Settings;
use agent_presence::core::takeover::{LockRecord, Process, Verdict, hand_over, verify};
use agent_presence::core::time::Now;
use agent_presence::io::instance;
use agent_presence_fuzz::session_file::pieces;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, ReadBuf};

fuzz_target!(|data: &[u8]| {
    let Some((sizes, bytes)) = data.split_first_chunk::<4>() else { return };
    let line = read(pieces(bytes, sizes).collect());
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match &line {
        None => assert!(first.len() > LONGEST_REQUEST || bytes.is_empty()),
        Some(line) => assert_eq!(line, first),
    }

    match Request::parse(first) {
        Ok(request) => {
            let again = serde_json::to_vec(&request).unwrap();
            assert_eq!(Request::parse(&again), Ok(request.clone()));
            asked(request.verb);
        }
        Err(error) => answered(&Reply::failed(error)),
    }
    if let Ok(reply) = serde_json::from_slice::<Reply>(first) {
        answered(&reply);
        if let Some(handover) = reply.handover {
            taken_over(*handover);
        }
    }
    if let Ok(handover) = serde_json::from_slice::<Handover>(first) {
        taken_over(handover);
    }
    let _ = serde_json::from_slice::<EventMessage>(first);
    if let Ok(record) = serde_json::from_slice::<LockRecord>(first) {
        recorded(&record);
    }
});

/// A connection whose bytes come in these pieces.
struct Arriving<'a>(Vec<&'a [u8]>, usize);

impl AsyncRead for Arriving<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let at = self.1;
        if let Some(piece) = self.0.get_mut(at) {
            let (now, later) = piece.split_at(piece.len().min(into.remaining()));
            into.put_slice(now);
            *piece = later;
            self.1 += usize::from(later.is_empty());
        }
        Poll::Ready(Ok(()))
    }
}

/// What the server takes for the request; `None` when it is too long, or when nothing came.
fn read(pieces: Vec<&[u8]>) -> Option<Vec<u8>> {
    let mut stream = Arriving(pieces, 0);
    match pin!(read_line(&mut stream)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(line) => line.ok().flatten(),
        Poll::Pending => panic!("everything is there"),
    }
}

fn now() -> Now {
    Now { mono: Duration::from_secs(1000), wall: Timestamp::constant(1_795_000_000, 0) }
}

fn asked(verb: Verb) {
    match verb {
        Verb::Handover { newcomer, .. } => recorded(&newcomer),
        Verb::Pause { until: Some(until) } => {
            let settings = Settings::default();
            let publisher = Publisher::new(0, &settings);
            let mut engine = Engine::new(settings, TimeZone::UTC, publisher);
            engine.handle(now(), Input::Pause(until));
            while engine.poll_output(now()).is_some() {}
            assert_eq!(engine.paused_until(), Some(until).filter(|until| *until > now().wall));
            assert!(engine.poll_deadline().is_none_or(|(at, _)| at > now().mono));
        }
        _ => {}
    }
}

/// An answer is one line, and means the same when it is read.
fn answered(reply: &Reply) {
    let line = serde_json::to_vec(reply).unwrap();
    assert!(!line.contains(&b'\n'));
    let again: Reply = serde_json::from_slice(&line).unwrap();
    assert_eq!((again.ok, &again.error, again.paused_until), (reply.ok, &reply.error, reply.paused_until));
    if let Some(ErrorReport { code, .. }) = reply.error {
        code.refusal();
    }
}

/// A predecessor's handover with any figures lets its successor start, and never makes it spin.
fn taken_over(handover: Handover) {
    let settings = Settings::default();
    let publisher = Publisher::new(0, &settings).with_budget(now(), &handover.budget);
    let mut engine = Engine::new(settings, TimeZone::UTC, publisher);
    engine.handle(now(), Input::Remembered(handover.limits));
    if let Some(until) = handover.paused_until {
        engine.handle(now(), Input::Pause(until));
    }
    let mut outputs = 0;
    while engine.poll_output(now()).is_some() {
        outputs += 1;
        assert!(outputs < 1000, "outputs never end");
    }
    assert!(engine.poll_deadline().is_none_or(|(at, _)| at > now().mono));
    for limits in engine.limits_report(now()) {
        for window in limits.windows {
            assert!(window.remaining_percent.is_none_or(|left| left <= 100));
        }
    }
    engine.budget(now());
}

fn recorded(record: &LockRecord) {
    static OWN: LazyLock<LockRecord> = LazyLock::new(instance::own_record);
    let process = Process {
        start_time: record.start_time,
        exe: record.exe.clone(),
        exe_file: record.exe_file,
        uid: record.uid,
        sid: record.sid.clone(),
    };
    assert_eq!(verify(record, &OWN, None), Verdict::Gone);
    if verify(record, &OWN, Some(&process)) == Verdict::Ours {
        assert_eq!((&record.boot_id, record.uid, &record.sid), (&OWN.boot_id, OWN.uid, &OWN.sid));
        let later = Process { start_time: record.start_time.map(|start| start ^ 1), ..process };
        assert!(matches!(verify(record, &OWN, Some(&later)), Verdict::NotOurs(_)));
    }
    for replace in [false, true] {
        let _ = hand_over(&OWN, record, replace);
        let _ = hand_over(record, &OWN, replace);
    }
    assert!(!(record.started_later_than(&OWN) && OWN.started_later_than(record)));
    assert!(!(record.is_older_than(&OWN) && OWN.is_older_than(record)));
}
