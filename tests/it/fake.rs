//! The fake Discord is as strict as it says: otherwise the tests against it prove nothing.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::support::fake_discord::{CLOSE, Dialled, FRAME, FakeDiscord, HANDSHAKE, Rules, dial, encode};

/// A client that does what a test says.
struct Client(Dialled);

impl Client {
    fn connect(discord: &FakeDiscord) -> Self {
        Self(dial(&discord.endpoint()))
    }

    /// Connects and waits for READY.
    fn ready(discord: &FakeDiscord) -> Self {
        let mut client = Self::connect(discord);
        client.shake_hands("1");
        assert_eq!(client.frame().1["evt"], "READY");
        client
    }

    fn shake_hands(&mut self, id: &str) {
        self.send(HANDSHAKE, &json!({"v": 1, "client_id": id}));
    }

    fn send(&mut self, opcode: u32, body: &Value) {
        self.write(&encode(opcode, body.to_string().as_bytes()));
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn set_activity(&mut self, activity: &Value) {
        let args = json!({"pid": 1, "activity": activity});
        self.send(FRAME, &json!({"cmd": "SET_ACTIVITY", "args": args, "nonce": "n"}));
    }

    fn frame(&mut self) -> (u32, Value) {
        let mut header = [0; 8];
        self.0.read_exact(&mut header).unwrap();
        let [a, b, c, d, e, f, g, h] = header;
        let mut body = vec![0; u32::from_le_bytes([e, f, g, h]) as usize];
        self.0.read_exact(&mut body).unwrap();
        (u32::from_le_bytes([a, b, c, d]), serde_json::from_slice(&body).unwrap())
    }

    #[track_caller]
    fn expect_close(&mut self, code: i64, message: &str) {
        assert_eq!(self.frame(), (CLOSE, json!({"code": code, "message": message})));
        assert_eq!(self.0.read(&mut [0; 8]).unwrap_or(0), 0, "the connection goes with it");
    }
}

fn discord(rules: Rules) -> (FakeDiscord, TempDir) {
    let folder = tempdir().unwrap();
    (FakeDiscord::at(&folder.path().join("discord-ipc-0"), rules), folder)
}

#[test]
fn no_handshake_closes() {
    let (discord, _folder) = discord(Rules { speed: 100, ..Rules::default() });
    Client::connect(&discord).expect_close(1006, "Handshake timeout");
    assert_eq!(discord.wait_for_end(1), "closed: 1006 Handshake timeout");
    assert_eq!(discord.most_connections_within(Duration::from_secs(60)), 0);
}

#[test]
fn a_frame_in_two_writes_closes() {
    let (discord, _folder) = discord(Rules::default());
    let mut client = Client::ready(&discord);
    client.write(&encode(FRAME, b"{}")[..8]);
    client.expect_close(1003, "data size does not match what was received");

    discord.set(|rules| rules.single_write = false);
    let mut client = Client::ready(&discord);
    let bytes = encode(FRAME, br#"{"cmd":"NONE","nonce":"n"}"#);
    client.write(&bytes[..9]);
    client.write(&bytes[9..]);
    assert_eq!(client.frame().1["data"]["code"], 4002);
}

#[test]
fn bad_frames_and_handshakes_close() {
    let (discord, _folder) =
        discord(Rules { bad_ids: vec!["7".to_owned()], throttled: false, ..Rules::default() });
    let mut client = Client::ready(&discord);
    client.write(&[FRAME.to_le_bytes(), 3_145_729_u32.to_le_bytes()].concat());
    client.expect_close(1003, "message too large");
    let mut client = Client::ready(&discord);
    client.write(&encode(9, b"{}"));
    client.expect_close(1003, "protocol error");
    let mut client = Client::connect(&discord);
    client.shake_hands("7");
    client.expect_close(4000, "Invalid Client ID");
    let mut client = Client::connect(&discord);
    client.send(HANDSHAKE, &json!({"v": 2, "client_id": "1"}));
    client.expect_close(4004, "Invalid Version");
    let mut client = Client::connect(&discord);
    client.set_activity(&json!({}));
    client.expect_close(1003, "protocol error");
}

#[test]
fn the_third_connection_waits_and_frames_before_ready_are_dropped() {
    let (discord, _folder) = discord(Rules { speed: 100, ..Rules::default() });
    let _first = Client::ready(&discord);
    let _second = Client::ready(&discord);
    let mut third = Client::connect(&discord);
    third.shake_hands("1");
    third.set_activity(&json!({"details": "too early"}));
    discord.wait_for_ready(3);
    third.set_activity(&json!({"details": "in time"}));
    discord.wait_for_presence("the second try", |card| card["details"] == "in time");
    discord.seen(|seen| {
        let third = &seen.connections[2];
        let waited = third.ready.unwrap() - third.shook_hands.unwrap();
        assert!(waited > Duration::from_millis(100), "{waited:?}");
        assert!(third.opened <= third.shook_hands.unwrap());
        let early = seen.frames.iter().find(|frame| frame.body["args"]["activity"]["details"] == "too early");
        assert!(
            early.is_some_and(|frame| frame.dropped
                && frame.connection == 2
                && frame.at < third.ready.unwrap())
        );
        assert_eq!(seen.activities.len(), 1);
    });
    assert_eq!(discord.most_connections_within(Duration::from_secs(60)), 3);
}

#[test]
fn activities_are_validated_and_echoed() {
    let (discord, _folder) = discord(Rules { images: Some(vec!["known".to_owned()]), ..Rules::default() });
    let mut client = Client::ready(&discord);
    client.set_activity(&json!({"details": "x"}));
    let (_, refusal) = client.frame();
    assert_eq!((&refusal["evt"], &refusal["nonce"]), (&json!("ERROR"), &json!("n")));
    assert_eq!(refusal["data"]["code"], 4000);

    client.set_activity(
        &json!({"details": "fine", "assets": {"large_image": "unknown", "small_image": "known"}}),
    );
    let (_, answer) = client.frame();
    let echo = json!({"details": "fine", "assets": {"small_image": "known"}, "name": "The application", "application_id": "1", "type": 0});
    assert_eq!(answer, json!({"cmd": "SET_ACTIVITY", "data": echo, "evt": null, "nonce": "n"}));

    client.set_activity(&Value::Null);
    assert_eq!(client.frame().1["data"], Value::Null);
    discord.wait_for_no_presence();
    discord.seen(|seen| assert_eq!((seen.payloads().len(), seen.activities.len()), (3, 2)));
}

#[test]
fn only_visible_changes_count() {
    let (discord, _folder) = discord(Rules::default());
    let mut client = Client::ready(&discord);
    for details in ["one", "one", "two"] {
        client.set_activity(&json!({"details": details}));
        client.frame();
    }
    assert_eq!(discord.most_changes_within(Duration::from_secs(20)), 2);
    discord.forget();
    discord.wait_for_no_presence();
    assert_eq!(discord.most_changes_within(Duration::from_secs(20)), 3);

    discord.set(|rules| rules.ack_and_drop = true);
    client.set_activity(&json!({"details": "three"}));
    assert_eq!(client.frame().1["data"]["details"], "three");
    assert_eq!(discord.seen(|seen| seen.presence().cloned()), None);
}

#[test]
fn a_frozen_discord_goes_on_where_it_stopped() {
    let (discord, _folder) = discord(Rules::default());
    let mut client = Client::ready(&discord);
    discord.freeze();
    client.set_activity(&json!({"details": "later"}));
    let mut other = Client::connect(&discord);
    other.shake_hands("2");
    discord.thaw();
    assert_eq!(client.frame().1["data"]["details"], "later");
    assert_eq!(other.frame().1["evt"], "READY");
}
