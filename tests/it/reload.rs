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
fn a_broken_file_changes_nothing_until_it_is_mended() {
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
fn a_link_is_pointed_elsewhere() {
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
    let folder = home.path("later/deeper");
    let file = folder.join("config.toml");
    home.set("AGENT_PRESENCE_CONFIG", file.to_str().unwrap());
    let (_session, program) = shown(&home);

    fs::create_dir_all(&folder).unwrap();
    fs::write(&file, settings(&home, PROJECT)).unwrap();
    program.wait_for_output("│ Thinking in app · GPT-5.6 Sol\n");
    fs::remove_dir_all(home.path("later")).unwrap();
    program.wait_for_log("privacy.project = false");
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
        // Only a rule that hides is at once with such an interval.
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
    program.wait_for_log("nothing is shown in Discord until they are mended");
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
