//! The real program with a temporary home, with and without a user manager.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use agent_presence::io::instance::{self, LockState, held_by_another};

/// Does what the real one does with links, and writes down what it was asked.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >> "$HOME/asked"
wants="$HOME/.config/systemd/user/default.target.wants"
case "$2" in
enable) /bin/mkdir -p "$wants" && /bin/ln -sf "$HOME/.config/systemd/user/$3" "$wants/$3" ;;
disable) /bin/rm -f "$wants/$3" ;;
restart) test ! -e "$HOME/refuse" || { echo "Job for $3 failed." >&2; exit 1; } ;;
esac
"#;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a user manager, as far as anyone can see.
    fn with_manager() -> Self {
        let home = Self::new();
        fs::create_dir_all(home.path("run/systemd")).unwrap();
        fs::create_dir(home.path("bin")).unwrap();
        fs::write(home.path("bin/systemctl"), SYSTEMCTL).unwrap();
        fs::set_permissions(home.path("bin/systemctl"), PermissionsExt::from_mode(0o755)).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agent-presence"));
        command.env_clear().env("HOME", self.0.path()).env("PATH", self.path("bin"));
        command.env("XDG_RUNTIME_DIR", self.path("run")).env("AGENT_PRESENCE_STATE_DIR", self.path("state"));
        command.args(line.split_whitespace());
        command
    }

    /// Runs the program and checks its exit code; gives both outputs.
    fn check(&self, line: &str, code: i32) -> (String, String) {
        let Output { status, stdout, stderr } = self.command(line).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(stdout), text(stderr));
        assert_eq!(status.code(), Some(code), "{line}\n{out}\n{err}");
        (out, err)
    }

    fn unit(&self) -> PathBuf {
        self.path(".config/systemd/user/agent-presence.service")
    }

    fn entry(&self) -> PathBuf {
        self.path(".config/autostart/agent-presence.desktop")
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn print_writes_nothing() {
    let home = Home::new();
    let (out, err) = home.check("autostart enable --print", 0);
    assert!(out.starts_with("[Desktop Entry]\n"), "{out}");
    assert!(out.contains(&format!("Exec={} run\n", env!("CARGO_BIN_EXE_agent-presence"))), "{out}");
    assert_eq!(err, format!("would write {}:\n", home.entry().display()));
    assert!(is_empty(home.0.path()));

    let home = Home::with_manager();
    let (out, err) = home.check("autostart enable --print --config settings.toml", 0);
    let settings = std::path::absolute("settings.toml").unwrap();
    assert!(out.contains(&format!(" run --config {}\n", settings.display())), "{out}");
    assert_eq!(err, format!("would write {}:\n", home.unit().display()));
    assert!(!home.path(".config").exists());
}

#[test]
fn with_a_user_manager_a_unit_is_enabled() {
    let home = Home::with_manager();
    let (out, _) = home.check("autostart status", 1);
    assert!(out.starts_with("launch at login: disabled\nhint: "), "{out}");
    let (out, _) = home.check("autostart enable --no-start", 0);
    let unit = home.unit();
    assert_eq!(out, format!("launch at login is enabled by the systemd user unit {}\n", unit.display()));
    assert!(!fs::read_to_string(home.path("asked")).unwrap().contains("start "));
    let (out, _) = home.check("autostart status", 0);
    let program = env!("CARGO_BIN_EXE_agent-presence");
    let place = unit.display();
    assert_eq!(
        out,
        format!("launch at login: enabled\n  systemd user unit {place}\n  starts {program} run\n")
    );

    let (out, _) = home.check("autostart enable", 0);
    assert!(out.starts_with("launch at login is already enabled by "), "{out}");
    assert!(out.ends_with("; the daemon is running\n"), "{out}");
    let asked = fs::read_to_string(home.path("asked")).unwrap();
    assert!(asked.ends_with("--user enable agent-presence.service\n--user start agent-presence.service\n"));

    fs::write(&unit, "[Service]\nExecStart=/old/agent-presence run\n").unwrap();
    let (out, _) = home.check("autostart status --json", 1);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["schema"], 1);
    assert_eq!((&report["state"], &report["kind"]), (&"differs".into(), &"systemd_unit".into()));
    assert_eq!(report["command"], serde_json::json!(["/old/agent-presence", "run"]));
    assert!(report["hint"].as_str().unwrap().contains("which does not exist"), "{out}");

    fs::write(home.path("refuse"), "").unwrap();
    let (_, err) = home.check("autostart enable", 1);
    assert!(
        err.contains("error: could not start the daemon now: Job for agent-presence.service failed.\nhint: ")
    );
    home.check("autostart status", 0);

    let (out, _) = home.check("autostart disable", 0);
    assert_eq!(out, "launch at login is disabled\n");
    assert!(!unit.exists() && is_empty(&unit.with_file_name("default.target.wants")));
    let (out, _) = home.check("autostart disable", 0);
    assert_eq!(out, "launch at login is already disabled\n");
}

#[test]
fn variables_that_login_lacks_are_named() {
    let home = Home::with_manager();
    let (_, err) = home.check("autostart enable --no-start --config missing.toml", 1);
    assert!(err.contains("missing.toml: there is no such file\nhint: "), "{err}");

    let settings = home.path("my settings.toml");
    fs::write(&settings, "").unwrap();
    let mut command = home.command("autostart enable --no-start");
    command.env("AGENT_PRESENCE_CONFIG", &settings).env("CODEX_HOME", home.path("codex"));
    let answer = command.output().unwrap();
    assert!(answer.status.success(), "{answer:?}");
    let err = String::from_utf8(answer.stderr).unwrap();
    assert!(err.contains("CODEX_HOME") && err.contains("sources.codex_home"), "{err}");
    let unit = fs::read_to_string(home.unit()).unwrap();
    assert!(unit.contains(&format!(" run --config \"{}\"\n", settings.display())), "{unit}");
}

#[test]
fn without_a_user_manager_a_desktop_entry_is_written() {
    let home = Home::new();
    home.check("autostart enable --no-start", 0);
    assert!(home.entry().exists() && !home.unit().exists());
    home.check("autostart status", 0);
    let running = Running(home.path("state"));
    assert_eq!(held_by_another(&running.0), LockState::Free);

    let (out, _) = home.check("autostart enable", 0);
    assert!(out.starts_with("launch at login is already enabled by the desktop autostart entry "), "{out}");
    assert_eq!(held_by_another(&running.0), LockState::Held, "the program has waited for it");
    let pid = instance::read_record(&running.0).unwrap().pid;
    home.check("autostart enable", 0);
    assert_eq!(instance::read_record(&running.0).unwrap().pid, pid, "one daemon is enough");

    let (out, _) = home.check("autostart disable", 0);
    assert!(out.contains("the daemon is still running\nhint: end it with `agent-presence stop`\n"), "{out}");
    assert_eq!(held_by_another(&running.0), LockState::Held);
    assert!(!home.entry().exists());
}

#[test]
fn a_window_manager_that_reads_no_entries_needs_a_line_in_its_settings() {
    for (variable, value, file, line) in [
        ("XDG_CURRENT_DESKTOP", "sway:wlroots", "sway/config", "exec PROGRAM run"),
        ("DESKTOP_SESSION", "/usr/share/xsessions/i3", "i3/config", "exec --no-startup-id PROGRAM run"),
        ("XDG_CURRENT_DESKTOP", "Hyprland", "hypr/hyprland.conf", "exec-once = PROGRAM run"),
        ("XDG_SESSION_DESKTOP", "river", "river/init", "riverctl spawn 'PROGRAM run'"),
        ("SWAYSOCK", "/run/sway.sock", "sway/config", "exec PROGRAM run"),
    ] {
        let home = Home::new();
        let run = |line: &str| {
            let output = home.command(line).env(variable, value).output().unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (text(output.stdout), text(output.stderr))
        };
        let program = env!("CARGO_BIN_EXE_agent-presence");
        let line = line.replace("PROGRAM", program);
        let file = home.path(".config").join(file);
        let hint = format!("add this line to {}: {line}\n", file.display());
        for command in ["autostart enable --print", "autostart enable --no-start"] {
            let (_, err) = run(command);
            assert!(err.contains(" reads no autostart entries\nhint: "), "{err}");
            assert!(err.ends_with(&hint), "{err}");
        }
        assert!(run("autostart status").0.ends_with(&hint));
    }

    // A desktop that reads autostart entries, and a user manager that starts units.
    let home = Home::new();
    let mut inside = home.command("autostart enable --no-start");
    inside.env("XDG_CURRENT_DESKTOP", "GNOME").env("SWAYSOCK", "/run/sway.sock");
    let is_quiet = |output: Output| !String::from_utf8(output.stderr).unwrap().contains("entries");
    assert!(is_quiet(inside.output().unwrap()));
    let home = Home::with_manager();
    let mut managed = home.command("autostart enable --no-start");
    assert!(is_quiet(managed.env("XDG_CURRENT_DESKTOP", "sway").output().unwrap()));
}

#[test]
fn a_path_with_blanks_is_one_word_of_that_line() {
    let home = Home::new();
    let settings = home.path("my settings.toml");
    fs::write(&settings, "").unwrap();
    let mut command = home.command("autostart enable --print");
    command.arg("--config").arg(&settings).env("XDG_CURRENT_DESKTOP", "sway");
    let err = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(err.ends_with(&format!(" run --config '{}'\n", settings.display())), "{err}");
}

/// The daemon of this state folder, which is no child of ours: ended when the test ends, however it ends.
struct Running(PathBuf);

impl Drop for Running {
    fn drop(&mut self) {
        let Some(record) = instance::read_record(&self.0) else { return };
        for _ in 0..500 {
            if held_by_another(&self.0) != LockState::Held {
                return;
            }
            let _ = Command::new("kill").arg(record.pid.to_string()).status();
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
