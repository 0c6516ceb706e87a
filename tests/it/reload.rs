//! The settings file changes while the program runs, in all the ways in which editors and people change files.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::codex_session::CodexSession;
use crate::support::fake_discord::FakeDiscord;
use crate::support::home::{APPLICATION, Home};
use crate::support::process::Process;

/// Shows the project's name.
const PROJECT: &str = "[privacy]\nproject = true\n";

/// Settings that name the user's Discord alone and publish without long waits, and these.
fn settings(home: &Home, more: &str) -> String {
    let clients = [home.discord()];
    let publish = "[publish]\nsettle = \"0ms\"\nmin_interval = \"1s\"\ntokens_interval = \"1s\"\n";
    format!("[discord]\nclients = {clients:?}\n{publish}{more}")
}

/// Saves as most editors do: a new file takes the place of the old one.
fn save(path: &Path, text: &str) {
    let new = path.with_extension("toml.new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

/// The usual folder of the settings, which is not there yet. Windows knows it without asking the
/// environment; there it is one with a file in it that is named.
fn usual_folder(home: &mut Home) -> PathBuf {
    let above = if cfg!(target_os = "macos") { "home/Library/Application Support" } else { "later" };
    let folder = home.path(above).join("agent-presence");
    home.set("XDG_CONFIG_HOME", home.path(above).to_str().unwrap());
    let mut named = PathBuf::new();
    if cfg!(windows) {
        named = folder.join("config.toml");
        fs::create_dir_all(&folder).unwrap();
        fs::write(&named, settings(home, "")).unwrap();
    }
    home.set("AGENT_PRESENCE_CONFIG", named.to_str().unwrap());
    folder
}

/// A session in the middle of a turn, and the program that shows it on standard output.
fn shown(home: &Home) -> (CodexSession, Process) {
    let mut session = home.session();
    session.turn();
    let program = home.start("run --dry-run");
    program.wait_for_output("│ Thinking · GPT-5.6 Sol\n");
    (session, program)
}

#[test]
fn a_save_changes_the_card() {
    let home = Home::new();
    let (_session, program) = shown(&home);
    save(&home.config(), &settings(&home, PROJECT));
    program.wait_for_output("│ Thinking in app · GPT-5.6 Sol\n");
    program.wait_for_log("settings read again changed=\"privacy.project = true\"");
    // Rewritten in place, as some editors do.
    fs::write(home.config(), settings(&home, "[card]\ndetails = \"{model} at work\"\n")).unwrap();
    program.wait_for_output("│ GPT-5.6 Sol at work\n");
}

#[test]
fn a_broken_file_changes_nothing_until_it_is_corrected() {
    let home = Home::new();
    home.settings(&settings(&home, PROJECT));
    let mut session = home.session();
    session.turn();
    let program = home.start("run --dry-run");
    program.wait_for_output("│ Thinking in app · GPT-5.6 Sol\n");

    save(&home.config(), "[card]\ndetails = \"{model}\"\nidle_after = \"soon\"\n");
    program.wait_for_log("the last good settings stay in force");
    let issue = format!("{}:3:14: card.idle_after: expected a duration", home.config().display());
    program.wait_for_log(&issue);
    let issues = home.status()["config"]["issues"].clone();
    assert!(issues[0].as_str().unwrap().starts_with(&issue), "{issues}");
    session.call();
    program.wait_for_output("│ Running a command in app · GPT-5.6 Sol\n");

    save(&home.config(), "[card\n");
    program.wait_for_log(&format!("{}:1:6: not valid TOML: ", home.config().display()));
    session.call_done().turn();
    let quiet = program.output();
    assert!(quiet.contains(" in app ") && !quiet.contains("│ GPT"), "{quiet}");

    save(&home.config(), &settings(&home, "[card]\ndetails = \"{model}\"\n"));
    program.wait_for_output("│ GPT-5.6 Sol\n");
    assert_eq!(home.status()["config"]["issues"], json!([]));
}

#[cfg(unix)]
#[test]
fn a_link_to_other_settings_is_followed() {
    use std::os::unix::fs::symlink;

    let mut home = Home::new();
    let (one, two) = (home.path("one.toml"), home.path("two.toml"));
    fs::write(&one, settings(&home, "")).unwrap();
    fs::write(&two, settings(&home, PROJECT)).unwrap();
    let link = home.path("link.toml");
    symlink(&one, &link).unwrap();
    home.set("AGENT_PRESENCE_CONFIG", link.to_str().unwrap());
    let (_session, program) = shown(&home);

    symlink(&two, home.path("link.new")).unwrap();
    fs::rename(home.path("link.new"), &link).unwrap();
    program.wait_for_output("│ Thinking in app · GPT-5.6 Sol\n");
    save(&two, &settings(&home, "[card]\ndetails = \"{model} at work\"\n"));
    program.wait_for_output("│ GPT-5.6 Sol at work\n");
}

#[test]
fn a_folder_comes_and_goes() {
    let mut home = Home::new();
    let folder = usual_folder(&mut home);
    let file = folder.join("config.toml");
    let (_session, program) = shown(&home);

    fs::create_dir_all(&folder).unwrap();
    fs::write(&file, settings(&home, PROJECT)).unwrap();
    program.wait_for_output("│ Thinking in app · GPT-5.6 Sol\n");
    fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    program.wait_for_log("the last good settings stay in force");
    fs::create_dir_all(&folder).unwrap();
    fs::write(&file, settings(&home, "[card]\ndetails = \"{model} at work\"\n")).unwrap();
    program.wait_for_output("│ GPT-5.6 Sol at work\n");
}

#[test]
fn the_log_becomes_louder_and_quieter() {
    let home = Home::new();
    let (mut session, program) = shown(&home);
    assert!(!program.log().contains("DEBUG"), "{}", program.log());
    save(&home.config(), &settings(&home, "[log]\nlevel = \"debug\"\n"));
    program.wait_for_log("settings read again");
    session.call();
    program.wait_for_log("DEBUG running");
    save(&home.config(), &settings(&home, "[log]\nlevel = \"error\"\n[card]\ndetails = \"{model}\"\n"));
    program.wait_for_output("│ GPT-5.6 Sol\n");
    let before = program.log();
    session.call_done().tokens(1000);
    program.wait_for_output("1K");
    assert_eq!(program.log(), before);
}

#[test]
fn other_homes_are_read() {
    let home = Home::new();
    let (_session, program) = shown(&home);
    let other = home.path("other");
    CodexSession::begin(&other).model("gpt-5.1-codex").turn();
    save(&home.config(), &settings(&home, &format!("[sources]\ncodex_home = [{other:?}]\n")));
    program.wait_for_output("GPT-5.1 Codex\n");
    save(&home.config(), &settings(&home, "[sources]\ncodex = false\n"));
    program.wait_for_output("no card");
}

#[test]
fn an_application_id_is_set_later() {
    let mut home = Home::new();
    home.unset("AGENT_PRESENCE_APPLICATION_ID");
    let discord = FakeDiscord::at(&home.discord(), Default::default());
    home.session().turn();
    let program = home.start("run");
    program.wait_for_log("no application id is set");

    let text = |more: &str| {
        let clients = [home.discord()];
        // With an interval this long, only a rule that hides takes effect at once.
        format!(
            "[discord]\nclients = {clients:?}\napplication_id = \"{APPLICATION}\"\nmember_list = \"details\"\n{more}"
        )
    };
    save(&home.config(), &text("[publish]\nmin_interval = \"1h\"\n"));
    let card = discord.wait_for_presence("a card", |_| true);
    assert_eq!(card["status_display_type"], 2);
    let log = program.log();
    assert!(log.contains("changed=\"discord.application_id, ") && !log.contains(APPLICATION), "{log}");

    let hide = "[[privacy.rule]]\npath = \"/home/*/app\"\nshow = \"hide\"\n";
    save(&home.config(), &text(&format!("[publish]\nmin_interval = \"1h\"\n{hide}")));
    discord.wait_for_no_presence();
    drop(program);
    assert_eq!(discord.connections(), 1);
}

#[test]
fn a_file_that_was_never_good_shows_nothing() {
    let home = Home::new();
    let discord = FakeDiscord::at(&home.discord(), Default::default());
    home.settings("[[privacy.rule]]\npath = \"/home/*/app\n");
    home.session().turn().tokens(1000);
    let program = home.start("run");
    program.wait_for_log("nothing is shown in Discord until they are corrected");
    program.wait_for_log("Token usage: ");
    assert_eq!(discord.connections(), 0);
    assert!(!program.log().contains("no application id"), "{}", program.log());

    save(&home.config(), &settings(&home, ""));
    discord.activity(1);
}

#[test]
fn only_the_file_named_is_read() {
    let home = Home::new();
    let named: PathBuf = home.path("named.toml");
    let mut session = home.session();
    session.turn();
    let program = home.start(&format!("--config {} run --dry-run", named.display()));
    program.wait_for_log("could not read it");
    save(&named, &settings(&home, "[card]\ndetails = \"{model} at work\"\n"));
    program.wait_for_output("│ GPT-5.6 Sol at work\n");
}

/// Hides the sessions of these tests, however their folder is written.
const HIDDEN: &str = "[[privacy.rule]]\npath = \"/home/./*//app\"\nshow = \"hide\"\n";

/// Nothing of the folder is anywhere but in `status`.
#[track_caller]
fn tells_nothing(program: &Process) {
    for text in [program.output(), program.log()] {
        assert!(!text.contains("Thinking") && !text.contains("/app"), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_in_the_middle_of_a_change_shows_nothing_more() {
    use std::os::unix::fs::symlink;

    let mut home = Home::new();
    let folder = usual_folder(&mut home);
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("config.toml");
    let hidden = settings(&home, HIDDEN);
    fs::write(&file, &hidden).unwrap();
    home.session().turn();
    let program = home.start("run --dry-run");
    program.wait_for_log("started");
    home.wait_for_status("the session", |status| status["no_card"] == "hidden");
    let changes: [(&str, &dyn Fn()); 5] = [
        ("empty or gone", &|| fs::write(&file, "").unwrap()),
        ("empty or gone", &|| fs::remove_file(&file).unwrap()),
        ("a link to nothing", &|| {
            fs::remove_file(&file).unwrap();
            symlink("nowhere.toml", &file).unwrap();
        }),
        ("could not read it", &|| {
            fs::remove_file(&file).unwrap();
            fs::create_dir(&file).unwrap();
        }),
        ("not valid TOML", &|| fs::write(&file, hidden.split_at(hidden.len() - 4).0).unwrap()),
    ];
    for (issue, change) in changes {
        change();
        let status =
            home.wait_for_status(issue, |status| status["config"]["issues"].to_string().contains(issue));
        assert_eq!(status["no_card"], "hidden", "{issue}");
        if fs::remove_file(&file).is_err() {
            let _ = fs::remove_dir(&file);
        }
        fs::write(&file, &hidden).unwrap();
        home.wait_for_status("no issues", |status| status["config"]["issues"] == json!([]));
    }
    // What shows more, and is not there for long.
    fs::write(&file, settings(&home, PROJECT)).unwrap();
    program.wait_for_log("settings that show more than before take effect in 10s");
    fs::write(&file, &hidden).unwrap();
    home.wait_for_status("the session", |status| status["no_card"] == "hidden");
    tells_nothing(&program);
}

#[test]
fn a_mistyped_rule_shows_nothing_until_it_is_corrected() {
    let home = Home::new();
    let discord = FakeDiscord::at(&home.discord(), Default::default());
    home.session().turn();
    let program = home.start("run");
    discord.wait_for_presence("a card", |_| true);
    save(&home.config(), &settings(&home, "[[privacy.rules]]\npath = \"/other\"\nshow = \"hide\"\n"));
    discord.wait_for_no_presence();
    let status = home.status();
    assert_eq!(status["no_card"], "settings");
    let issue = format!("{}:7:11: privacy.rules: unknown key", home.config().display());
    assert!(status["config"]["issues"][0].as_str().unwrap().starts_with(&issue), "{status:#}");
    assert!(home.output("preview").contains("nothing is shown until it is corrected"));
    let checked = home.run("config check");
    assert_eq!(checked.code, Some(1));
    assert!(checked.err.contains("hint: did you mean [[privacy.rule]]?"), "{}", checked.err);
    // A file that is also broken in another way is not corrected.
    save(&home.config(), "[card");
    home.wait_for_status("the other mistake", |status| {
        status["config"]["issues"].to_string().contains("TOML")
    });
    assert_eq!(home.status()["no_card"], "settings");
    save(&home.config(), &settings(&home, ""));
    discord.wait_for_presence("a card", |_| true);
    drop(program);
    assert_eq!(discord.connections(), 1);
}

#[test]
fn a_file_that_was_named_and_is_not_there_shows_nothing() {
    let mut home = Home::new();
    let discord = FakeDiscord::at(&home.discord(), Default::default());
    home.set("AGENT_PRESENCE_CONFIG", home.path("missing.toml").to_str().unwrap());
    home.session().turn();
    let program = home.start("run");
    program.wait_for_log("nothing is shown in Discord until they are corrected");
    home.wait_for_status("why", |status| status["no_card"] == "settings");
    assert!(home.output("status").contains("missing.toml"));
    tells_nothing(&program);
    drop(program);
    assert_eq!(discord.connections(), 0);
    for command in ["preview", "status"] {
        assert!(home.output(command).contains("nothing is shown until it is corrected"), "{command}");
    }
    assert_eq!(home.run("config check").code, Some(1));
}

#[test]
fn the_next_daemon_shows_nothing_more_than_the_last_good_settings() {
    let home = Home::new();
    home.settings(&settings(&home, HIDDEN));
    home.session().turn();
    let first = home.start("run");
    home.wait_for_status("the session", |status| status["no_card"] == "hidden");
    fs::write(home.config(), "").unwrap();
    let second = home.start("run");
    assert_eq!(first.wait_for_end().code, Some(0));
    let status = home.wait_for_status("the session", |status| status["no_card"] == "hidden");
    assert!(status["config"]["issues"].to_string().contains("empty or gone"), "{status:#}");
    tells_nothing(&second);
}
