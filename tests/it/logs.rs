//! Where log lines end up, by what standard error is, and that a log that cannot be kept costs nothing else.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::home::Home;

/// The program with a standard error of its own; killed when dropped.
struct Program {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Program {
    fn start(command: &mut Command, stderr: impl Into<Stdio>) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// Waits for a line of standard output that holds `text`.
    fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "the program ended before it said {text}");
        }
    }

    /// Asks for the end, as a service manager does, and gives the exit code.
    fn terminate(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A home with a session at work.
fn home() -> Home {
    let home = Home::new();
    home.session().turn().tokens(1000);
    home
}

fn log_files(home: &Home) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.state()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == "log")).collect();
    files.sort();
    files
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn log_files_have_everything_when_standard_error_is_not_kept() {
    let home = home();
    let mut program = Program::start(&mut home.command("run --dry-run"), Stdio::null());
    program.wait_for("│ Thinking");
    assert_eq!(program.terminate(), Some(0));
    let files = log_files(&home);
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let log = fs::read_to_string(file).unwrap();
    for text in ["INFO started pid=", "INFO Token usage: total=1,000 ", "INFO ended\n"] {
        assert!(log.contains(text), "{text} in {log}");
    }
    assert_eq!((mode(&home.state()), mode(file)), (0o700, 0o600));
}

#[test]
fn seven_days_are_kept() {
    let home = home();
    fs::create_dir(home.state()).unwrap();
    for day in 10..20 {
        fs::write(home.state().join(format!("agent-presence.2020-01-{day}.log")), "").unwrap();
    }
    let mut program = Program::start(&mut home.command("run --dry-run"), Stdio::null());
    program.wait_for("│ Thinking");
    assert_eq!(program.terminate(), Some(0));
    let files = log_files(&home);
    assert_eq!(files.len(), 7);
    assert!(files[0].ends_with("agent-presence.2020-01-14.log"), "{files:?}");
}

/// Each of the two is written at a moment of its own.
fn without_times(log: &str) -> Vec<Option<&str>> {
    log.lines().map(|line| line.split_once(' ').map(|(_, rest)| rest)).collect()
}

#[test]
fn standard_error_may_be_a_file() {
    let home = home();
    let path = home.path("log");
    let mut program = Program::start(&mut home.command("run --dry-run"), File::create_new(&path).unwrap());
    program.wait_for("│ Thinking");
    assert_eq!(program.terminate(), Some(0));
    let log = fs::read_to_string(path).unwrap();
    assert!(log.contains("INFO started pid=") && log.starts_with("20"), "{log}");
    assert!(!log.contains('\x1b'), "no colours off a terminal: {log}");
    // How long the system keeps it is unknown, so there are daily files as well.
    assert_eq!(without_times(&fs::read_to_string(&log_files(&home)[0]).unwrap()), without_times(&log));
}

#[test]
fn the_journal_has_its_own_clock() {
    let home = home();
    let path = home.path("journal");
    let journal = File::create_new(&path).unwrap();
    let metadata = journal.metadata().unwrap();
    let mut command = home.command("run --dry-run");
    command.env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()));
    let mut program = Program::start(&mut command, journal);
    program.wait_for("│ Thinking");
    assert_eq!(program.terminate(), Some(0));
    let log = fs::read_to_string(path).unwrap();
    assert!(log.trim_start().starts_with("INFO started pid="), "{log}");
    assert_eq!(log_files(&home), [""; 0].map(PathBuf::from));

    // The variable is inherited by a program whose standard error is another file.
    let mut command = home.command("run --dry-run");
    command.env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()));
    let mut program = Program::start(&mut command, Stdio::null());
    program.wait_for("│ Thinking");
    assert_eq!(program.terminate(), Some(0));
    assert_eq!(log_files(&home).len(), 1);
}

#[test]
fn a_log_that_cannot_be_written_costs_the_log_alone() {
    let home = home();
    fs::create_dir(home.state()).unwrap();
    // Root may write anywhere, but not to a folder as if it were a file.
    let today = agent_presence::io::clock::now().wall;
    for seconds in [0, 86_400] {
        let day = jiff::Timestamp::from_second(today.as_second() + seconds).unwrap();
        let name = format!("agent-presence.{}.log", day.strftime("%Y-%m-%d"));
        fs::create_dir(home.state().join(name)).unwrap();
    }
    let mut program = Program::start(&mut home.command("run --dry-run"), Stdio::null());
    program.wait_for("│ Thinking");
    assert_eq!(program.terminate(), Some(0));
}

#[test]
fn a_reader_of_standard_error_that_goes_away_costs_nothing() {
    let home = Home::new();
    let mut session = home.session();
    session.turn();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut program = Program::start(&mut home.command("run --dry-run"), writer);
    let mut lines = BufReader::new(reader).lines();
    assert!(lines.next().unwrap().unwrap().contains("started"));
    drop(lines);
    program.wait_for("│ Thinking");
    // Each usage event is a line in the log.
    session.tokens(1000).tokens(1000).call();
    program.wait_for("│ Running a command");
    assert_eq!(program.terminate(), Some(0));
    let log = fs::read_to_string(&log_files(&home)[0]).unwrap();
    assert!(log.contains("total=2,000"), "{log}");
}
