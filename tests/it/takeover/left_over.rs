//! What a crash, a power cut or an earlier boot left behind costs nothing.

use std::fs;

#[cfg(unix)]
use crate::support::control::{Stranger, socket};
use crate::support::home::Home;

fn starts(home: &Home) {
    let daemon = home.start("run");
    home.wait_for_status("the daemon", |status| status["daemon"]["pid"] == daemon.pid());
    let ended = daemon.terminate();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.err.contains("took over"), "{}", ended.err);
}

#[test]
fn a_killed_instance_leaves_no_obstacle() {
    let home = Home::new();
    for _ in 0..3 {
        let daemon = home.start("run");
        home.wait_for_status("the daemon", |status| status["daemon"]["pid"] == daemon.pid());
        daemon.kill();
        #[cfg(unix)]
        assert!(socket(&home).exists(), "a killed process leaves its socket");
        assert_eq!(home.status()["daemon"]["state"], "not_running");
        assert_eq!(home.run("stop").code, Some(3));
    }
    starts(&home);
}

#[cfg(unix)]
#[test]
fn a_record_without_a_lock_is_no_obstacle() {
    let mut stranger = Stranger::new();
    let right = stranger.record().to_string();
    let mut other_boot = stranger.record();
    other_boot["boot_id"] = serde_json::json!("an earlier one");
    for record in [right, other_boot.to_string(), "garbage".to_owned(), String::new()] {
        let home = Home::new();
        fs::create_dir_all(home.state()).unwrap();
        fs::write(home.state().join("instance.json"), record).unwrap();
        starts(&home);
    }
    assert!(stranger.is_alive());
}

#[cfg(unix)]
#[test]
fn a_lock_file_and_a_socket_without_a_process_are_no_obstacle() {
    let home = Home::new();
    fs::create_dir_all(home.state()).unwrap();
    fs::write(home.state().join("instance.lock"), "").unwrap();
    drop(std::os::unix::net::UnixListener::bind(socket(&home)).unwrap());
    starts(&home);
}

#[test]
fn a_state_folder_that_cannot_hold_the_lock_is_no_running_instance() {
    let home = Home::new();
    fs::create_dir_all(home.state().join("instance.lock")).unwrap();
    let ended = home.run("run");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.starts_with("error: could not open "), "{}", ended.err);
}
