//! `setup`: a conversation without a terminal, and the real program off one.

use std::fs;
use std::io::Cursor;

use agent_presence::cmd::cli::{Setup, Shown};
use agent_presence::cmd::setup::{self, Talk};
use agent_presence::error::{Exit, Failure};
use agent_presence::host::Places;
use agent_presence::io::config_file::{self, ConfigFile};
use agent_presence::io::homes;
use agent_presence::io::paths::{Environment, Folders};
use jiff::tz::TimeZone;

use crate::support::fake_discord::FakeDiscord;
use crate::support::home::{APPLICATION, Home};

/// A user who has no application id yet, and settings that name the client alone, in a form of their own.
fn newcomer() -> (Home, FakeDiscord, String) {
    let mut home = Home::new();
    home.unset("AGENT_PRESENCE_APPLICATION_ID");
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let text = format!("# mine\r\n[discord] # all of it\r\nclients = [{:?}]\r\n", home.discord());
    home.settings(&text);
    (home, discord, text)
}

/// Runs the conversation in which `answers` are typed: how it ended, what was said, what was printed.
fn converse(home: &Home, setup: &Setup, answers: &str) -> (Result<Exit, Failure>, String, String) {
    converse_with(home, setup, answers, None)
}

/// The same for a program into which an id may have been built.
fn converse_with(
    home: &Home,
    setup: &Setup,
    answers: &str,
    built_in: Option<&str>,
) -> (Result<Exit, Failure>, String, String) {
    let folders =
        Folders { home: home.path("home"), config: home.path("config"), state: home.path("states") };
    let variables = [
        ("AGENT_PRESENCE_CONFIG", home.config()),
        ("XDG_RUNTIME_DIR", home.path("run")),
        ("CODEX_HOME", home.codex()),
    ];
    let environment = Environment::new(variables, Some(folders));
    let config = ConfigFile::locate(None, &environment).unwrap();
    let context = config_file::context(&environment, built_in);
    let effective = config.read(&context);
    let state = home.state();
    let homes = homes::of(&effective.settings.sources, &environment);
    let places = Places { config, effective, homes, state, environment, zone: TimeZone::UTC };
    let (mut said, mut printed) = (Vec::new(), Vec::new());
    let mut answers = Cursor::new(answers.to_owned());
    let talk = Talk { answers: Some(&mut answers), err: &mut said, open: &|_| false };
    let result = setup::run(setup, &places, &context, talk, &mut printed);
    (result, String::from_utf8(said).unwrap(), String::from_utf8(printed).unwrap())
}

fn settings(home: &Home) -> String {
    fs::read_to_string(home.config()).unwrap()
}

#[test]
fn a_conversation_sets_everything_up() {
    let (home, discord, before) = newcomer();
    let answers = format!("my app\n {APPLICATION} \nperhaps\nproject\nperhaps\nn\n");
    let (result, said, printed) = converse(&home, &Setup::default(), &answers);
    assert_eq!(result, Ok(Exit::Done));
    for expected in [
        "Click \"New Application\"",
        "an application id is 17 to 20 digits; copy \"Application ID\"",
        "please answer with any of project, branch and file",
        "please answer y or n",
        "Open this page: https://discord.com/developers/applications\n",
        "Discord knows the application id\n",
        "No session is active. From a recorded one",
        "Still missing:\n",
        "daemon: not running",
    ] {
        assert!(said.contains(expected), "{expected} is not in {said}");
    }
    assert!(printed.contains("│ Waiting for input in tidepool · GPT-5.6 Sol\n"), "{printed}");
    let id = format!("all of it\r\napplication_id = \"{APPLICATION}\"\r\n");
    let after = before.replace("all of it\r\n", &id) + "\r\n[privacy]\r\nproject = true\r\n";
    assert_eq!(settings(&home), after, "nothing else has changed");
    discord.seen(|seen| {
        assert!(seen.activities.is_empty(), "an id is tried without a card");
        assert_eq!(seen.connections.iter().filter(|one| one.shook_hands.is_some()).count(), 1);
    });

    // Once more, with every answer as it was.
    let (result, said, _) = converse(&home, &Setup::default(), "\n\nn\n");
    assert_eq!(result, Ok(Exit::Done));
    assert!(said.contains(&format!("Enter to keep {APPLICATION}")) && !said.contains("written to"), "{said}");
    assert_eq!(settings(&home), after);
}

#[test]
fn the_conversation_fits_one_screen() {
    let (home, discord, _) = newcomer();
    with_claude(&home);
    let page = format!("https://discord.com/developers/applications/{APPLICATION}/information");
    let (result, said, printed) = converse(&home, &Setup::default(), &format!("{page}\nproject\nn\ny\n"));
    assert_eq!(result, Ok(Exit::Done));
    assert!(settings(&home).contains(&format!("application_id = \"{APPLICATION}\"")), "{}", settings(&home));
    discord.seen(|seen| assert!(seen.connections.iter().any(|one| one.shook_hands.is_some())));
    let asked = said.split("Still missing").next().unwrap();
    // A terminal shows each answer in the line of its question; here they are not in the text.
    let lines = asked.lines().count() + asked.matches("? ").count() + printed.lines().count();
    assert!(lines <= 24, "{lines} lines: {asked}{printed}");
    let tried = said.find("knows the application id").unwrap();
    assert!(tried < said.find("Which of them to show").unwrap(), "it is tried at once: {said}");
}

#[test]
fn with_an_id_that_is_built_in_none_is_asked_for() {
    let (home, discord, before) = newcomer();
    let (result, said, printed) = converse_with(&home, &Setup::default(), "\nn\n", Some(APPLICATION));
    assert_eq!(result, Ok(Exit::Done));
    assert!(
        said.starts_with("the application id is built in; --application-id sets one of your own\n"),
        "{said}"
    );
    assert!(
        said.contains("Discord knows the application id\n") && !said.contains("New Application"),
        "{said}"
    );
    // Its application has images, so the hover texts are seen.
    assert!(
        printed.contains("on hover:    Waiting for input\n") && !printed.contains("only where"),
        "{printed}"
    );
    assert_eq!(settings(&home), before);
    drop(discord);

    let own = Setup { application_id: Some("2".repeat(17)), no_autostart: true, ..Setup::default() };
    let (result, _, printed) = converse_with(&home, &own, "", Some(APPLICATION));
    assert_eq!(result, Ok(Exit::Done));
    assert!(settings(&home).contains(&"2".repeat(17)));
    assert!(printed.contains("(seen only where discord.large_image is set)"), "{printed}");
}

#[test]
fn an_end_of_the_answers_leaves_the_rest_as_it_is() {
    let (home, _discord, before) = newcomer();
    let (result, said, _) = converse(&home, &Setup::default(), "");
    assert_eq!(result, Ok(Exit::Done));
    assert!(said.contains("application id: there is none"), "{said}");
    assert_eq!(settings(&home), before);
}

#[test]
fn a_refused_id_is_kept_and_both_reasons_are_given() {
    let (home, discord, _) = newcomer();
    discord.set(|rules| rules.bad_ids = vec![APPLICATION.to_owned()]);
    let setup = Setup {
        application_id: Some(APPLICATION.to_owned()),
        show: Some(vec![Shown::Nothing]),
        no_autostart: true,
        ..Setup::default()
    };
    let (result, said, _) = converse(&home, &setup, "");
    assert_eq!(result, Ok(Exit::Done));
    assert!(said.contains("did not accept the application id (Invalid Client ID)"), "{said}");
    assert!(said.contains("compare discord.application_id") && said.contains("waiting is enough"), "{said}");
    assert!(settings(&home).contains(APPLICATION));
}

#[test]
fn off_a_terminal_nothing_is_asked_and_nothing_changes() {
    let (home, discord, _) = newcomer();
    home.session().turn().tokens(4_500);
    let before = home.snapshot();
    let ended = home.run("setup");
    assert_eq!((ended.code, home.snapshot()), (Some(0), before), "{ended:?}");
    for flag in ["--application-id", "--show", "--autostart"] {
        assert!(ended.err.contains(&format!("as it is; {flag} changes it\n")), "{flag}: {}", ended.err);
    }
    assert!(ended.err.contains("This is how friends will see it:"), "{}", ended.err);
    assert!(ended.out.starts_with("┌ Codex\n") && ended.out.contains("4.5K tokens"), "{}", ended.out);
    discord.seen(|seen| assert!(seen.connections.iter().all(|one| one.shook_hands.is_none())));
}

#[test]
fn flags_are_answers_and_a_running_daemon_keeps_its_discord() {
    let (home, discord, _) = newcomer();
    home.session().turn().tokens(4_500);
    let daemon = home.start("run");
    daemon.wait_for_log("started");
    let ended = home.run(&format!("setup --application-id {APPLICATION} --show project"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    discord.wait_for_presence("the project", |card| card["details"].as_str().unwrap().contains(" in app"));
    assert_eq!(discord.connections(), 1, "the daemon's own");

    assert_eq!(home.run("setup --show nothing").code, Some(0));
    assert!(settings(&home).contains("project = false"));
    discord.wait_for_presence("no project", |card| !card["details"].as_str().unwrap().contains(" in app"));
    assert_eq!(daemon.terminate().code, Some(0));
}

/// Not on Windows, where the entry would be that of the user who runs the tests.
#[cfg(unix)]
#[test]
fn launch_at_login_starts_the_daemon_with_the_new_settings() {
    let (home, discord, _) = newcomer();
    home.session().turn().tokens(4_500);
    let ended = home.run(&format!("setup --application-id {APPLICATION} --autostart"));
    let stop = home.run("stop");
    assert_eq!((ended.code, stop.code), (Some(0), Some(0)), "{ended:?}");
    assert!(
        ended.err.contains("launch at login is enabled by the desktop autostart entry "),
        "{}",
        ended.err
    );
    assert!(home.path("home/.config/autostart/agent-presence.desktop").exists());
    discord.wait_for_no_presence();
}

#[test]
fn a_settings_file_that_cannot_be_changed_safely_is_left_alone() {
    let (home, _discord, _) = newcomer();
    let inline = format!("discord = {{ clients = [{:?}] }} # in one line\n", home.discord());
    for (text, message, hint) in [
        (inline.as_str(), "without touching the rest of it", "set it yourself: discord.application_id = \""),
        ("[discord\n", "the settings file has errors", "see them with `agent-presence config check`"),
    ] {
        home.settings(text);
        let ended = home.run(&format!("setup --application-id {APPLICATION}"));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains(message) && ended.err.contains(&format!("hint: {hint}")), "{}", ended.err);
        assert_eq!(settings(&home), text);
    }
    home.settings(&inline);
    let ended = home.run("setup --application-id 123");
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("expected 17 to 20 digits\nhint: copy"), "{}", ended.err);
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let (home, _discord, _) = newcomer();
    let real = home.path("dotfiles.toml");
    fs::rename(home.config(), &real).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, home.config()).unwrap();
    assert_eq!(home.run("setup --show file").code, Some(0));
    assert!(fs::symlink_metadata(home.config()).unwrap().is_symlink());
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(settings(&home).ends_with("\r\n[privacy]\r\nfile = true\r\n"), "{}", settings(&home));
}

#[test]
fn a_file_that_is_not_there_is_made_with_every_other_setting_as_a_comment() {
    let (home, _discord, _) = newcomer();
    let path = home.path("new/settings.toml");
    let ended = home.run(&format!("setup --show branch --config {}", path.display()));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\nbranch = true\n") && text.contains("\n#application_id = \"\"\n"), "{text}");
    assert_eq!(home.run(&format!("config check --config {}", path.display())).code, Some(0));
}

/// What Claude Code runs for its status line.
fn status_line(home: &Home) -> String {
    let text = fs::read_to_string(home.claude().join("settings.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(settings["theme"], "dark");
    settings["statusLine"]["command"].as_str().unwrap_or_default().to_owned()
}

fn with_claude(home: &Home) {
    fs::create_dir(home.claude()).unwrap();
    let text = r#"{"theme": "dark", "statusLine": {"type": "command", "command": "my-line"}}"#;
    fs::write(home.claude().join("settings.json"), text).unwrap();
}

#[test]
fn claude_code_s_status_line_is_asked_for_where_claude_code_is() {
    let (home, _discord, _) = newcomer();
    let (_, said, _) = converse(&home, &Setup::default(), "\n\nn\ny\n");
    assert!(!said.contains("Claude Code tells its limits"), "{said}");
    with_claude(&home);
    let (result, said, _) = converse(&home, &Setup::default(), "\n\nn\nn\n");
    assert_eq!(result, Ok(Exit::Done));
    assert!(said.contains("(A command that is there runs as before.) [Y/n]"), "{said}");
    assert_eq!(status_line(&home), "my-line");
    let (result, said, _) = converse(&home, &Setup::default(), "\n\nn\n\n");
    assert_eq!(result, Ok(Exit::Done));
    assert!(said.contains("settings.json: set up; the command that was there runs as before"), "{said}");
    assert!(status_line(&home).ends_with(" statusline"));
}

#[test]
fn off_a_terminal_only_a_flag_changes_claude_code_s_status_line() {
    let (home, _discord, _) = newcomer();
    let ended = home.run("setup --statusline yes");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("could not find Claude Code's folder\nhint: "), "{}", ended.err);
    with_claude(&home);
    let ended = home.run("setup");
    assert!(ended.err.contains("as it is; --statusline yes changes it\n"), "{}", ended.err);
    assert_eq!((home.run("setup --statusline no").code, status_line(&home).as_str()), (Some(0), "my-line"));
    assert_eq!(home.run("setup --statusline yes").code, Some(0));
    assert!(status_line(&home).ends_with(" statusline"));
    assert_eq!(home.run("statusline uninstall").code, Some(0));
    assert_eq!(status_line(&home), "my-line");
}

#[test]
fn an_agent_s_own_server_is_asked_about_where_one_has_been() {
    let (home, _discord, _) = newcomer();
    let key = || fs::read_to_string(home.config()).unwrap().contains("codex_live = true");
    fs::create_dir_all(home.codex().join("app-server-control")).unwrap();
    let (result, said, _) = converse(&home, &Setup::default(), "\n\n\nn\n");
    assert!(result.is_ok() && !key(), "{said}");
    assert!(said.contains("user agent that Codex sends to its model provider. Listen? [y/N]"), "{said}");
    let (result, said, _) = converse(&home, &Setup::default(), "\n\ny\nn\n");
    assert!(result.is_ok() && key(), "{said}");
    assert_eq!(home.run("setup --listen no").code, Some(0));
    assert!(!key());
    let ended = home.run("setup");
    assert!(ended.err.contains("sources.codex_live is left as it is; --listen changes it"), "{}", ended.err);
    assert_eq!(home.run("setup --listen yes").code, Some(0));
    assert!(key());
}
