//! Launch at login: the texts of every system, what takes effect, and the real program.

use agent_presence::io::autostart::LoginCommand;

mod effect;
#[cfg(target_os = "linux")]
mod program;
mod texts;

fn command(program: &str, arguments: &[&str]) -> LoginCommand {
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    LoginCommand { program: program.to_owned(), arguments }
}
