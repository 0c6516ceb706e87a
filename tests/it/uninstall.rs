//! `uninstall`: what was set up is taken back, what the user wrote stays, and what is left is said.

#[cfg(target_os = "linux")]
use std::fs;

use crate::support::home::Home;

#[cfg(target_os = "linux")]
const BEFORE: &str = "{\n  \"statusLine\": {\"type\": \"command\", \"command\": \"echo mine\"}\n}\n";

/// A user with everything set up: settings, a status line and a login entry.
#[cfg(target_os = "linux")]
fn set_up() -> Home {
    let home = Home::new();
    fs::create_dir_all(home.claude()).unwrap();
    fs::write(home.claude().join("settings.json"), BEFORE).unwrap();
    home.output("statusline install");
    home.output("autostart enable --no-start");
    assert!(home.path("home/.config/autostart/agent-presence.desktop").exists());
    home
}

#[cfg(target_os = "linux")]
#[test]
fn everything_set_up_is_removed_and_the_users_own_stays() {
    let home = set_up();
    let settings = fs::read_to_string(home.config()).unwrap();
    let daemon = home.start("run");
    daemon.wait_for_log("started");
    let said = home.output("uninstall");
    assert_eq!(daemon.wait_for_end().code, Some(0));
    for expected in [
        "the daemon is stopped\n".to_owned(),
        "launch at login is disabled\n".to_owned(),
        format!("{}: as it was before\n", home.claude().join("settings.json").display()),
        format!("left: the settings, {}\n", home.config().display()),
        format!("left: the state, {}\n", home.state().display()),
        "uninstall --purge".to_owned(),
        format!("left: the program, {}\n", env!("CARGO_BIN_EXE_agent-presence")),
    ] {
        assert!(said.contains(&expected), "{expected} is not in {said}");
    }
    assert!(!home.path("home/.config/autostart/agent-presence.desktop").exists());
    assert_eq!(fs::read_to_string(home.claude().join("settings.json")).unwrap(), BEFORE);
    assert_eq!(fs::read_to_string(home.config()).unwrap(), settings);

    let again = home.output("uninstall");
    assert!(again.starts_with("no daemon is running\nlaunch at login is already disabled\n"), "{again}");
}

#[cfg(target_os = "linux")]
#[test]
fn purging_removes_settings_and_state_and_nothing_else() {
    let home = set_up();
    let text = fs::read_to_string(home.config()).unwrap() + "[record]\nenabled = true\n";
    home.settings(&text);
    home.session().turn().tokens(4_500);
    let daemon = home.start("run");
    daemon.wait_for_log("started");
    assert_eq!(daemon.terminate().code, Some(0));
    let log = home.state().join("agent-presence.2026-11-20.log");
    fs::write(log, "").unwrap();
    let own = home.state().join("notes.txt");
    fs::write(&own, "mine").unwrap();

    let said = home.output("uninstall --purge");
    assert!(said.contains(&format!("removed {}\n", home.config().display())), "{said}");
    assert!(said.contains(&format!("left: {}, which has files", home.state().display())), "{said}");
    assert!(!home.config().exists());
    let left: Vec<_> = fs::read_dir(home.state()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);

    fs::remove_file(own).unwrap();
    let said = home.output("uninstall --purge");
    assert!(said.contains(&format!("removed {}\n", home.state().display())), "{said}");
    assert!(!home.state().exists());
}

#[test]
fn where_nothing_was_set_up_nothing_is_made() {
    let home = Home::new();
    let before = home.snapshot();
    let said = home.output("uninstall");
    assert!(said.starts_with("no daemon is running\nlaunch at login is already disabled\n"), "{said}");
    assert_eq!(home.snapshot(), before);
}

#[cfg(target_os = "linux")]
#[test]
fn one_part_that_fails_does_not_stop_the_others() {
    let home = set_up();
    fs::write(home.claude().join("settings.json"), "{ not JSON").unwrap();
    let ended = home.run("uninstall --purge");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("could not change"), "{}", ended.err);
    assert!(!home.path("home/.config/autostart/agent-presence.desktop").exists());
    assert!(!home.config().exists() && !home.state().exists());
}
