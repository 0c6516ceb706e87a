//! The real program on a set-up that is healthy, and on ten that each have one fault.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::fake_discord::FakeDiscord;
use crate::support::home::{APPLICATION, Home};
use crate::support::process::Process;

/// A user to whom nothing is wanting; the card has been confirmed when this is there.
struct Healthy {
    daemon: Process,
    discord: FakeDiscord,
    home: Home,
}

impl Healthy {
    fn new() -> Self {
        let home = Home::new();
        let discord = FakeDiscord::in_folder(&home.path("run"));
        home.session().turn().tokens(4_500);
        assert_eq!(home.run("autostart enable --no-start").code, Some(0));
        let daemon = home.start("run");
        discord.activity(1);
        home.wait_for_status("an acknowledgement", |status| status["links"][0]["last_ack_at"].is_string());
        Self { daemon, discord, home }
    }

    /// The same after its daemon has ended.
    fn without_daemon() -> (Home, FakeDiscord) {
        let Self { daemon, discord, home } = Self::new();
        assert_eq!(daemon.terminate().code, Some(0));
        (home, discord)
    }
}

/// What `doctor --json` says, with its exit code held against it.
#[track_caller]
fn doctor(home: &Home) -> Vec<Value> {
    let before = home.snapshot();
    let ended = home.run("doctor --json");
    assert_eq!(home.snapshot(), before, "doctor changes nothing");
    assert_eq!(ended.err, "");
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(report["schema"], 1);
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    let checks = report["checks"].as_array().unwrap().clone();
    let ok = checks.iter().all(|check| check["state"] != "failure");
    assert_eq!(report["ok"], json!(ok));
    assert_eq!(ended.code, Some(i32::from(!ok)), "{report:#}");
    checks
}

/// The one check with this name that is not as it should be, and what it says.
#[track_caller]
fn fault(home: &Home, name: &str, state: &str, message: &str, hint: &str) {
    let checks = doctor(home);
    let is_it = |check: &&Value| check["name"] == name && check["state"] == state;
    let check = checks.iter().find(is_it).unwrap_or_else(|| panic!("no {state} of {name} in {checks:#?}"));
    assert!(check["message"].as_str().unwrap().contains(message), "{message} is not in {check:#}");
    assert!(check["hint"].as_str().unwrap().contains(hint), "{hint} is not in {check:#}");
    let text = home.run("doctor").out;
    let line = format!("{state:<8} {name}: {}\n         hint: ", check["message"].as_str().unwrap());
    assert!(text.contains(&line), "{line} is not in {text}");
}

#[test]
fn a_healthy_set_up_has_no_fault() {
    let healthy = Healthy::new();
    let checks = doctor(&healthy.home);
    for check in &checks {
        // How many watches and how much disk there are is the machine's affair.
        let is_ours = check["name"] != "file watching";
        // A user need not have every agent.
        let is_unused = check["name"] == "sessions" && check["state"] == "skipped";
        assert!(!is_ours || is_unused || check["state"] == "ok", "{check:#}");
    }
    let names: Vec<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    for name in ["settings", "application id", "sessions", "discord clients", "daemon", "link", "lock"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    assert_eq!(healthy.home.run("doctor").code, Some(0));
    assert_eq!(healthy.discord.connections(), 1, "the daemon's own");
    assert!(healthy.daemon.is_running());
}

/// Each remote's command is tried once.
#[cfg(unix)]
#[test]
fn remotes_are_tried() {
    let (home, _discord) = Healthy::without_daemon();
    let there = Home::new();
    let far = there.command("watch --json --alive 60s");
    let variables = far.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
    let variables: Vec<String> = variables.map(|(name, value)| format!("{name}={value}")).collect();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let good =
        [words(&["/usr/bin/env", "-i"]), variables, words(&[env!("CARGO_BIN_EXE_agent-presence")])].concat();
    let good = [good, words(&["watch", "--json", "--alive", "60s"])].concat();
    let remote =
        |name: &str, command: &[String]| format!("[[remote]]\nname = {name:?}\ncommand = {command:?}\n");
    let away = "echo 'ssh: connect to host x port 22: No route to host' >&2; exit 255";
    let settings = std::fs::read_to_string(home.config()).unwrap();
    home.settings(
        &[
            settings,
            remote("good", &good),
            remote("missing", &words(&["/no/such/program"])),
            remote("away", &words(&["/bin/sh", "-c", away])),
        ]
        .concat(),
    );
    let checks = doctor(&home);
    let tried: Vec<_> = checks.iter().filter(|check| check["name"] == "remote").collect();
    let states: Vec<_> = tried.iter().map(|check| check["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["ok", "failure", "warning"], "{tried:#?}");
    let message = |place: usize| tried[place]["message"].as_str().unwrap();
    assert_eq!(message(0), concat!("good: agent-presence ", env!("CARGO_PKG_VERSION"), " answers"));
    assert!(message(1).starts_with("missing: could not start the command"), "{}", message(1));
    assert_eq!(message(2), "away: ssh: connect to host x port 22: No route to host");
}

#[test]
fn a_read_only_home_is_looked_at_without_a_trace() {
    let (home, discord) = Healthy::without_daemon();
    let folders = ["home", "run", "state", ""].map(|name| home.path(name));
    let set = |mode| {
        folders.iter().for_each(|path| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap());
    };
    set(0o555);
    let before = home.snapshot();
    home.run("doctor");
    assert_eq!(home.snapshot(), before);
    set(0o755);
    discord.seen(|seen| assert!(seen.connections.iter().skip(1).all(|one| one.shook_hands.is_none())));
}

#[test]
fn a_session_folder_that_cannot_be_read_is_reported() {
    let (home, _discord) = Healthy::without_daemon();
    let sessions = home.codex().join("sessions");
    fs::rename(&sessions, home.codex().join("elsewhere")).unwrap();
    // The superuser may read everything; this fault holds for root as well.
    symlink(&sessions, &sessions).unwrap();
    fault(&home, "sessions", "failure", &format!("could not read {}", sessions.display()), "chmod u+rx");
    fs::remove_file(&sessions).unwrap();
    fs::write(&sessions, "").unwrap();
    fault(&home, "sessions", "failure", "it is not a folder", "make it a folder");
}

#[test]
fn a_missing_session_folder_is_reported() {
    let (home, _discord) = Healthy::without_daemon();
    fs::rename(home.codex(), home.path("home/elsewhere")).unwrap();
    fault(&home, "sessions", "failure", "no session folder in", "sources.codex_home");
    home.session();
    assert!(doctor(&home).iter().all(|check| check["name"] != "sessions" || check["state"] != "failure"));
}

#[test]
fn sessions_that_are_not_read_are_reported() {
    let (home, _discord) = Healthy::without_daemon();
    let agent = home.path("home/.pi/agent");
    fs::create_dir_all(agent.join("sessions")).unwrap();
    fs::write(agent.join("sessions/00000000-1111-4111-8111-111111111111.jsonl"), "{}\n").unwrap();
    fs::write(agent.join("sessions.sqlite"), "").unwrap();
    fault(&home, "sessions", "warning", "pi: could not read sessions.sqlite", "PERSISTENT_STORE");
}

#[test]
fn a_missing_application_id_is_reported() {
    let (mut home, _discord) = Healthy::without_daemon();
    home.unset("AGENT_PRESENCE_APPLICATION_ID");
    fault(&home, "application id", "failure", "there is none", "agent-presence setup");
}

#[test]
fn an_application_id_of_another_form_is_reported() {
    let (mut home, _discord) = Healthy::without_daemon();
    home.set("AGENT_PRESENCE_APPLICATION_ID", "my app");
    fault(&home, "application id", "failure", "expected 17 to 20 digits, found \"my app\"", "Application ID");
}

#[test]
fn broken_settings_are_reported() {
    let (home, _discord) = Healthy::without_daemon();
    home.settings("[card]\nidle_after = \"soon\"\n");
    fault(&home, "settings", "failure", "config.toml:2:14: card.idle_after: ", "config check");
}

#[test]
fn a_login_entry_of_a_program_that_is_gone_is_reported() {
    let (home, _discord) = Healthy::without_daemon();
    let entry = home.path("home/.config/autostart/agent-presence.desktop");
    let text = fs::read_to_string(&entry).unwrap();
    fs::write(&entry, text.replace(env!("CARGO_BIN_EXE_agent-presence"), "/old/agent-presence")).unwrap();
    fault(&home, "login entry", "failure", "does not start this program", "agent-presence autostart enable");
    assert_eq!(home.run("autostart enable --no-start").code, Some(0), "as the hint says");
    assert!(doctor(&home).iter().all(|check| check["name"] != "login entry" || check["state"] == "ok"));
}

#[test]
fn a_state_folder_that_is_open_or_a_file_is_reported() {
    let (home, _discord) = Healthy::without_daemon();
    let set = |mode| fs::set_permissions(home.state(), fs::Permissions::from_mode(mode)).unwrap();
    set(0o777);
    fault(&home, "state folder", "failure", "every user may write to it", "chmod 700 ");
    set(0o755);
    fault(&home, "state folder", "warning", "other users may look into it", "chmod 700 ");
    fs::rename(home.state(), home.path("elsewhere")).unwrap();
    fs::write(home.state(), "").unwrap();
    fault(&home, "state folder", "failure", "it is not a folder", "AGENT_PRESENCE_STATE_DIR");
}

#[test]
fn a_daemon_that_hangs_is_reported() {
    let healthy = Healthy::new();
    healthy.daemon.signal(Signal::STOP);
    let message = format!("it does not answer (process {})", healthy.daemon.pid());
    fault(&healthy.home, "daemon", "failure", &message, "takes over from a daemon that hangs");
    assert_eq!(healthy.discord.connections(), 1, "the one that hangs still has it");
    healthy.daemon.signal(Signal::CONT);
}

#[test]
fn an_application_id_that_discord_refuses_is_reported() {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    discord.set(|rules| rules.bad_ids = vec![APPLICATION.to_owned()]);
    home.session().turn().tokens(4_500);
    let _daemon = home.start("run");
    home.wait_for_status("a rejection", |status| status["links"][0]["state"] == json!("rejected"));
    fault(&home, "link", "failure", "Invalid Client ID", "developer portal");
    assert_eq!(discord.connections(), 1);
}

#[test]
fn an_absent_discord_is_reported() {
    let (home, discord) = Healthy::without_daemon();
    discord.die();
    fault(&home, "discord clients", "warning", "no process listens at ", "start Discord");
    fs::remove_file(home.discord()).unwrap();
    fault(&home, "discord clients", "warning", "nothing is at ", "start that Discord");
}

#[test]
fn a_garbled_record_is_reported() {
    let (home, _discord) = Healthy::without_daemon();
    fs::write(home.state().join("instance.json"), "{\"pid\": 1").unwrap();
    fault(&home, "lock", "warning", "the record beside it is garbled", "writes a new one");
    assert!(Path::new(&home.state().join("instance.lock")).exists());
}
