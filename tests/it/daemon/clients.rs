//! Discord clients that are there, come, hang, die and come back.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::support::fake_discord::{Delivery, FakeDiscord, Rules};
use crate::support::home::Home;

const MINUTE: Duration = Duration::from_secs(60);

/// Two Discords, and a user who wants both.
fn two() -> (Home, FakeDiscord, FakeDiscord) {
    let mut home = Home::new();
    let [one, two] = ["run/discord-ipc-0", "run/discord-ipc-1"].map(|path| home.path(path));
    home.clients(&[one.clone(), two.clone()]);
    let one = FakeDiscord::at(&one, Rules::default());
    let two = FakeDiscord::at(&two, Rules::default());
    (home, one, two)
}

fn states(status: &Value) -> Vec<&str> {
    status["links"].as_array().unwrap().iter().map(|link| link["state"].as_str().unwrap()).collect()
}

#[test]
fn several_clients_get_the_same_card_and_one_dying_does_not_touch_the_other() {
    let (home, one, two) = two();
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    assert_eq!(one.activity(1), two.activity(1));
    home.wait_for_status("two links", |status| states(status) == ["connected", "connected"]);

    two.die();
    session.tokens(500);
    one.wait_for_presence("the new total", |card| card["state"] == "+500 | 5K | 5K tokens");
    let status = home.wait_for_status("a lost link", |status| states(status) == ["connected", "waiting"]);
    assert!(status["links"][1]["last_error"].is_string(), "{status:#}");
    assert_eq!(one.connections(), 1);

    two.restart();
    two.wait_for_presence("the new total", |card| card["state"] == "+500 | 5K | 5K tokens");
    daemon.terminate();
    assert_eq!((one.activity(3), two.activity(3)), (None, None), "both are cleared");
}

#[test]
fn a_client_that_hangs_delays_no_other() {
    let (home, one, two) = two();
    two.freeze();
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    assert!(one.activity(1).is_some());
    let status = home.status();
    assert_eq!(status["daemon"]["state"], "running");
    assert_eq!(status["links"].as_array().unwrap().len(), 2, "{status:#}");

    // Once more with one that stops in the middle of its life.
    two.thaw();
    assert!(two.activity(1).is_some());
    two.freeze();
    session.tokens(500);
    one.wait_for_presence("the new total", |card| card["state"] == "+500 | 5K | 5K tokens");
    let ended = daemon.terminate();
    assert_eq!(ended.code, Some(0));
    assert_eq!(one.activity(3), None, "the one that answers is cleared");
}

#[test]
fn a_discord_that_appears_later_gets_the_card() {
    let home = Home::new();
    let discord = FakeDiscord::absent(&home.discord(), Rules::default());
    home.session().turn().tokens(4_500);
    let daemon = home.start("run");
    daemon.wait_for_log("Token usage");
    discord.restart();
    assert_eq!(discord.activity(1).unwrap()["state"], "+4.5K | 4.5K | 4.5K tokens");
    daemon.terminate();
    assert_eq!(discord.connections(), 1);
}

#[test]
fn a_discord_whose_folder_appears_later_gets_the_card() {
    let mut home = Home::new();
    let socket = home.path("run/app/com.discordapp.Discord/discord-ipc-0");
    home.clients(std::slice::from_ref(&socket));
    home.session().turn().tokens(4_500);
    let daemon = home.start("run");
    daemon.wait_for_log("Token usage");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let discord = FakeDiscord::at(&socket, Rules::default());
    assert_eq!(discord.activity(1).unwrap()["state"], "+4.5K | 4.5K | 4.5K tokens");
    drop(daemon);
}

#[cfg(unix)]
#[test]
fn a_dead_socket_file_before_a_live_one_is_no_obstacle() {
    let mut home = Home::new();
    let (dead, live) = (home.discord(), home.path("run/discord-ipc-1"));
    home.clients(&[dead.clone(), live.clone()]);
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let discord = FakeDiscord::at(&live, Rules::default());
    home.session().turn().tokens(4_500);
    let daemon = home.start("run");
    assert!(discord.activity(1).is_some());
    let status = home.wait_for_status("both", |status| states(status) == ["waiting", "connected"]);
    assert!(status["links"][0]["last_error"].as_str().unwrap().contains("refused"), "{status:#}");
    assert!(dead.exists(), "it is not ours to remove");
    let ended = daemon.terminate();
    assert_eq!(ended.err.matches("could not connect").count(), 1, "said once: {}", ended.err);
}

#[test]
fn after_discord_was_killed_the_card_is_back_with_the_same_timer() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    let first = discord.activity(1);
    discord.die();
    daemon.wait_for_log("lost the connection");
    discord.restart();
    let second = discord.activity(2);
    assert_eq!(first, second, "the same card, the same timer");
    assert_eq!(second.unwrap()["timestamps"]["start"], session.timer());
    assert_eq!(discord.connections(), 2);
    let ended = daemon.terminate();
    assert_eq!(ended.err.matches("lost the connection").count(), 1, "{}", ended.err);
}

#[test]
fn a_discord_that_comes_and_goes_sees_two_connections_a_minute() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    home.session().turn().tokens(4_500);
    let daemon = home.start("run");
    discord.activity(1);
    discord.restart();
    discord.activity(2);
    for _ in 0..3 {
        discord.restart();
    }
    discord.wait_for_end(2);
    home.wait_for_status("a wait", |status| states(status) == ["waiting"]);
    daemon.terminate();
    assert_eq!(discord.connections(), 2);
    assert!(discord.most_connections_within(MINUTE) <= 2);
}

#[test]
fn a_discord_that_dies_within_a_frame_is_connected_to_again() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    home.session().turn().tokens(4_500);
    discord.set(|rules| rules.die_in_next_answer = true);
    let daemon = home.start("run");
    let first = discord.activity(1);
    assert_eq!(discord.activity(2), first);
    home.wait_for_status("an acknowledgement", |status| status["links"][0]["last_ack_at"].is_string());
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn a_slow_and_clumsy_discord_is_waited_for_over_one_connection() {
    for delivery in [Delivery::Halves, Delivery::BehindPing] {
        let home = Home::new();
        let rules = Rules {
            delivery,
            ping_first: true,
            stray_answers: true,
            ready_after: Duration::from_millis(700),
            answer_after: Duration::from_millis(300),
            ..Rules::default()
        };
        let discord = FakeDiscord::at(&home.discord(), rules);
        let mut session = home.session();
        session.turn().tokens(4_500);
        let daemon = home.start("run");
        assert!(discord.activity(1).is_some());
        session.tokens(500);
        discord.wait_for_presence("the new total", |card| card["state"] == "+500 | 5K | 5K tokens");
        daemon.terminate();
        assert_eq!(discord.activity(3), None, "{delivery:?}");
        assert_eq!(discord.connections(), 1, "{delivery:?}");
    }
}

/// A folder that everybody can write to is not watched: what happens to a link is reason enough to look.
#[cfg(unix)]
#[test]
fn without_a_watcher_a_second_discord_is_found_when_the_first_one_answers() {
    use std::os::unix::fs::PermissionsExt;

    let mut home = Home::new();
    let open = home.path("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    let [one, two] = ["run/discord-ipc-0", "open/discord-ipc-0"].map(|path| home.path(path));
    home.clients(&[one.clone(), two.clone()]);
    let one = FakeDiscord::at(&one, Rules::default());
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    one.wait_for_presence("the card", |_| true);
    home.wait_for_status("an acknowledgement", |status| {
        status["links"].as_array().unwrap().iter().any(|link| link["last_ack_at"].is_string())
    });
    let two = FakeDiscord::at(&two, Rules::default());
    session.tokens(500);
    two.wait_for_presence("the new total", |card| card["state"] == "+500 | 5K | 5K tokens");
    assert_eq!(daemon.terminate().code, Some(0));
}

/// On a terminal, which `script` makes.
#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_cards_are_printed_also_while_discord_is_awaited() {
    use crate::support::process::Process;

    let home = Home::new();
    home.session().turn().tokens(4_500);
    let run = home.command("run");
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &format!("{} run", run.get_program().to_str().unwrap()), "/dev/null"]).env_clear();
    script.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.env("PATH", "/usr/bin:/bin").current_dir(home.path(""));
    let terminal = Process::start(&mut script);
    terminal.wait_for_output("waiting for Discord; until then cards are only printed here");
    terminal.wait_for_output("4.5K | 4.5K tokens");
    let discord = FakeDiscord::in_folder(&home.path("run"));
    discord.wait_for_presence("the card", |_| true);
    assert_eq!(home.run("stop").code, Some(0));
    terminal.wait_for_end();
}
