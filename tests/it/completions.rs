//! The completions in the real shells, and the manual page in mandoc. Where one of them is not installed, its test says so
//! and passes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use agent_presence::cmd::cli;
use agent_presence::cmd::{completions, man};
use clap_complete::Shell;

/// A command line as it was typed so far, and words that are offered then.
struct Typed {
    line: String,
    offered: Vec<String>,
}

/// Everything that can be typed, command by command: options, commands below it, values.
fn everything(command: &clap::Command, typed: &mut Vec<Typed>) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let mut add = |rest: &str, offered: Vec<String>| {
        if !offered.is_empty() {
            typed.push(Typed { line: format!("{name} {rest}"), offered });
        }
    };
    let values = |argument: &clap::Arg| -> Vec<String> {
        let takes_one = argument.get_action().takes_values();
        let values = argument.get_possible_values().into_iter().filter(|value| !value.is_hide_set());
        values.filter(|_| takes_one).map(|value| value.get_name().to_owned()).collect()
    };
    let arguments: Vec<&clap::Arg> =
        command.get_arguments().filter(|argument| !argument.is_hide_set()).collect();
    let options = arguments.iter().filter_map(|argument| argument.get_long());
    add("--", options.map(|long| format!("--{long}")).collect());
    for argument in &arguments {
        let Some(long) = argument.get_long() else {
            add("", values(argument));
            continue;
        };
        add(&format!("--{long} "), values(argument));
        if let Some(value) = values(argument).into_iter().next() {
            let (begun, _) = value.split_at(2);
            add(&format!("--{long}={begun}"), vec![value]);
        }
    }
    let below: Vec<&clap::Command> =
        command.get_subcommands().filter(|command| command.get_name() != "help").collect();
    add("", below.iter().map(|command| command.get_name().to_owned()).collect());
    for command in below {
        everything(command, typed);
    }
}

/// Runs a driver with the script of a shell; it gets the lines on standard input and answers each, then `@@@`.
fn check(shell: Shell, program: &str, arguments: &[&str], driver: &str) {
    let home = tempfile::tempdir().unwrap();
    let mut script = Vec::new();
    completions::run(shell, &mut script).unwrap();
    let (script_path, driver_path) = (home.path().join("script"), home.path().join("driver"));
    std::fs::write(&script_path, script).unwrap();
    std::fs::write(&driver_path, driver).unwrap();

    let mut command = cli::command();
    command.build();
    let mut typed = Vec::new();
    everything(&command, &mut typed);
    assert!(typed.iter().any(|typed| typed.line == "agent-presence completions "), "values are among them");

    let lines: String = typed.iter().map(|typed| format!("{}\n", typed.line)).collect();
    let Some(output) = run(program, arguments, &[&driver_path, &script_path], home.path(), &lines) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers: Vec<&str> = said.split("@@@\n").collect();
    assert_eq!(answers.len(), typed.len() + 1, "{output:?}");
    for (Typed { line, offered }, answer) in typed.iter().zip(answers) {
        let words: Vec<&str> = answer.split_whitespace().collect();
        for word in offered {
            let is_offered = words.iter().any(|offer| *offer == word || offer.ends_with(&format!("={word}")));
            assert!(is_offered, "{word} after `{line}` in {shell}: {answer}");
        }
    }
}

/// What a program makes of the input; `None` where it is not installed, which is said.
fn run(program: &str, arguments: &[&str], files: &[&Path], home: &Path, input: &str) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(arguments).args(files).current_dir(home).env("HOME", home).env("TERM", "dumb");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("skipped: {program} is not installed");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    Some(output)
}

/// Bash calls the function with these words; an equals sign is one of them.
const BASH: &str = r#"
source "$1"
function=$(complete -p agent-presence | sed 's/.*-F \([^ ]*\).*/\1/')
compopt() { :; }
while IFS= read -r line; do
    read -ra COMP_WORDS <<< "${line//=/ = }"
    [[ $line == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    "$function" agent-presence "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[@]}" @@@
done
"#;

/// Zsh completes in its line editor alone, so it is given a terminal; what it offers is written down where it is added. The
/// `''` keep what is typed from being what is awaited.
const ZSH: &str = r#"
zmodload zsh/zpty || exit 1
zpty inner "zsh -f -i"
turn=0
settle() {
    turn=$((turn + 1))
    zpty -w inner $'\x15'"print -r -- e''nd-$turn"
    zpty -r inner shown "*end-$turn"$'\r\n*'
}
cat > $HOME/inner <<'END'
# While its line editor is not at work yet, the terminal would take the whole line away.
stty kill undef
autoload -Uz compinit
compinit -D -u
bindkey -e
bindkey '^I' list-choices
compadd() {
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
        local -a offered
        builtin compadd -O offered "$@"
        print -rl -- $offered >> $HOME/offered
    fi
    builtin compadd "$@"
}
END
zpty -w inner "source $HOME/inner; source $1"
settle
while IFS= read -r line; do
    : > $HOME/offered
    zpty -w -n inner "$line"$'\t'
    settle
    cat $HOME/offered
    print -r -- @@@
done
zpty -d inner
"#;

const FISH: &str = r#"
source $argv[1]
while read --line line
    complete -C $line
    echo @@@
end
"#;

#[test]
fn bash_offers_everything() {
    check(Shell::Bash, "bash", &["--norc", "--noprofile"], BASH);
}

#[test]
fn zsh_offers_everything() {
    check(Shell::Zsh, "zsh", &["-f"], ZSH);
}

#[test]
fn fish_offers_everything() {
    check(Shell::Fish, "fish", &["--no-config"], FISH);
}

#[test]
fn mandoc_warns_of_nothing() {
    let mut page = Vec::new();
    man::run(&mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains(".SH \"FILES\"\n") && page.contains("config.toml"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    let Some(output) = run("mandoc", &["-T", "lint", "-W", "warning"], &[], folder.path(), &page) else {
        return;
    };
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
}

#[test]
fn the_manual_has_the_day_of_the_newest_change() {
    let mut page = Vec::new();
    man::run(&mut page).unwrap();
    let changes = include_str!("../../CHANGELOG.md");
    let newest = changes.lines().find(|line| line.starts_with("## ")).unwrap();
    assert!(newest.contains(env!("CARGO_PKG_VERSION")) && newest.contains(man::DATE), "{newest}");
    let title = String::from_utf8(page).unwrap();
    let title = title.lines().find(|line| line.starts_with(".TH ")).unwrap();
    assert!(title.contains(man::DATE), "{title}");
}
