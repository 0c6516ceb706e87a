//! The command line: what is accepted, what is made from it, and what the binary says and returns.
//!
//! The cases in `tests/cli` are whole command lines with their output. After an intended change of a text,
//! `TRYCMD=overwrite cargo test cases` writes them anew; read the difference.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use agent_presence::cmd::cli::{
    self, Autostart, AutostartStatus, Color, Command, Config, Enable, Global, Invocation, Replay, Run,
    StatuslineAction,
};
use agent_presence::cmd::{completions, man};
use clap::error::ErrorKind;

fn parse(line: &str) -> Result<Invocation, clap::Error> {
    let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    cli::parse_from(&arguments)
}

#[test]
fn the_types_agree_with_themselves() {
    cli::command().debug_assert();
}

#[test]
fn commands_are_understood() {
    let check = |line: &str, expected: Command| {
        assert_eq!(parse(&format!("agent-presence {line}")).unwrap().command, expected, "{line}");
    };
    check("run", Command::Run(Run::default()));
    check(
        "run --demo --discord -q",
        Command::Run(Run { demo: true, discord: true, quiet: true, ..Run::default() }),
    );
    check("replay --json a b", Command::Replay(Replay { json: true, paths: vec!["a".into(), "b".into()] }));
    let enable = |no_start, print| Command::Autostart(Autostart::Enable(Enable { no_start, print }));
    check("autostart enable", enable(false, false));
    check("autostart enable --no-start", enable(true, false));
    check("autostart enable --print", enable(false, true));
    check("autostart disable", Command::Autostart(Autostart::Disable));
    let status = Autostart::Status(AutostartStatus { json: true });
    check("autostart status --json", Command::Autostart(status));
    check("statusline", Command::Statusline { action: None });
    let install = Some(StatuslineAction::Install);
    check("statusline install", Command::Statusline { action: install });
    check("config init", Command::Config(Config::Init));
    check("completions zsh", Command::Completions { shell: clap_complete::Shell::Zsh });
    check("man", Command::Man);

    let global = Global { config: Some(PathBuf::from("x.toml")), color: Color::Never };
    let before = parse("agent-presence --config x.toml --color never preview").unwrap();
    let after = parse("agent-presence preview --config=x.toml --color=never").unwrap();
    assert_eq!(before, Invocation { global, command: Command::Preview });
    assert_eq!(before, after);
}

#[test]
fn usage_errors_go_to_standard_error_and_help_does_not() {
    let check = |line: &str, kind: ErrorKind, is_error: bool| {
        let answer = parse(line).unwrap_err();
        assert_eq!((answer.kind(), answer.use_stderr()), (kind, is_error), "{line}");
    };
    check("agent-presence", ErrorKind::DisplayHelp, false);
    check("agent-presence --help", ErrorKind::DisplayHelp, false);
    check("agent-presence --version", ErrorKind::DisplayVersion, false);
    check("agent-presence stats", ErrorKind::InvalidSubcommand, true);
    check("agent-presence run --discord", ErrorKind::MissingRequiredArgument, true);
    check("agent-presence run --demo --discord --dry-run", ErrorKind::ArgumentConflict, true);
    check("agent-presence replay", ErrorKind::MissingRequiredArgument, true);
    check("agent-presence --color blue run", ErrorKind::InvalidValue, true);
}

#[test]
fn short_help_fits_a_screen_and_names_every_command() {
    let help = parse("agent-presence").unwrap_err().to_string();
    assert!(help.starts_with("Shows friends in Discord") && help.lines().count() <= 37, "{help}");
    for command in [
        "run",
        "setup",
        "status",
        "preview",
        "replay",
        "doctor",
        "autostart",
        "statusline",
        "config",
        "completions",
        "man",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} in {help}");
    }
    let long = parse("agent-presence --help").unwrap_err().to_string();
    for variable in ["AGENT_PRESENCE_APPLICATION_ID", "AGENT_PRESENCE_CONFIG", "AGENT_PRESENCE_STATE_DIR"] {
        assert!(long.contains(variable), "{variable}");
    }
}

#[test]
fn every_shell_gets_completions() {
    use clap_complete::Shell::{Bash, Elvish, Fish, PowerShell, Zsh};
    for shell in [Bash, Elvish, Fish, PowerShell, Zsh] {
        let mut out = Vec::new();
        completions::run(shell, &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("replay"), "{shell}");
    }
}

#[test]
fn the_manual_has_every_command() {
    let mut out = Vec::new();
    man::run(&mut out).unwrap();
    let page = String::from_utf8(out).unwrap();
    assert!(page.contains(".TH agent-presence 1"), "{page}");
    for heading in
        ["RUN", "STATUS", "REPLAY", "AUTOSTART ENABLE", "CONFIG", "CONFIG INIT", "COMPLETIONS", "MAN"]
    {
        assert!(page.contains(&format!(".SH \"AGENT-PRESENCE {heading}\"\n")), "{heading} in {page}");
    }
    for heading in [".SH \"EXIT CODES\"", ".SH \"ENVIRONMENT\"", ".SS \"EXAMPLES\""] {
        assert!(page.contains(heading), "{heading} in {page}");
    }
    assert!(!page.contains("AGENT-PRESENCE HELP"));
    assert_eq!(page.matches("Read settings from this file").count(), 1, "global options are listed once");
}

/// Every command with those below it, by their whole names, and what it takes.
fn commands(command: &clap::Command, found: &mut Vec<(String, Vec<String>)>) {
    let own = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let options = own.filter_map(|argument| Some(format!("--{}", argument.get_long()?))).collect();
    found.push((command.get_bin_name().unwrap_or(command.get_name()).to_owned(), options));
    for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
        commands(subcommand, found);
    }
}

#[test]
fn help_completions_and_manual_know_the_same_commands_and_options() {
    let mut command = cli::command();
    command.build();
    let mut all = Vec::new();
    commands(&command, &mut all);
    assert!(all.iter().any(|(name, _)| name == "agent-presence config check"), "{all:?}");

    let mut page = Vec::new();
    man::run(&mut page).unwrap();
    let page = String::from_utf8(page).unwrap().replace('\\', "");
    for (name, options) in &all {
        let help = parse(&format!("{name} --help")).unwrap_err().to_string();
        let is_in_manual =
            name == "agent-presence" || page.contains(&format!(".SH \"{}\"\n", name.to_uppercase()));
        assert!(is_in_manual, "{name}");
        for option in options {
            assert!(help.contains(option), "{name} {option} in its help");
            assert!(page.contains(option), "{name} {option} in the manual");
        }
    }
    use clap_complete::Shell::{Bash, Fish, PowerShell, Zsh};
    for shell in [Bash, Fish, PowerShell, Zsh] {
        let mut script = Vec::new();
        completions::run(shell, &mut script).unwrap();
        let script = String::from_utf8(script).unwrap();
        for word in
            all.iter().flat_map(|(name, options)| name.split(' ').chain(options.iter().map(String::as_str)))
        {
            let bare = word.trim_start_matches('-');
            assert!(script.contains(bare), "{word} for {shell}");
        }
    }
}

#[test]
fn commands_with_more_than_one_use_have_examples() {
    for command in ["run", "status", "replay", "config", "completions", "man"] {
        let help = parse(&format!("agent-presence {command} --help")).unwrap_err().to_string();
        assert!(help.contains("Examples:\n  agent-presence "), "{help}");
    }
}

#[test]
fn the_environment_of_the_contract_is_in_the_help() {
    let help = parse("agent-presence --help").unwrap_err().to_string();
    for variable in [
        "AGENT_PRESENCE_APPLICATION_ID",
        "AGENT_PRESENCE_CONFIG",
        "AGENT_PRESENCE_STATE_DIR",
        "CODEX_HOME",
        "CLAUDE_CONFIG_DIR",
        "XDG_",
        "NO_COLOR",
        "RUST_LOG",
    ] {
        assert!(help.contains(variable), "{variable}");
    }
}

#[test]
fn cases() {
    let home = tempfile::tempdir().unwrap();
    let cases = trycmd::TestCases::new();
    cases.default_bin_path(env!("CARGO_BIN_EXE_agent-presence")).case("tests/cli/*.trycmd");
    for (name, value) in environment(home.path()) {
        cases.env(name, value);
    }
    // The platform's own place is not asked of the environment everywhere, and a file that is named has to be there.
    let settings = tempfile::tempdir().unwrap();
    let config = settings.path().join("config.toml");
    std::fs::write(&config, "").unwrap();
    cases.env("AGENT_PRESENCE_CONFIG", config.to_str().unwrap());
    cases.insert_var("[SETTINGS]", settings.path().to_str().unwrap().replace('\\', "/")).unwrap();
    // Paths are compared with `/` on every system.
    cases.insert_var("[HOME]", home.path().to_str().unwrap().replace('\\', "/")).unwrap();
    cases.insert_var("[VERSION]", env!("CARGO_PKG_VERSION")).unwrap();
    cases.run();
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(left.is_empty(), "commands that only look have written something: {left:?}");
}

/// Everything in `home`; a variable that is empty counts as not set.
fn environment(home: &Path) -> impl Iterator<Item = (&'static str, String)> {
    let places = [
        ("HOME", ""),
        ("AGENT_PRESENCE_CONFIG", "config.toml"),
        ("AGENT_PRESENCE_STATE_DIR", "state"),
        ("CODEX_HOME", "codex"),
        ("CLAUDE_CONFIG_DIR", "claude"),
    ];
    let unset = ["AGENT_PRESENCE_APPLICATION_ID", "RUST_LOG", "COLUMNS"].map(|name| (name, String::new()));
    let home = home.to_owned();
    let places = places.map(move |(name, below)| (name, home.join(below).to_str().unwrap().to_owned()));
    places.into_iter().chain(unset).chain([("TZ", "UTC".to_owned())])
}

/// A settings file that cannot be understood is said at once, and keeps nothing from running.
#[test]
fn a_broken_settings_file_is_reported_and_the_daemon_runs() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let home = tempfile::tempdir().unwrap();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_agent-presence"))
        .args(["run", "--dry-run", "--config", "tests/cli/broken.toml"])
        .env_clear()
        .envs(environment(home.path()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(daemon.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<String> = lines.take_while(|line| !line.contains("INFO started")).collect();
    assert!(daemon.try_wait().unwrap().is_none(), "{said:?}");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let issue = "broken.toml:2:14: card.idle_after: expected a duration";
    assert!(said.iter().any(|line| line.contains(" WARN ") && line.contains(issue)), "{said:?}");
}

/// `/dev/full` takes what a full disk takes.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    use crate::support::home::Home;

    let home = Home::new();
    home.session().turn().tokens(4_500);
    let session = home.codex();
    let replay = format!("replay {}", session.display());
    for arguments in [
        "",
        "-h",
        "--help",
        "--version",
        "run --help",
        "status",
        "status --json",
        "preview",
        "watch",
        "watch --json",
        &replay,
        "doctor",
        "config path",
        "config show",
        "config check",
        "completions zsh",
        "man",
        "autostart status",
        "run --dry-run",
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = home.command(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("No space left on device"), "{arguments}: {said}");
    }
}

#[cfg(unix)]
#[test]
fn a_relative_home_counts_as_unset() {
    use crate::support::home::Home;

    let home = Home::new();
    let path = |set: Option<&str>| {
        let mut command = home.command("config path");
        command.env_remove("AGENT_PRESENCE_CONFIG").env_remove("HOME");
        let output = command.envs(set.map(|home| ("HOME", home))).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(path(Some("some/where")), path(None));
}
