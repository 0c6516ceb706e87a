//! Links against a Discord that behaves, and against ones that do not. The numbers are those of the survey's cases.
//! Longer than other files because it is a list: each test stands alone, and a reader looks for one misbehaviour.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod desk;

use std::sync::Arc;
use std::time::Duration;

use agent_presence::core::activity::Activity;
use agent_presence::core::card::{Card, CardFacts};
use agent_presence::core::privacy::Allowed;
use agent_presence::core::publish::{Endpoint, LinkEvent, Loss, Payload};
use agent_presence::core::settings::Settings;
use agent_presence::core::source::Agent;
use agent_presence::core::usage::Triplet;
use agent_presence::io::clock;
use agent_presence::io::discord::deadlines::Deadlines;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use self::desk::{APPLICATION, Desk, PATIENCE, acked, given_up, ready};
use crate::support::fake_discord::{CLOSE, Delivery, FakeDiscord, PONG, Rules, encode};

fn discord(rules: Rules) -> (FakeDiscord, TempDir) {
    let folder = tempdir().unwrap();
    (FakeDiscord::at(&folder.path().join("discord-ipc-0"), rules), folder)
}

/// Gives up soon where a test has to see a deadline pass.
fn impatient() -> Deadlines {
    Deadlines { ready: Duration::from_millis(150), ..Deadlines::DISCORD }
}

fn card(activity: Activity) -> Arc<Card> {
    let facts = CardFacts {
        agent: Agent::CODEX,
        session: "0199a213-81c0-7800-8aa1-bbab2a035a53".to_owned(),
        activity,
        file: None,
        project: None,
        branch: None,
        model: Some("gpt-5.6-sol".to_owned()),
        effort: None,
        home: None,
        triplet: Triplet::default(),
        counting: false,
        total: None,
        context_remaining_percent: None,
        windows: Vec::new(),
        limits_as_of: None,
        started_at: Timestamp::from_second(1_700_000_000).unwrap(),
    };
    Arc::new(Card::build(&facts, &Settings::default(), Allowed::ALL, &TimeZone::UTC, clock::now()).unwrap())
}

fn thinking() -> Payload {
    Payload::Card(card(Activity::Thinking))
}

fn editing() -> Payload {
    Payload::Card(card(Activity::Editing))
}

fn is_editing(activity: &Value) -> bool {
    activity["details"].as_str().is_some_and(|details| details.starts_with("Editing"))
}

#[test]
fn a_card_arrives_and_is_acknowledged() {
    let (discord, _folder) = discord(Rules::default());
    let desk = Desk::new();
    desk.ready(&discord);
    desk.send(&discord.endpoint(), 7, thinking());
    assert_eq!(desk.event(), acked(7));

    let shown = discord.activity(1).unwrap();
    assert_eq!((&shown["name"], &shown["type"]), (&json!("Codex"), &json!(0)));
    assert_eq!(shown["timestamps"]["start"], 1_700_000_000_000_u64);
    discord.seen(|seen| {
        assert_eq!(seen.frames[0].body, json!({"v": 1, "client_id": APPLICATION}));
        assert_eq!(seen.frames[1].body["args"]["pid"], std::process::id());
    });

    desk.send(&discord.endpoint(), 8, Payload::Clear);
    assert_eq!(desk.event(), acked(8));
    assert_eq!(discord.activity(2), None);
}

#[test]
fn a_reduced_card_has_nothing_that_discord_looks_up() {
    let (discord, _folder) = discord(Rules::default());
    let desk = Desk::new();
    desk.ready(&discord);
    desk.send(&discord.endpoint(), 1, Payload::Reduced(card(Activity::Thinking)));
    assert_eq!(desk.event(), acked(1));
    let shown = discord.activity(1).unwrap();
    let allowed = ["name", "details", "state", "timestamps"];
    assert!(shown.as_object().unwrap().keys().all(|key| allowed.contains(&key.as_str())), "{shown}");
}

#[test]
fn a_bridge_is_recognised() {
    let (discord, _folder) = discord(Rules { bridge: true, ..Rules::default() });
    let desk = Desk::new();
    desk.connect(&discord.endpoint());
    assert_eq!(desk.event(), LinkEvent::Opened);
    assert_eq!(desk.event(), ready("arRPC", true));
}

#[cfg(unix)]
#[test]
fn a_bridge_in_a_sandbox_has_its_name() {
    let folder = tempdir().unwrap();
    let sandbox = folder.path().join("app/dev.vencord.Vesktop");
    std::fs::create_dir_all(&sandbox).unwrap();
    let vesktop = FakeDiscord::at(&sandbox.join("discord-ipc-0"), Rules { bridge: true, ..Rules::default() });
    let desk = Desk::new();
    desk.connect(&vesktop.endpoint());
    assert_eq!(desk.event(), LinkEvent::Opened);
    assert_eq!(desk.event(), ready("Vesktop", true));
}

#[test]
fn absent_discord_is_unreachable_and_costs_no_connection() {
    let folder = tempdir().unwrap();
    let late = FakeDiscord::absent(&folder.path().join("discord-ipc-0"), Rules::default());
    let desk = Desk::new();
    desk.connect(&late.endpoint());
    assert!(matches!(desk.event(), LinkEvent::Unreachable { .. }));

    late.restart();
    desk.ready(&late);
    assert_eq!(late.connections(), 1);
}

#[cfg(unix)]
#[test]
fn a_socket_that_is_bound_but_does_not_listen_yet_is_tried_again() {
    use std::os::unix::net::UnixListener;

    // A socket without its listener fails like one that has no listener yet.
    let folder = tempdir().unwrap();
    let path = folder.path().join("discord-ipc-0");
    drop(UnixListener::bind(&path).unwrap());
    let listening = folder.path().join("listening");
    let _discord = FakeDiscord::at(&listening, Rules::default());
    let desk =
        Desk::with(Deadlines { second_try: Duration::from_secs(1), connect: PATIENCE, ..Deadlines::DISCORD });
    desk.connect(path.to_str().unwrap());
    // At no moment is there no socket.
    std::fs::rename(listening, path).unwrap();
    assert_eq!(desk.event(), LinkEvent::Opened);
}

#[test]
fn a_silent_discord_runs_into_the_ready_deadline() {
    let (discord, _folder) = discord(Rules::default());
    discord.freeze();
    let desk = Desk::with(impatient());
    assert_eq!(desk.loss_after_opening(&discord), Loss::Timeout("ready"));
}

#[test]
fn a_discord_that_never_answers_runs_into_the_reply_deadline() {
    let (discord, _folder) = discord(Rules { mute: true, ..Rules::default() });
    let desk = Desk::with(Deadlines { reply: Duration::from_millis(150), ..Deadlines::DISCORD });
    desk.ready(&discord);
    desk.send(&discord.endpoint(), 1, thinking());
    assert_eq!(desk.loss(), Loss::Timeout("reply"));
    assert_eq!(discord.wait_for_end(1), "the client went away");
}

#[test]
fn the_oldest_unanswered_payload_sets_the_deadline() {
    let (discord, _folder) = discord(Rules { mute: true, ..Rules::default() });
    let desk = Desk::with(Deadlines { reply: Duration::from_millis(1500), ..Deadlines::DISCORD });
    desk.ready(&discord);
    desk.send(&discord.endpoint(), 1, thinking());
    discord.activity(1);
    discord.set(|rules| rules.mute = false);
    desk.send(&discord.endpoint(), 2, editing());
    assert_eq!(desk.event(), acked(2));
    assert_eq!(desk.loss(), Loss::Timeout("reply"));
}

#[test]
fn a_discord_that_stops_reading_does_not_hold_the_link_for_ever() {
    let (discord, _folder) = discord(Rules::default());
    let desk = Desk::with(Deadlines { write: Duration::from_millis(150), ..Deadlines::DISCORD });
    desk.ready(&discord);
    discord.freeze();
    // More than any socket buffer holds.
    for nonce in 0..20_000 {
        desk.send(&discord.endpoint(), nonce, thinking());
    }
    assert_eq!(desk.loss(), Loss::Timeout("write"));
}

#[test]
fn slow_answers_are_waited_for() {
    let slow = Rules { answer_after: Duration::from_millis(300), ..Rules::default() };
    let (discord, _folder) = discord(slow);
    let desk = Desk::new();
    desk.ready(&discord);
    desk.send(&discord.endpoint(), 1, thinking());
    desk.send(&discord.endpoint(), 2, editing());
    assert_eq!(desk.event(), acked(1));
    assert_eq!(desk.event(), acked(2));
}

#[test]
fn an_error_refuses_the_payload_and_keeps_the_link() {
    let rules = Rules {
        refuse: Some(|activity| is_editing(activity).then(|| (4000, "child \"activity\" fails".to_owned()))),
        ..Rules::default()
    };
    let (discord, _folder) = discord(rules);
    let desk = Desk::new();
    desk.ready(&discord);
    desk.send(&discord.endpoint(), 1, editing());
    let message = "child \"activity\" fails".to_owned();
    assert_eq!(desk.event(), LinkEvent::Refused { nonce: 1, code: 4000, message });
    desk.send(&discord.endpoint(), 2, thinking());
    assert_eq!(desk.event(), acked(2));
    assert_eq!(discord.connections(), 1);
}

#[test]
fn pings_are_answered_before_ready_and_after() {
    let (discord, _folder) = discord(Rules { ping_first: true, ..Rules::default() });
    let desk = Desk::new();
    desk.ready(&discord);
    discord.ping("later");
    let pongs = discord.wait_for("two pongs", |seen| {
        let pongs = seen.frames.iter().filter(|frame| frame.opcode == PONG);
        let bodies: Vec<String> = pongs.map(|frame| frame.body.as_str().unwrap().to_owned()).collect();
        (bodies.len() == 2).then_some(bodies)
    });
    assert_eq!(pongs, ["first", "later"]);
}

#[test]
fn frames_in_pieces_and_frames_together_are_the_same() {
    for delivery in [Delivery::Halves, Delivery::BehindPing] {
        let (discord, _folder) = discord(Rules { delivery, stray_answers: true, ..Rules::default() });
        let desk = Desk::new();
        desk.ready(&discord);
        for nonce in 1..4 {
            desk.send(&discord.endpoint(), nonce, thinking());
            assert_eq!(desk.event(), acked(nonce), "{delivery:?}");
        }
    }
}

#[test]
fn answers_with_an_unknown_nonce_are_ignored() {
    let (discord, _folder) = discord(Rules { mute: true, ..Rules::default() });
    let desk = Desk::new();
    desk.ready(&discord);
    desk.send(&discord.endpoint(), 1, thinking());
    discord.activity(1);
    for nonce in [json!(null), json!("2"), json!("18446744073709551615"), json!("not a number"), json!(1)] {
        let answer = json!({"cmd": "SET_ACTIVITY", "data": null, "evt": null, "nonce": nonce});
        discord.send_raw(encode(1, answer.to_string().as_bytes()));
    }
    let answer = json!({"cmd": "SET_ACTIVITY", "data": null, "evt": null, "nonce": "1"}).to_string();
    discord.send_raw(encode(1, answer.as_bytes()));
    discord.send_raw(encode(1, answer.as_bytes()));
    assert_eq!(desk.event(), acked(1));
    discord.hang_up();
    assert_eq!(desk.loss(), Loss::Eof);
}

#[test]
fn death_within_a_frame_is_noticed_at_once() {
    let (discord, _folder) = discord(Rules::default());
    let desk = Desk::new();
    desk.ready(&discord);
    discord.set(|rules| rules.die_in_next_answer = true);
    desk.send(&discord.endpoint(), 1, thinking());
    assert_eq!(desk.loss(), Loss::Eof);
}

#[test]
fn a_restart_is_noticed_without_sending_anything() {
    let (discord, _folder) = discord(Rules::default());
    let desk = Desk::new();
    desk.ready(&discord);
    discord.restart();
    assert_eq!(desk.loss(), Loss::Eof);
    desk.ready(&discord);
    assert_eq!(discord.connections(), 2);
}

#[test]
fn a_close_comes_with_its_reason_at_any_time() {
    let (discord, _folder) = discord(Rules::default());
    let desk = Desk::new();
    desk.ready(&discord);
    discord.close(1003, "message too large");
    assert_eq!(desk.loss(), Loss::Closed { code: 1003, message: "message too large".to_owned() });
}

#[test]
fn what_is_not_discord_is_said_to_be_broken() {
    let not_json = encode(1, b"hello");
    let unknown_opcode = encode(9, b"{}");
    let too_long = [1_u32.to_le_bytes(), 0xffff_fff0_u32.to_le_bytes()].concat();
    for (bytes, reason) in [
        (not_json, "a frame that is not JSON"),
        (unknown_opcode, "a frame with the unknown opcode 9"),
        (too_long, "a frame of 4294967280 bytes"),
    ] {
        let (discord, _folder) = discord(Rules { instead_of_ready: Some(bytes), ..Rules::default() });
        let desk = Desk::new();
        assert_eq!(desk.loss_after_opening(&discord), Loss::Broken(reason.to_owned()));
    }
}

#[test]
fn a_first_frame_that_is_not_ready_is_not_taken_for_it() {
    let event = json!({"cmd": "DISPATCH", "evt": "SOMETHING", "data": {}, "nonce": null}).to_string();
    let (discord, _folder) =
        discord(Rules { instead_of_ready: Some(encode(1, event.as_bytes())), ..Rules::default() });
    let desk = Desk::with(impatient());
    assert_eq!(desk.loss_after_opening(&discord), Loss::Timeout("ready"));
}

#[test]
fn a_stale_socket_beside_a_live_one_is_only_itself_unreachable() {
    let folder = tempdir().unwrap();
    let stale = FakeDiscord::in_folder(folder.path());
    stale.die();
    let live = FakeDiscord::at(&folder.path().join("discord-ipc-1"), Rules::default());
    #[cfg(unix)]
    assert!(std::path::Path::new(&stale.endpoint()).exists());

    let desk = Desk::new();
    desk.connect(&stale.endpoint());
    let (endpoint, event) = desk.event_and_place();
    assert_eq!(endpoint.0, stale.endpoint());
    assert!(matches!(event, LinkEvent::Unreachable { .. }));
    desk.ready(&live);
}

#[test]
fn a_hung_client_delays_neither_the_other_nor_the_end() {
    let (hung, _folder) = discord(Rules::default());
    let (well, _folder) = discord(Rules::default());
    let desk = Desk::new();
    desk.ready(&hung);
    desk.ready(&well);
    hung.freeze();
    desk.send(&hung.endpoint(), 1, thinking());
    desk.send(&well.endpoint(), 2, thinking());
    assert_eq!(desk.event_and_place(), (Endpoint(well.endpoint()), acked(2)));
    well.wait_for_presence("the card", |_| true);

    well.hang_up();
    assert_eq!(desk.event_and_place(), (Endpoint(well.endpoint()), LinkEvent::Lost(Loss::Eof)));
    desk.close_all(PATIENCE);
    hung.thaw();
    assert_eq!(hung.wait_for_end(1), "the client said farewell");
}

#[test]
fn a_late_ready_is_one_connection() {
    let (discord, _folder) = discord(Rules { speed: 100, ..Rules::default() });
    let desk = Desk::new();
    // The third connection has to wait for its READY; a waiting one is no reason for a fourth.
    for _ in 0..2 {
        desk.ready(&discord);
        desk.disconnect(&discord.endpoint());
        assert_eq!(desk.loss(), given_up());
    }
    desk.ready(&discord);
    desk.send(&discord.endpoint(), 1, thinking());
    assert_eq!(desk.event(), acked(1));
    assert_eq!(discord.connections(), 3);
    discord.seen(|seen| {
        assert!(seen.connections[2].ready.unwrap() > seen.connections[2].shook_hands.unwrap());
        assert!(seen.frames.iter().all(|frame| !frame.dropped));
    });
}

#[test]
fn close_4000_is_reported_and_not_retried() {
    let (discord, _folder) = discord(Rules { bad_ids: vec![APPLICATION.to_owned()], ..Rules::default() });
    let desk = Desk::new();
    let closed = Loss::Closed { code: 4000, message: "Invalid Client ID".to_owned() };
    assert_eq!(desk.loss_after_opening(&discord), closed);
    desk.close_all(PATIENCE);
    assert_eq!(discord.connections(), 1);
}

#[test]
fn a_link_that_is_asked_to_close_reports_its_end() {
    let (discord, _folder) = discord(Rules { throttled: false, ..Rules::default() });
    let desk = Desk::new();
    desk.ready(&discord);
    desk.disconnect(&discord.endpoint());
    desk.send(&discord.endpoint(), 1, thinking());
    assert_eq!(desk.loss(), given_up());
    assert_eq!(discord.wait_for_end(1), "the client said farewell");

    discord.freeze();
    desk.connect(&discord.endpoint());
    assert_eq!(desk.event(), LinkEvent::Opened);
    desk.disconnect(&discord.endpoint());
    assert_eq!(desk.loss(), given_up());
    discord.thaw();
    discord.seen(|seen| assert_eq!(seen.payloads().len(), 0));
}

#[test]
fn a_replaced_link_reports_nothing_more() {
    let (discord, _folder) = discord(Rules { throttled: false, ..Rules::default() });
    let desk = Desk::new();
    desk.ready(&discord);
    desk.ready(&discord);
    assert_eq!(discord.wait_for_end(1), "the client said farewell");
    desk.send(&discord.endpoint(), 2, thinking());
    assert_eq!(desk.event(), acked(2));
    discord.seen(|seen| assert_eq!(seen.frames.iter().filter(|frame| frame.opcode == CLOSE).count(), 1));
}

#[test]
fn closing_all_says_farewell_and_ends_the_presence() {
    let (discord, _folder) = discord(Rules::default());
    let desk = Desk::new();
    desk.ready(&discord);
    desk.send(&discord.endpoint(), 1, thinking());
    assert_eq!(desk.event(), acked(1));
    desk.close_all(PATIENCE);
    discord.wait_for_no_presence();
    assert_eq!(discord.wait_for_end(1), "the client said farewell");
}

#[test]
fn closing_all_during_a_handshake_does_not_wait_for_it() {
    let (discord, _folder) = discord(Rules { ready_after: Duration::from_secs(3600), ..Rules::default() });
    let desk = Desk::new();
    desk.connect(&discord.endpoint());
    assert_eq!(desk.event(), LinkEvent::Opened);
    desk.close_all(PATIENCE);
    assert_eq!(discord.wait_for_end(1), "the client said farewell");
}

/// Set for the child process of [`a_discord_of_another_process_is_recognised`]: where it listens.
#[cfg(target_os = "linux")]
const LISTEN: &str = "AGENT_PRESENCE_TEST_LISTEN";

#[cfg(target_os = "linux")]
#[test]
fn a_discord_of_another_process_is_recognised() {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;
    use std::process::{Command, Stdio};

    use agent_presence::io::discord::Links;

    if let Some(path) = std::env::var_os(LISTEN) {
        let _listener = UnixListener::bind(path).unwrap();
        println!("\nlistens");
        // Until its standard input ends or it is killed.
        let _ = std::io::stdin().lines().count();
        return;
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("discord-ipc-0");
    let endpoint = Endpoint(path.to_str().unwrap().to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut links = Links::default();
        let first = UnixListener::bind(&path).unwrap();
        for _ in 0..2 {
            links.find_peer(endpoint.clone());
            let silence = tokio::time::timeout(Duration::from_millis(300), links.next()).await;
            assert!(silence.is_err(), "the same process: {silence:?}");
        }
        // The next one takes the path, as Discord does, and the last one's socket is closed.
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        drop(first);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "links::a_discord_of_another_process_is_recognised", "--nocapture"])
            .env(LISTEN, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "listens"));
        links.find_peer(endpoint.clone());
        let event = tokio::time::timeout(PATIENCE, links.next()).await;
        assert_eq!(event, Ok((endpoint, LinkEvent::Restarted)));
        child.kill().unwrap();
        child.wait().unwrap();
    });
}
