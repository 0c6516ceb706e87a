//! Window managers that read no autostart entries: there a line in their own settings has to start the program.

use super::{Kind, Login};
use crate::io::paths::Environment;

/// A window manager that starts only the programs in its settings.
struct WindowManager {
    name: &'static str,
    /// Its name in the variables that name the desktop.
    word: &'static str,
    /// A variable that it sets for its programs.
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

/// The step that the user has to do by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// Why the entry has no effect.
    pub cause: String,
    /// What to do.
    pub hint: String,
}

/// The step to do by hand if an entry of this kind has no effect; else `None`.
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

/// The window manager of this login session. The desktop's name counts more than a window manager's variable, which may
/// be inherited.
fn running(environment: &Environment) -> Option<&'static WindowManager> {
    let names = ["XDG_CURRENT_DESKTOP", "XDG_SESSION_DESKTOP", "DESKTOP_SESSION"];
    if let Some(names) = names.into_iter().find_map(|name| environment.text(name)) {
        // Old display managers set a path.
        let mut words = names.split(':').filter_map(|name| name.rsplit('/').next());
        return words
            .find_map(|name| WINDOW_MANAGERS.iter().find(|manager| name.eq_ignore_ascii_case(manager.word)));
    }
    WINDOW_MANAGERS.iter().find(|manager| environment.text(manager.sign).is_some())
}

/// The word, quoted for the shell that runs the line.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
