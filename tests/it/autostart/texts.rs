//! The texts of every system, on every system.

use agent_presence::io::autostart::LoginCommand;
use agent_presence::io::autostart::texts::{command_line, desktop, launch_agent, systemd};
use proptest::prelude::*;

use super::command;

/// Characters that have a meaning to the shell, systemd, launchd or XML.
const AWKWARD: &str = r#"/a b/"q" 'r'/50%h/$HOME/back\slash/<&>;`#/ünï 漢字/agent-presence"#;

fn line<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(key)).unwrap()
}

#[test]
fn a_template_is_its_own_text_for_its_own_command() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let check = |given: String, template: &str| assert_eq!(lines(&given), lines(template));
    let packaged = command("/usr/bin/agent-presence", &["run"]);
    let unit = include_str!("../../../packaging/login/agent-presence.service");
    check(systemd::render(&packaged).unwrap(), unit);
    check(
        desktop::render(&packaged).unwrap(),
        include_str!("../../../packaging/login/agent-presence.desktop"),
    );
    let local = command("/usr/local/bin/agent-presence", &["run"]);
    let agent = include_str!("../../../packaging/login/io.github.agent-presence.plist");
    check(launch_agent::render(&local), agent);
    for text in [unit, agent] {
        assert!(!text.contains("TMPDIR") && !text.contains("PrivateTmp="), "Discord's socket must be seen");
    }
}

#[test]
fn a_systemd_unit_is_written_and_read() {
    let check = |command: LoginCommand, expected: &str| {
        let unit = systemd::render(&command).unwrap();
        assert_eq!(line(&unit, "ExecStart="), format!("ExecStart={expected}"));
        assert_eq!(systemd::parse(&unit), Some(command));
    };
    check(command("/opt/bin/agent-presence", &["run"]), "/opt/bin/agent-presence run");
    check(command("/a b/50%/x", &["run"]), r#""/a b/50%%/x" run"#);
    check(command("/ünï/x", &["run"]), r#""/ünï/x" run"#);
    check(
        command("/a/x", &["run", "--config", r#"/$HOME/"q"\s%h;.toml"#]),
        r#"/a/x run --config "/$$HOME/\"q\"\\s%%h;.toml""#,
    );
    check(command("/it's/x", &["run"]), r#"/usr/bin/env "/it's/x" run"#);
    check(command("/$HOME/x", &["run"]), r#"/usr/bin/env "/$$HOME/x" run"#);
    check(
        command(AWKWARD, &["run"]),
        r#"/usr/bin/env "/a b/\"q\" 'r'/50%%h/$$HOME/back\\slash/<&>;`#/ünï 漢字/agent-presence" run"#,
    );
    assert_eq!(systemd::render(&command("/it's/a=b", &["run"])), None);
    check(command("/a=b/x", &["run"]), "/a=b/x run");
}

#[test]
fn a_systemd_unit_is_read_as_people_write_it() {
    let check = |unit: &str, expected| assert_eq!(systemd::parse(unit), expected, "{unit}");
    check("[Service]\nExecStart=\nExecStart=-'/a b' run\n", Some(command("/a b", &["run"])));
    check("[Service]\n  ExecStart = /a\n", None);
    check("[Service]\nExecStart=\n", None);
    check("[Service]\nExecStart=/usr/bin/env\n", None);
    check("", None);
}

#[test]
fn a_desktop_entry_is_written_and_read() {
    let check = |command: LoginCommand, expected: &str| {
        let entry = desktop::render(&command).unwrap();
        assert_eq!(line(&entry, "Exec="), format!("Exec={expected}"));
        assert_eq!(desktop::parse(&entry), Some(command));
        assert!(!desktop::is_switched_off(&entry));
    };
    check(command("/opt/bin/agent-presence", &["run"]), "/opt/bin/agent-presence run");
    check(command("/a b/x", &["run", "--config", "/c d"]), r#""/a b/x" run --config "/c d""#);
    check(
        command(AWKWARD, &["run"]),
        r#"/usr/bin/env "/a b/\\"q\\" 'r'/50%%h/\\$HOME/back\\\\slash/<&>;\\`#/ünï 漢字/agent-presence" run"#,
    );
    check(command("/a=b/$x/y", &["run"]), r#""/a=b/\\$x/y" run"#);
    assert_eq!(desktop::render(&command("/a=b/50%/x", &["run"])), None);
    assert!(desktop::is_switched_off("[Desktop Entry]\nHidden=true\n"));
    assert!(desktop::is_switched_off("[Desktop Entry]\nX-GNOME-Autostart-enabled=false\n"));
}

#[test]
fn a_launch_agent_is_written_and_read() {
    let check = |command: LoginCommand, expected: &str| {
        let list = launch_agent::render(&command);
        assert_eq!(line(&list, "    <array>"), format!("    <array>{expected}</array>"));
        assert_eq!(launch_agent::parse(&list), Some(command));
    };
    check(
        command("/Users/a b/x", &["run", "--config", "/&amp;"]),
        "<string>/Users/a b/x</string><string>run</string><string>--config</string><string>/&amp;amp;</string>",
    );
    check(
        command(AWKWARD, &[]),
        r#"<string>/a b/"q" 'r'/50%h/$HOME/back\slash/&lt;&amp;&gt;;`#/ünï 漢字/agent-presence</string>"#,
    );
    assert_eq!(launch_agent::parse("bplist00"), None);
    assert_eq!(launch_agent::parse("<key>ProgramArguments</key><array></array>"), None);
}

#[test]
fn a_windows_command_line_is_written_and_read() {
    let check = |command: LoginCommand, expected: &str| {
        let line = command_line::render(&command).unwrap();
        assert_eq!(line, expected);
        assert_eq!(command_line::parse(&line), Some(command));
    };
    check(command(r"C:\bin\agent-presencew.exe", &[]), r#""C:\bin\agent-presencew.exe""#);
    check(
        command(r"C:\Users\Zoë 漢\50% $x\agent-presence.exe", &["run", "--config", r"D:\a b\c.toml"]),
        r#""C:\Users\Zoë 漢\50% $x\agent-presence.exe" run --config "D:\a b\c.toml""#,
    );
    check(command(r"C:\x.exe", &[r"D:\a b\", "", r#"\\"q\"#]), r#""C:\x.exe" "D:\a b\\" "" "\\\\\"q\\""#);

    assert_eq!(command_line::parse(r"C:\x.exe  run"), Some(command(r"C:\x.exe", &["run"])));
    assert_eq!(command_line::parse("  "), None);
    let long = |length: usize| command(&"x".repeat(length), &[]);
    assert!(command_line::render(&long(258)).is_some());
    assert_eq!(command_line::render(&long(259)), None);
    assert_eq!(command_line::render(&command("\"", &[])), None);
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        program in r#"/[ -~ -ÿ漢😀"'\\$%`&<>;]{1,40}"#,
        arguments in proptest::collection::vec(r#"[ -~ -ÿ漢😀"'\\$%`&<>;]{0,20}"#, 0..4),
    ) {
        let command = LoginCommand { program, arguments };
        let again = Some(command.clone());
        if let Some(unit) = systemd::render(&command) {
            prop_assert_eq!(systemd::parse(&unit), again.clone());
        }
        if let Some(entry) = desktop::render(&command) {
            prop_assert_eq!(desktop::parse(&entry), again.clone());
        }
        prop_assert_eq!(launch_agent::parse(&launch_agent::render(&command)), again.clone());
        if let Some(line) = command_line::render(&command) {
            prop_assert_eq!(command_line::parse(&line), again);
        }
    }
}

/// systemd's own word on the units, each for a program that is really there.
#[cfg(target_os = "linux")]
#[test]
fn systemd_accepts_the_units() {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    let folder = tempfile::tempdir().unwrap();
    let verify = |unit: &str| {
        let path = folder.path().join("agent-presence.service");
        std::fs::write(&path, unit).unwrap();
        let mut verify = Command::new("systemd-analyze");
        verify.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        verify.env("HOME", folder.path()).env("XDG_RUNTIME_DIR", folder.path()).env("LC_ALL", "C.UTF-8");
        verify.args(["--user", "verify"]).arg(path).output()
    };
    match verify("[Service]\nExecStart=/bin/sh\n") {
        Ok(answer) if answer.status.success() => {}
        Ok(answer) => return eprintln!("skipped: systemd-analyze does not work here: {answer:?}"),
        Err(error) => return eprintln!("skipped: there is no systemd-analyze here: {error}"),
    }
    assert!(!verify("[Service]\nExecStart=/no/such/program\n").unwrap().status.success());

    for name in ["plain", "a b", "50%h", "$HOME", "it's", "\"q\"", r"back\slash", "ünï 漢字", "#;&`<>", "a=b"]
    {
        let program = folder.path().join(name).join("agent-presence");
        std::fs::create_dir(program.parent().unwrap()).unwrap();
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let program = program.to_str().unwrap();
        let unit = systemd::render(&command(program, &["run", "--config", AWKWARD])).unwrap();
        let answer = verify(&unit).unwrap();
        assert!(answer.status.success() && answer.stderr.is_empty(), "{name}: {answer:?}\n{unit}");
    }
}
