//! Pipes, devices, sockets, folders and huge files where a file should be: said in one line, and nothing waits for them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::Signal;

use crate::support::home::Home;

/// What may be in the place of a file, and what is said of it there.
const INSTEAD: [(&str, &str); 5] = [
    ("pipe", "it is not a file but a pipe"),
    ("socket", "it is not a file but a socket"),
    ("folder", "it is not a file but a folder"),
    ("/dev/zero", "it is not a file but a device"),
    ("/dev/tty", "it is not a file but a device"),
];

fn remove(path: &Path) {
    if fs::remove_dir(path).is_err() {
        let _ = fs::remove_file(path);
    }
}

/// Puts it there.
fn put(what: &str, at: &Path) {
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    remove(at);
    match what {
        "pipe" => rustix::fs::mkfifoat(CWD, at, Mode::RUSR | Mode::WUSR).unwrap(),
        // A socket's path has to be short only while it is bound.
        "socket" => {
            let folder = tempfile::tempdir().unwrap();
            let short = folder.path().join("socket");
            drop(UnixListener::bind(&short).unwrap());
            fs::rename(short, at).unwrap();
        }
        "folder" => fs::create_dir(at).unwrap(),
        device => symlink(device, at).unwrap(),
    }
}

#[test]
fn nothing_in_the_place_of_settings_hangs() {
    for (what, words) in INSTEAD {
        let home = Home::new();
        fs::remove_file(home.config()).unwrap();
        put(what, &home.config());
        let ended = home.run("config check");
        let words = match what {
            "pipe" => "it is a named pipe, and no process wrote to it",
            "/dev/zero" => "it is larger than 1 MB",
            // Without a terminal the system says that there is none.
            "/dev/tty" => "could not read it: ",
            _ => words,
        };
        assert_eq!(ended.code, Some(1), "{what}: {ended:?}");
        assert!(ended.err.contains(words) && ended.err.contains("\nhint: "), "{what}: {}", ended.err);
        let status = home.status();
        assert!(status["config"]["issues"][0].is_string(), "{what}: {status:#}");
    }
    let home = Home::new();
    fs::remove_file(home.config()).unwrap();
    put("/dev/null", &home.config());
    assert_eq!(home.run("config check").code, Some(0), "the null device is no settings");
    fs::remove_file(home.config()).unwrap();
    fs::write(home.config(), vec![b'#'; (1 << 20) + 1]).unwrap();
    let ended = home.run("config check");
    assert!(ended.err.contains("it is larger than 1 MB"), "{}", ended.err);
}

#[test]
fn a_pipe_that_a_shell_gives_is_read_as_settings() {
    let home = Home::new();
    put("pipe", &home.path("pipe"));
    let pipe = home.path("pipe");
    let writer = std::thread::spawn(move || fs::write(pipe, "[tokens]\ncount = \"all\"\n").unwrap());
    let ended = home.run(&format!("config show --config {}", home.path("pipe").display()));
    writer.join().unwrap();
    assert!(ended.out.contains("count = \"all\""), "{ended:?}");
}

#[test]
fn nothing_in_the_place_of_the_state_hangs() {
    for (what, words) in INSTEAD {
        let home = Home::new();
        let names = ["limits.json", "pause.json", "instance.json", "statusline.json", "statusline/one.json"];
        names.iter().for_each(|name| put(what, &home.state().join(name)));
        put(what, &home.claude().join(".claude.json"));
        home.session().turn().tokens(4_500);
        let status = home.run("status");
        assert_eq!(status.code, Some(0), "{what}: {status:?}");
        home.run("doctor");
        let daemon = home.start("run --dry-run");
        daemon.wait_for_output("│ ");
        home.wait_for_status("the session", |status| status["sessions"][0]["tokens"]["total"] == 4_500);
        let ended = daemon.terminate();
        assert_eq!(ended.code, Some(0), "{what}: {ended:?}");
        let told = format!("limits.json: {words}; hint: ");
        // What looks at everything at the end would wait for the pipe.
        names.iter().for_each(|name| remove(&home.state().join(name)));
        assert!(ended.err.contains(&told), "{what}: {}", ended.err);
    }
}

#[test]
fn limits_are_read_up_to_a_megabyte() {
    let kept = |bytes: usize| {
        let home = Home::new();
        let mut session = home.session();
        session.limits(36.0, 53.0).turn().tokens(4_500);
        let daemon = home.start("run");
        home.wait_for_status("the limits", |status| {
            status["daemon"]["pid"] == daemon.pid() && status["limits"][0].is_object()
        });
        assert_eq!(daemon.terminate().code, Some(0));
        session.delete();
        let path = home.state().join("limits.json");
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str(&" ".repeat(bytes - text.len()));
        fs::write(&path, text).unwrap();
        home.status()["limits"].as_array().unwrap().len()
    };
    assert_eq!(kept(1 << 20), 1);
    assert_eq!(kept((1 << 20) + 1), 0);
}

#[test]
fn nothing_in_the_place_of_session_files_hangs() {
    for (what, words) in INSTEAD {
        let home = Home::new();
        let session = home.session();
        let (path, folder) = (session.path.clone(), session.path.parent().unwrap().to_owned());
        session.delete();
        put(what, &path);
        let mut good = home.session();
        good.turn().tokens(4_500);
        let daemon = home.start("run --dry-run");
        daemon.wait_for_output("│ ");
        assert_eq!(daemon.terminate().code, Some(0), "{what}");
        let status = home.status();
        assert_eq!(status["sessions"].as_array().unwrap().len(), 1, "{what}: {status:#}");
        let ended = home.run(&format!("replay {}", folder.display()));
        assert_eq!(ended.code, Some(0), "{what}: {ended:?}");
        if what != "folder" {
            let ended = home.run(&format!("replay {}", path.display()));
            assert_eq!(ended.code, Some(1), "{what}: {ended:?}");
            assert!(ended.err.contains(words) && ended.err.contains("\nhint: "), "{what}: {}", ended.err);
        }
    }
}

#[test]
fn an_endless_input_of_the_statusline_hangs_nothing() {
    let home = Home::new();
    let mut child = home
        .command("statusline")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(
            br#"{"session_id":"0c1a0de0-0000-4000-8000-000000000001","model":{"display_name":"Opus 5"}}"#,
        )
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("Opus 5"));
    drop(stdin);
    let zero = fs::File::open("/dev/zero").unwrap();
    assert!(home.command("statusline").stdin(zero).output().unwrap().status.success());
}

/// A terminal that is stopped, or a reader that sleeps: every line of the log waits.
#[test]
fn a_daemon_that_is_held_up_ends_when_it_is_asked_to() {
    let home = Home::new();
    let (_reader, writer) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    let full = [b'x'; 4096];
    while (&writer).write(&full).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, OFlags::empty()).unwrap();
    let mut command = home.command("run");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    home.wait_for_any_status("the daemon", |status| status["daemon"]["state"] == "unresponsive");
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
