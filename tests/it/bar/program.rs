//! The real program: once and on and on, with a daemon and without, and in a real tmux.

use serde_json::{Value, json};

use crate::support::home::Home;

const THINKING: &str = "5h 64% · weekly 47% left · Thinking\n";
const WAITING: &str = "5h 64% · weekly 47% left · Waiting for input\n";

#[test]
fn the_line_is_the_same_with_a_daemon_and_without_and_changes_nothing() {
    let home = Home::new();
    assert_eq!(home.output("bar"), "\n");
    home.session().limits(36.0, 53.0).turn().tokens(4_500);
    let before = home.snapshot();
    assert_eq!(home.output("bar"), THINKING);
    assert_eq!(home.snapshot(), before);
    let off: Value = serde_json::from_str(&home.output("bar --format waybar")).unwrap();
    assert_eq!(off["class"], json!(["fair", "active", "off"]));

    let _daemon = home.start("run");
    home.wait_for_status("the session", |status| !status["sessions"][0].is_null());
    assert_eq!(home.output("bar"), THINKING);
    assert_eq!(home.output("bar --agent claude"), "\n");
    let on: Value = serde_json::from_str(&home.output("bar --format json --template {project}")).unwrap();
    assert_eq!((&on["text"], &on["class"]), (&json!("app"), &json!(["fair", "active"])));
}

/// A daemon ends and another one takes over meanwhile; what it says of the same work is no line.
#[test]
fn it_follows_a_daemon_and_the_next_one_and_repeats_nothing() {
    let home = Home::new();
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().tokens(4_500);
    let first = home.start("run");
    home.wait_for_status("the session", |status| !status["sessions"][0].is_null());
    let bar = home.start("bar --follow");
    bar.wait_for_output(THINKING);
    session.call();
    bar.wait_for_output("Running a command\n");
    let second = home.start("run");
    assert_eq!(first.wait_for_end().code, Some(0));
    home.wait_for_status("the next daemon", |status| status["daemon"]["pid"] == second.pid());
    session.end();
    bar.wait_for_output(WAITING);
    let running = THINKING.replace("Thinking", "Running a command");
    assert_eq!(bar.output(), format!("{THINKING}{running}{WAITING}"));
    drop(second);
}

#[test]
fn without_a_daemon_it_follows_the_files_until_one_is_there() {
    let home = Home::new();
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().tokens(4_500);
    let bar = home.start("bar --follow --format waybar");
    bar.wait_for_output(r#""class":["fair","active","off"]"#);
    session.end();
    bar.wait_for_output(r#""class":["fair","waiting","off"]"#);
    let _daemon = home.start("run");
    bar.wait_for_output(r#""class":["fair","waiting"],"#);
    assert_eq!(bar.output().lines().count(), 3, "{}", bar.output());
}

#[test]
fn a_pause_and_its_end_are_seen() {
    let home = Home::new();
    home.session().limits(36.0, 53.0).turn().tokens(4_500);
    let _daemon = home.start("run");
    home.wait_for_status("the session", |status| !status["sessions"][0].is_null());
    let bar = home.start("bar --follow --format json");
    bar.wait_for_output(r#""class":["fair","active"]"#);
    home.output("pause");
    bar.wait_for_output(r#""class":["fair","active","off"]"#);
}

/// Nothing happens here after the reader has gone, so no write can tell.
#[cfg(unix)]
#[test]
fn it_ends_with_its_reader() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    for with_daemon in [true, false] {
        let home = Home::new();
        home.session().limits(36.0, 53.0).turn().tokens(4_500);
        let _daemon = with_daemon.then(|| home.start("run"));
        let mut command = home.command("bar --follow");
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, THINKING);
        drop(out);
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert!(ended.stderr.is_empty(), "{ended:?}");
    }
}

/// The status line of tmux as a user sees it: its client runs in a terminal, which is another tmux.
#[cfg(unix)]
#[test]
fn tmux_shows_it() {
    use crate::support::tmux::Terminal;

    let home = Home::new();
    let mut session = home.session();
    session.limits(36.0, 95.0).turn().tokens(4_500);
    let script = r##"unset TMUX; exec tmux -S "$HOME/inner" -f /dev/null new-session sh -c "
        tmux set -g status-right-length 100
        tmux set -g status-interval 1
        tmux set -g status-right '#($program bar --follow --format tmux --template \"{limits} #[bold]{activity}\")'
        exec cat""##;
    let Some(terminal) = Terminal::start(&home, (120, 6), script) else { return };
    // A server is no child of the terminal that it was started in.
    let _inner = Terminal::at(home.path("home/inner"));
    terminal.wait_for_text("5h 64% · weekly 5% left Thinking");
    assert!(terminal.coloured().contains("\u{1b}[38;2;224;27;36m5h 64%"), "{}", terminal.coloured());
    session.end();
    terminal.wait_for_text("5h 64% · weekly 5% left Waiting for input");
}
