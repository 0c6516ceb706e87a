//! `completions SHELL`: made from the types of the command line.
//!
//! Three gaps of clap_complete's scripts are filled here. In bash, a program name with a hyphen is written in two ways,
//! so that nothing is completed after a command, and the equals sign of `--color=al` is a word of its own. In fish, the
//! values of positional arguments are missing, and so are those of an option before the command.

use std::io::Write;

use clap_complete::Shell;

use crate::cmd::cli;
use crate::error::{Exit, Failure};

/// Prints the completions of `shell`.
///
/// # Errors
/// The output could not be written.
pub fn run(shell: Shell, out: &mut dyn Write) -> Result<Exit, Failure> {
    // clap_complete panics if its writer fails, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "agent-presence", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => script = fixed_bash(&script),
        Shell::Fish => {
            script = fixed_fish(&script);
            script.extend(cli::command().get_subcommands().filter_map(values));
        }
        _ => {}
    }
    super::written(out.write_all(script.as_bytes()).and_then(|()| out.flush()))
}

fn fixed_bash(script: &str) -> String {
    const BEFORE: &str = "    prev=\"$3\"\n";
    const OPTION: &str = "    [[ ${prev} == = ]] && prev=\"${COMP_WORDS[COMP_CWORD - 2]}\"\n";
    script.replace("agent__subcmd__presence", "agent__presence").replace(BEFORE, &[BEFORE, OPTION].concat())
}

/// Makes fish parse the words before the command without the last one, if that is an option that still needs its value.
fn fixed_fish(script: &str) -> String {
    const PARSED: &str = "    argparse -s (__fish_agent_presence_global_optspecs) -- $cmd 2>/dev/null\n";
    const AGAIN: [&str; 4] = ["    or begin\n", "        set -e cmd[-1]\n    ", PARSED, "    end\n"];
    script.replacen(PARSED, &[PARSED, &AGAIN.concat()].concat(), 1)
}

/// The line for fish with the values of a command's positional argument.
fn values(command: &clap::Command) -> Option<String> {
    let values = command.get_positionals().flat_map(clap::Arg::get_possible_values);
    let values: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
    let name = command.get_name();
    (!values.is_empty()).then(|| {
        let condition = format!("__fish_agent_presence_using_subcommand {name}");
        format!("complete -c agent-presence -n \"{condition}\" -f -a \"{}\"\n", values.join(" "))
    })
}
