//! macOS's LaunchAgent, an XML property list.

use super::fill;
use crate::io::autostart::LoginCommand;

/// The agent's label, which is also the file's name.
pub const LABEL: &str = "io.github.agent-presence";

const TEMPLATE: &str = include_str!("../../../../packaging/login/io.github.agent-presence.plist");
const SHIPPED: &str = "<string>/usr/local/bin/agent-presence</string><string>run</string>";

/// The property list's text.
pub fn render(command: &LoginCommand) -> String {
    let words: String = command.words().map(|word| format!("<string>{}</string>", escaped(word))).collect();
    fill(TEMPLATE, SHIPPED, &words)
}

/// The command that an agent starts. A binary property list is not read.
pub fn parse(list: &str) -> Option<LoginCommand> {
    let (_, after) = list.split_once("<key>ProgramArguments</key>")?;
    let (array, _) = after.trim_start().strip_prefix("<array>")?.split_once("</array>")?;
    let mut words = array.split("<string>").skip(1).filter_map(|word| word.split_once("</string>"));
    let mut words = words.by_ref().map(|(word, _)| unescaped(word));
    Some(LoginCommand { program: words.next()?, arguments: words.collect() })
}

fn escaped(word: &str) -> String {
    word.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn unescaped(word: &str) -> String {
    let word = word.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    word.replace("&amp;", "&")
}
