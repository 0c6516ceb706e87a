//! The dashboard in a real terminal: the program in tmux, beside a daemon and a fake Discord.
//!
//! Where tmux is missing, the tests say so and pass.

use std::fs;
use std::process::Command;

use agent_presence::cmd::dashboard::screen::{Panics, Screen};
use agent_presence::cmd::dashboard::view::View;
use agent_presence::control::client::block_on;
use jiff::tz::TimeZone;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::SECRET;
use crate::support::codex_session::CodexSession;
use crate::support::fake_discord::FakeDiscord;
use crate::support::home::Home;
use crate::support::process::Process;
use crate::support::tmux::Terminal;

/// What a user does: something before, the dashboard, something after. It says whether the terminal's own settings are
/// what they were.
const SCRIPT: &str = "echo before; stty -g > stty; sh -c 'echo $$ > pid; exec \"$program\" watch'; \
    echo after $?; stty -g | cmp - stty && echo as before; cat";

/// A daemon that shows a session in a Discord.
struct Running {
    home: Home,
    session: CodexSession,
    discord: FakeDiscord,
    _daemon: Process,
}

fn running() -> Running {
    let home = Home::new();
    let discord = FakeDiscord::in_folder(&home.path("run"));
    let mut session = home.session();
    session.limits(36.0, 53.0).turn().tokens(4_500);
    let daemon = home.start("run");
    discord.wait_for_presence("the card", |_| true);
    Running { home, session, discord, _daemon: daemon }
}

/// That this is on it, and nothing of the session's content.
#[track_caller]
fn check(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "no `{wanted}` in\n{text}");
    }
    assert!(!text.contains(SECRET), "{text}");
}

/// That the terminal is as it was before.
#[track_caller]
fn check_given_back(terminal: &Terminal) {
    let text = terminal.wait_for_text("as before");
    assert_eq!(text.trim_end(), "before\nafter 0\nas before");
    assert_eq!(terminal.fact("alternate_on"), "0");
    assert_eq!(terminal.fact("cursor_flag"), "1", "the cursor is seen");
}

#[test]
fn every_width_shows_what_matters() {
    let Running { home, session, .. } = &mut running();
    let sizes = [
        ((40, 10), vec!["daemon running", "5h ", "64% good", "47% fair", "Codex · app", "4.5K", "connected"]),
        (
            (80, 24),
            vec![
                "Card, as friends see it",
                "64% left  good",
                "resets ",
                "GPT-5.6 Sol",
                "+4.5K",
                "connected",
                "acknowledged ",
            ],
        ),
        (
            (200, 50),
            vec![
                "Thinking · GPT-5.6 Sol",
                "47% left  fair",
                "main",
                "4.5K",
                "Latest usage",
                "Token usage: total=4,500",
            ],
        ),
    ];
    for (size, wanted) in sizes {
        let Some(terminal) = Terminal::start(home, size, SCRIPT) else { return };
        // What the daemon tells comes after its first status.
        let text = terminal.wait_for("all of it", |text| wanted.iter().all(|wanted| text.contains(wanted)));
        check(&text, &wanted);
        assert_eq!(terminal.fact("cursor_flag"), "0", "no cursor stands about");
        terminal.send("q");
        check_given_back(&terminal);
    }
    // What happens is on it without a key being touched.
    let Some(terminal) = Terminal::start(home, (120, 40), SCRIPT) else { return };
    terminal.wait_for_text("total=4,500");
    session.tokens(250);
    check(&terminal.wait_for_text("total=4,750 (+250)"), &["+250"]);
    session.call();
    terminal.wait_for_text("Running a command");
}

#[test]
fn a_window_may_change_its_size() {
    let Running { home, .. } = &running();
    let Some(terminal) = Terminal::start(home, (200, 50), SCRIPT) else { return };
    terminal.wait_for_text("Latest usage");
    terminal.resize((40, 10));
    let text = terminal
        .wait_for("the small form", |text| text.contains("64% good") && !text.contains("Latest usage"));
    check(&text, &["daemon running", "q quit"]);
    terminal.resize((39, 9));
    terminal.wait_for_text("too small: 40x10");
    terminal.resize((80, 24));
    let wanted = ["64% left  good", "Sessions (1)", "Latest usage", "q quit"];
    let text = terminal.wait_for("all of it", |text| wanted.iter().all(|wanted| text.contains(wanted)));
    check(&text, &wanted);
    assert!(!text.contains("too small"), "{text}");
    terminal.send("q");
    terminal.wait_for_text("after 0");
}

#[test]
fn keys_pause_and_explain() {
    let Running { home, discord, .. } = &running();
    let Some(terminal) = Terminal::start(home, (80, 24), SCRIPT) else { return };
    terminal.wait_for_text("4.5K");
    terminal.send("?");
    terminal.wait_for_text("a sub-agent's session");
    terminal.send("q");
    terminal.wait_for_text("Latest usage");
    terminal.send("p");
    terminal.wait_for_text("no card: paused");
    discord.wait_for_no_presence();
    terminal.wait_for_text("p resume");
    terminal.send("p");
    terminal.wait_for("the card again", |text| {
        text.contains("Thinking · GPT-5.6 Sol") && text.contains("p pause")
    });
    discord.wait_for_presence("the card again", |_| true);
    terminal.send("C-c");
    check_given_back(&terminal);
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let Running { home, .. } = &running();
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let Some(terminal) = Terminal::start(home, (80, 24), SCRIPT) else { return };
        terminal.wait_for_text("4.5K");
        let pid = fs::read_to_string(home.path("pid")).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
        check_given_back(&terminal);
    }
}

#[test]
fn the_shell_is_there_while_it_is_suspended() {
    let Running { home, .. } = &running();
    let Some(terminal) = Terminal::start(home, (80, 24), "PS1='ready> ' exec sh -i") else { return };
    terminal.wait_for_text("ready>");
    terminal.send("\"$program\" Space watch Enter");
    terminal.wait_for_text("4.5K");
    terminal.send("C-z");
    terminal.wait_for("the shell", |text| text.contains("ready>") && !text.contains("4.5K"));
    assert_eq!(terminal.fact("alternate_on"), "0");
    terminal.send("fg Enter");
    terminal.wait_for_text("4.5K");
    assert_eq!(terminal.fact("cursor_flag"), "0");
    terminal.send("q");
    terminal.wait_for("the shell again", |text| !text.contains("4.5K"));
    assert_eq!(terminal.fact("alternate_on"), "0");
}

#[test]
fn colours_are_used_unless_they_are_not_wanted() {
    let Running { home, .. } = &mut running();
    // As tmux says it, whichever way the program did.
    let coloured = |text: &str| {
        text.contains("\u{1b}[38;5;") || (31..38).any(|code| text.contains(&format!("[{code}m")))
    };
    let Some(terminal) = Terminal::start(home, (80, 24), SCRIPT) else { return };
    terminal.wait_for_text("64% left  good");
    assert!(coloured(&terminal.coloured()), "{}", terminal.coloured());
    drop(terminal);
    let without = SCRIPT.replace("watch", "--color never watch");
    home.set("NO_COLOR", "1");
    for script in [SCRIPT, &without] {
        let Some(terminal) = Terminal::start(home, (80, 24), script) else { return };
        terminal.wait_for_text("64% left  good");
        assert!(!coloured(&terminal.coloured()), "{}", terminal.coloured());
        home.unset("NO_COLOR");
    }
}

#[test]
fn without_a_daemon_the_files_are_followed_until_there_is_one() {
    let home = Home::new();
    let mut session = home.session();
    session.turn().tokens(4_500);
    let Some(terminal) = Terminal::start(&home, (80, 24), SCRIPT) else { return };
    check(&terminal.wait_for_text("4.5K"), &["no daemon is running", "as friends would see it"]);
    session.tokens(250);
    terminal.wait_for_text("4.75K");
    terminal.send("p");
    terminal.wait_for_text("no daemon is running, so there is nothing to pause");
    let daemon = home.start("run");
    terminal.wait_for_text("daemon 0.1.0 running");
    daemon.kill();
    check(&terminal.wait_for_text("the daemon has ended"), &["4.75K"]);
    terminal.send("q");
    check_given_back(&terminal);
}

#[test]
fn changes_by_other_commands_are_seen() {
    let home = Home::new();
    let _daemon = home.start("run");
    home.wait_for_status("a daemon", |status| status["daemon"]["state"] == "running");
    let Some(terminal) = Terminal::start(&home, (80, 24), SCRIPT) else { return };
    terminal.wait_for_text("no card: no active session");
    home.output("pause");
    terminal.wait_for_text("no card: paused");
    home.output("resume");
    terminal.wait_for_text("no card: no active session");
    home.settings("[publish]\nmin_intervall = \"5s\"\n");
    check(&terminal.wait_for_text("Problems"), &["min_intervall"]);
    terminal.send("q");
    check_given_back(&terminal);
}

/// Set where this very test is the program in the terminal.
const INSIDE: &str = "AGENT_PRESENCE_TEST_INSIDE";

#[test]
fn a_defect_gives_the_terminal_back() {
    if std::env::var_os(INSIDE).is_some() {
        block_on(async {
            let _panics = Panics::watch();
            let mut screen = Screen::open(true).unwrap();
            screen.draw(&View::new(TimeZone::UTC, true)).unwrap();
            panic!("{SECRET}");
        })
        .unwrap();
    }
    let home = Home::new();
    let tests = std::env::current_exe().unwrap();
    let script = format!(
        "stty -g > stty; {INSIDE}=1 {} --exact dashboard::terminal::a_defect_gives_the_terminal_back --nocapture; \
         stty -g | cmp - stty && echo as before; cat",
        tests.display()
    );
    let Some(terminal) = Terminal::start(&home, (80, 24), &script) else { return };
    let text = terminal.wait_for_text("as before");
    check(&text, &["error: internal error at tests/it/dashboard/terminal.rs:", "hint: please report it"]);
    assert_eq!(terminal.fact("alternate_on"), "0");
    assert_eq!(terminal.fact("cursor_flag"), "1");
}

#[test]
fn a_closed_terminal_ends_the_dashboard() {
    let Running { home, .. } = &running();
    let Some(terminal) = Terminal::start(home, (80, 24), SCRIPT) else { return };
    terminal.wait_for_text("4.5K");
    let pid = fs::read_to_string(home.path("pid")).unwrap();
    drop(terminal);
    let is_there = || Command::new("kill").args(["-0", pid.trim()]).output().unwrap().status.success();
    let start = agent_presence::io::clock::now().mono;
    while is_there() {
        let now = agent_presence::io::clock::now().mono;
        assert!(now < start + crate::support::PATIENCE, "the dashboard goes on without a terminal");
    }
}
