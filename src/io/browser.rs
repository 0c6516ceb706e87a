//! Opens a page in the user's browser, if the user can see one.

use std::process::{Command, Stdio};

use crate::io::autostart::System;
use crate::io::paths::Environment;

/// Starts opening the page; false if the user would not see it. The browser may still fail, so callers also print the
/// address.
pub fn open(page: &str, environment: &Environment) -> bool {
    let is_set = |name: &str| environment.text(name).is_some();
    let (program, arguments): (_, &[&str]) = match System::current() {
        // The user's screen is on another machine.
        _ if is_set("SSH_CONNECTION") => return false,
        System::Linux if !is_set("DISPLAY") && !is_set("WAYLAND_DISPLAY") => return false,
        System::Linux => ("xdg-open", &[]),
        System::MacOs => ("open", &[]),
        System::Windows => ("rundll32", &["url.dll,FileProtocolHandler"]),
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}
