//! What Discord does not accept: the application id, a payload.

use serde_json::{Value, json};

use crate::support::fake_discord::FakeDiscord;
use crate::support::home::{APPLICATION, Home};

#[test]
fn a_refused_application_id_is_explained_and_not_tried_again_and_again() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    discord.set(|rules| rules.bad_ids = vec![APPLICATION.to_owned()]);
    home.session().turn().tokens(4_500);
    let daemon = home.start("run");
    daemon.wait_for_log("hint");
    let status =
        home.wait_for_status("a rejection", |status| status["links"][0]["state"] == json!("rejected"));
    let error = status["links"][0]["last_error"].as_str().unwrap();
    assert!(error.contains("Invalid Client ID"), "in Discord's own words: {error}");
    assert!(home.output("status").contains("rejected"), "{}", home.output("status"));
    let ended = daemon.terminate();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.err.matches("could not sign in").count(), 1, "{}", ended.err);
    assert!(ended.err.contains("developer portal"), "{}", ended.err);
    assert_eq!(discord.connections(), 1);
}

#[test]
fn a_refused_payload_is_reduced_once_and_the_daemon_goes_on() {
    fn no_hover_texts(activity: &Value) -> Option<(i64, String)> {
        let is_whole = !activity["assets"].is_null();
        is_whole.then(|| (4000, "child \"activity\" fails because [no hover texts today]".to_owned()))
    }
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    discord.set(|rules| rules.refuse = Some(no_hover_texts));
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    let card = discord.activity(1).unwrap();
    assert_eq!(card["state"], "+4.5K | 4.5K | 4.5K tokens");
    assert_eq!(card["timestamps"]["start"], session.timer());
    assert_eq!(card["assets"], Value::Null);

    session.tokens(500);
    discord.wait_for_presence("the new total", |card| card["state"] == "+500 | 5K | 5K tokens");
    let status = home.wait_for_status("the reason", |status| status["links"][0]["last_error"].is_string());
    assert!(status["links"][0]["last_error"].as_str().unwrap().contains("no hover texts today"));
    assert_eq!(status["links"][0]["state"], "connected");
    let ended = daemon.terminate();
    let payloads = discord.seen(|seen| seen.payloads().into_iter().cloned().collect::<Vec<_>>());
    let whole: Vec<bool> = payloads.iter().map(|payload| !payload["assets"].is_null()).collect();
    assert_eq!(whole, [true, false, false, false], "the last one clears: {payloads:#?}");
    assert_eq!(ended.err.matches("could not show the card").count(), 1, "{}", ended.err);
}

#[test]
fn a_payload_refused_in_both_forms_is_not_repeated() {
    fn not_this_one(activity: &Value) -> Option<(i64, String)> {
        (activity["state"] == "+4.5K | 4.5K | 4.5K tokens").then(|| (4000, "not this one".to_owned()))
    }
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    discord.set(|rules| rules.refuse = Some(not_this_one));
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    discord.wait_for("two payloads", |seen| (seen.payloads().len() == 2).then_some(()));
    home.wait_for_status("the reason", |status| status["links"][0]["last_error"].is_string());
    session.tokens(500);
    discord.wait_for_presence("the next card", |card| card["state"] == "+500 | 5K | 5K tokens");
    daemon.terminate();
    let payloads = discord.seen(|seen| seen.payloads().len());
    assert_eq!(payloads, 4, "whole, reduced, the next card, nothing");
    assert_eq!(discord.connections(), 1, "and all of that over one connection");
}
