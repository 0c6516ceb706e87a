//! Other users of the machine: what they put in the way gets nothing of the user's work, and nothing is written where
//! they want it. Only root can become another user, so these tests do nothing when others run them.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::process::Uid;
use serde_json::json;

use crate::support::control::{Held, Scripted, Stranger, socket};
use crate::support::home::Home;

/// No user of this machine, nor of any other.
const OTHER_USER: u32 = 61_234;

/// Does `work` as another user; `None`, and no work done, where that is not allowed.
fn as_other_user<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("left out: only root can be another user");
        return None;
    }
    let other = Uid::from_raw(OTHER_USER);
    let thread = std::thread::spawn(move || {
        // Of this thread alone, which ends here.
        rustix::thread::set_thread_res_uid(other, other, other).unwrap();
        work()
    });
    Some(thread.join().unwrap())
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A socket at which another user listens, in a folder that is this user's alone, and all that was said to it.
struct Ear(Arc<Mutex<Vec<Vec<u8>>>>);

impl Ear {
    fn at(path: &Path) -> Option<Self> {
        let (folder, path) = (path.parent().unwrap().to_owned(), path.to_owned());
        let before = fs::metadata(&folder).unwrap().mode();
        set_mode(&folder, 0o777);
        for above in folder.ancestors().skip(1).take_while(|above| above.starts_with(std::env::temp_dir())) {
            if above != std::env::temp_dir() {
                set_mode(above, 0o755);
            }
        }
        let listener = as_other_user(move || UnixListener::bind(path).unwrap())?;
        set_mode(&folder, before);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut said = Vec::new();
                let _ = stream.unwrap().read_to_end(&mut said);
                kept.lock().unwrap().push(said);
            }
        });
        Some(Self(heard))
    }

    fn heard(&self) -> Vec<u8> {
        self.0.lock().unwrap().concat()
    }
}

#[test]
fn a_socket_of_another_user_in_a_folder_of_ones_own_hears_nothing() {
    let home = Home::new();
    let Some(ear) = Ear::at(&home.path("run/discord-ipc-0")) else { return };
    home.session().turn().tokens(4_500);
    let daemon = home.start("run");
    let status = home.wait_for_status("the refusal", |status| status["links"][0]["last_error"].is_string());
    let error = status["links"][0]["last_error"].as_str().unwrap();
    assert!(error.contains("another user listens there"), "{error}");
    assert_eq!(daemon.terminate().code, Some(0));
    assert_eq!(ear.heard(), b"");
}

#[test]
fn a_link_to_another_users_socket_hears_nothing() {
    let home = Home::new();
    fs::create_dir(home.path("elsewhere")).unwrap();
    let Some(ear) = Ear::at(&home.path("elsewhere/socket")) else { return };
    symlink(home.path("elsewhere/socket"), home.path("run/discord-ipc-0")).unwrap();
    home.session().turn().tokens(4_500);
    let daemon = home.start("run");
    home.wait_for_status("the refusal", |status| status["links"][0]["last_error"].is_string());
    assert_eq!(daemon.terminate().code, Some(0));
    assert_eq!(ear.heard(), b"");
}

#[test]
fn a_control_socket_of_another_user_is_not_asked() {
    let home = Home::new();
    fs::create_dir(home.state()).unwrap();
    let Some(ear) = Ear::at(&socket(&home)) else { return };
    assert_eq!(home.status()["daemon"]["state"], "not_running");
    for command in ["stop", "pause", "resume"] {
        assert_eq!(home.run(command).code, Some(3), "{command}");
    }
    assert_eq!(ear.heard(), b"");
}

/// After `su` the runtime folder is still that of the user before.
#[test]
fn nothing_is_made_in_the_runtime_folder_of_another_user() {
    let mut home = Home::new();
    if as_other_user(|| ()).is_none() {
        return;
    }
    let long = home.path(&format!("{}/state", "x".repeat(120)));
    home.set("AGENT_PRESENCE_STATE_DIR", long.to_str().unwrap());
    chown(home.path("run"), Some(OTHER_USER), Some(OTHER_USER)).unwrap();
    let daemon = home.start("run");
    home.wait_for_status("the daemon", |status| status["daemon"]["pid"] == daemon.pid());
    assert_eq!(fs::read_dir(home.path("run")).unwrap().count(), 0);
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn a_link_of_another_user_on_the_way_to_the_state_folder_is_not_followed() {
    let mut home = Home::new();
    for name in ["shared", "victim"] {
        fs::create_dir(home.path(name)).unwrap();
    }
    set_mode(&home.path("shared"), 0o777);
    set_mode(&home.path(""), 0o755);
    let (victim, link) = (home.path("victim"), home.path("shared/link"));
    if as_other_user(move || symlink(victim, link).unwrap()).is_none() {
        return;
    }
    home.set("AGENT_PRESENCE_STATE_DIR", home.path("shared/link").to_str().unwrap());
    let ended = home.run("run");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("a link that another user made leads to it\nhint: "), "{}", ended.err);
    assert_eq!(fs::read_dir(home.path("victim")).unwrap().count(), 0);
}

#[test]
fn links_of_another_user_in_the_state_folder_are_not_written_through() {
    let home = Home::new();
    fs::create_dir(home.state()).unwrap();
    set_mode(&home.path(""), 0o755);
    set_mode(&home.state(), 0o777);
    let names = ["limits.json", "pause.json", "instance.json", "record", "statusline", "statusline.json"];
    let mut links: Vec<_> = names.iter().map(|name| (home.path(name), home.state().join(name))).collect();
    for (victim, _) in &links {
        if victim.extension().is_some() {
            fs::write(victim, "as it was").unwrap();
        } else {
            fs::create_dir(victim).unwrap();
        }
    }
    let today = agent_presence::io::clock::now().wall;
    for seconds in [0, 86_400] {
        let day = jiff::Timestamp::from_second(today.as_second() + seconds).unwrap();
        let name = format!("agent-presence.{}.log", day.strftime("%Y-%m-%d"));
        fs::write(home.path(&name), "as it was").unwrap();
        links.push((home.path(&name), home.state().join(name)));
    }
    let made = links.clone();
    if as_other_user(move || made.iter().for_each(|(to, at)| symlink(to, at).unwrap())).is_none() {
        return;
    }
    set_mode(&home.state(), 0o700);
    home.settings("[record]\nenabled = true");
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().tokens(4_500);
    let daemon = home.start("run");
    home.wait_for_status("the session", |status| {
        status["daemon"]["pid"] == daemon.pid() && status["sessions"][0]["tokens"]["total"] == 4_500
    });
    assert_eq!(home.run("pause").code, Some(0));
    assert_eq!(daemon.terminate().code, Some(0));
    for (victim, _) in links {
        if victim.is_dir() {
            assert_eq!(fs::read_dir(&victim).unwrap().count(), 0, "{victim:?}");
        } else {
            assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was", "{victim:?}");
        }
    }
    assert!(!fs::symlink_metadata(home.state().join("pause.json")).unwrap().is_symlink());
}

#[test]
fn a_state_folder_that_another_user_took_the_place_of_is_not_written_to() {
    let mut home = Home::new();
    fs::create_dir(home.path("shared")).unwrap();
    set_mode(&home.path(""), 0o755);
    let state = home.path("shared/state");
    home.set("AGENT_PRESENCE_STATE_DIR", state.to_str().unwrap());
    let mut session = home.session();
    session.turn().tokens(4_500);
    let daemon = home.start("run");
    home.wait_for_status("the daemon", |status| status["daemon"]["pid"] == daemon.pid());
    set_mode(&home.path("shared"), 0o777);
    let (there, away) = (state.clone(), home.path("shared/away"));
    let taken = as_other_user(move || {
        fs::rename(&there, away).unwrap();
        fs::create_dir(there).unwrap();
    });
    if taken.is_none() {
        return;
    }
    session.limits(36.0, 53.0).tokens(5_500);
    daemon.wait_for_log("belongs to another user");
    assert_eq!(daemon.terminate().code, Some(0));
    assert_eq!(fs::read_dir(state).unwrap().count(), 0);
}

#[test]
fn a_record_that_others_may_have_written_is_no_proof() {
    if as_other_user(|| ()).is_none() {
        return;
    }
    let others_write = |home: &Home| {
        chown(home.state(), None, Some(OTHER_USER)).unwrap();
        set_mode(&home.state(), 0o770);
    };
    let others_wrote = |home: &Home| {
        chown(home.state().join("instance.json"), Some(OTHER_USER), None).unwrap();
    };
    for change in [&others_write as &dyn Fn(&Home), &others_wrote] {
        let home = Home::new();
        let mut stranger = Stranger::new();
        let _held = Held::new(&home, Some(&stranger.record().to_string()));
        let _silent = Scripted::listen(&socket(&home), None, |_| ());
        change(&home);
        let ended = home.run("run");
        assert_eq!(ended.code, Some(4), "{ended:?}");
        let expected = format!(
            "process {} was left alone: others may write to the folder of its record",
            stranger.record()["pid"]
        );
        assert!(ended.err.contains(&expected), "{}", ended.err);
        assert!(stranger.is_alive());
    }
}

/// The same record, in a file that no other user can have written.
#[test]
fn a_record_of_ones_own_is_proof() {
    let home = Home::new();
    let mut stranger = Stranger::new();
    let _held = Held::new(&home, Some(&json!(stranger.record()).to_string()));
    let _silent = Scripted::listen(&socket(&home), None, |_| ());
    assert_eq!(home.run("run").code, Some(4), "the lock is the test's own");
    assert!(!stranger.is_alive());
}
