//! The command line: what is accepted, and what is made from it.

use std::ffi::OsString;
use std::path::PathBuf;

use agent_presence::cli::{self, Color, Command, Config, Global, Invocation, Replay, Run};
use agent_presence::commands::{completions, man};
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
    check("run", Command::Run(Run { dry_run: false, demo: false, discord: false, quiet: false }));
    check(
        "run --demo --discord -q",
        Command::Run(Run { dry_run: false, demo: true, discord: true, quiet: true }),
    );
    check("replay --json a b", Command::Replay(Replay { json: true, paths: vec!["a".into(), "b".into()] }));
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
fn usage_errors_are_told_from_help() {
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
    assert!(help.starts_with("Shows friends in Discord") && help.lines().count() <= 30, "{help}");
    for command in ["run", "status", "preview", "replay", "config", "completions", "man"] {
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
    for heading in ["RUN", "STATUS", "REPLAY", "CONFIG", "CONFIG INIT", "COMPLETIONS", "MAN"] {
        assert!(page.contains(&format!(".SH \"AGENT-PRESENCE {heading}\"\n")), "{heading} in {page}");
    }
    for heading in [".SH \"EXIT CODES\"", ".SH \"ENVIRONMENT\"", ".SS \"EXAMPLES\""] {
        assert!(page.contains(heading), "{heading} in {page}");
    }
    assert!(!page.contains("AGENT-PRESENCE HELP"));
    assert_eq!(page.matches("Read settings from this file").count(), 1, "global options are listed once");
}
