//! `agent-presencew`: what Windows starts at login. It starts `agent-presence.exe run` without a console and ends.
//!
//! A program with a console shows a window for as long as it runs. This one has no console, and the console of the
//! program that it starts is never shown. Its arguments are passed on. On other systems it only prints that it is not
//! needed.
#![cfg_attr(windows, windows_subsystem = "windows")]

use std::process::ExitCode;

#[cfg(windows)]
fn main() -> ExitCode {
    use std::os::windows::process::CommandExt;
    use std::process::{Command, Stdio};

    /// The process flag of that name.
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;

    let Ok(own) = std::env::current_exe() else { return ExitCode::FAILURE };
    let started = Command::new(own.with_file_name("agent-presence.exe"))
        .arg("run")
        .args(std::env::args_os().skip(1))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .creation_flags(CREATE_NO_WINDOW)
        .spawn();
    // Without a console there is no place for a message; the exit code is all there is.
    if started.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(windows))]
fn main() -> ExitCode {
    use std::io::Write;

    let message = "error: could not start: agent-presencew is for Windows\nhint: use `agent-presence run`";
    // There is no other place for the message if standard error is closed.
    let _ = writeln!(std::io::stderr(), "{message}");
    ExitCode::FAILURE
}
