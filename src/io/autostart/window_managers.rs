//! Window managers that read no autostart entries: what starts a program there is a line of their own settings.

use super::{Kind, Login};
use crate::io::paths::Environment;

/// A window manager that starts nothing but what its settings name.
struct WindowManager {
    name: &'static str,
    /// Its word among the names of desktops.
    word: &'static str,
    /// A variable that it sets for the programs that it starts.
    sign: &'static str,
    /// Its settings, in the user's config folder.
    file: &'static str,
    line: fn(&str) -> String,
}

const WINDOW_MANAGERS: [WindowManager; 4] = [
    WindowManager {
        name: "sway",
        word: "sway",
        sign: "SWAYSOCK",
        file: "sway/config",
        line: |command| format!("exec {command}"),
    },
    WindowManager {
        name: "i3",
        word: "i3",
        sign: "I3SOCK",
        file: "i3/config",
        line: |command| format!("exec --no-startup-id {command}"),
    },
    WindowManager {
        name: "Hyprland",
        word: "hyprland",
        sign: "HYPRLAND_INSTANCE_SIGNATURE",
        file: "hypr/hyprland.conf",
        line: |command| format!("exec-once = {command}"),
    },
    WindowManager {
        name: "river",
        word: "river",
        sign: "RIVER_SOCKET",
        file: "river/init",
        line: |command| format!("riverctl spawn {}", quoted(command)),
    },
];

/// What a desktop entry does not do here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// Why the entry has no effect.
    pub cause: String,
    /// What has one.
    pub hint: String,
}

/// What to do by hand so that login starts the program, where an entry of this kind has no effect.
pub fn by_hand(kind: Kind, login: &Login, environment: &Environment) -> Option<ByHand> {
    let manager = (kind == Kind::DesktopEntry).then(|| running(environment))??;
    let words: Vec<String> = login.command.words().map(quoted).collect();
    let line = (manager.line)(&words.join(" "));
    let file = login.folders.config.join(manager.file);
    Some(ByHand {
        cause: format!("{} reads no autostart entries", manager.name),
        hint: format!("add this line to {}: {line}", file.display()),
    })
}

/// The window manager of this login session. The names of desktops say more than a variable, which may be inherited.
fn running(environment: &Environment) -> Option<&'static WindowManager> {
    let names = ["XDG_CURRENT_DESKTOP", "XDG_SESSION_DESKTOP", "DESKTOP_SESSION"];
    if let Some(names) = names.into_iter().find_map(|name| environment.text(name)) {
        // An old display manager gives a path.
        let mut words = names.split(':').filter_map(|name| name.rsplit('/').next());
        return words
            .find_map(|name| WINDOW_MANAGERS.iter().find(|manager| name.eq_ignore_ascii_case(manager.word)));
    }
    WINDOW_MANAGERS.iter().find(|manager| environment.text(manager.sign).is_some())
}

/// A word for the shell that each of them hands its line to.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
