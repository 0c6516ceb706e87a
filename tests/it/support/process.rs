//! A running program, and waiting for what it says or for its end.
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::{PATIENCE, SECRET, schema};

/// A program that was started; killed when dropped.
///
/// Nothing that one prints may hold content of session files, and JSON is as the schema says: that is checked for each.
pub(crate) struct Process {
    child: Child,
    arguments: Vec<String>,
    shared: Arc<Shared>,
    readers: Vec<JoinHandle<()>>,
    /// `stop`, in the same home.
    #[cfg(windows)]
    stop: Command,
}

/// What a program that has ended left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

#[derive(Default)]
struct Shared {
    said: Mutex<Said>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    out: String,
    err: String,
    /// How many of the two have ended: both when the program has.
    ended: usize,
}

impl Process {
    /// Starts `command`, without standard input.
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let shared = Arc::new(Shared::default());
        let out = read(child.stdout.take().unwrap(), &shared, |said| &mut said.out);
        let err = read(child.stderr.take().unwrap(), &shared, |said| &mut said.err);
        Self {
            child,
            arguments: command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect(),
            shared,
            readers: vec![out, err],
            #[cfg(windows)]
            stop: {
                let mut stop = Command::new(command.get_program());
                stop.arg("stop").env_clear();
                stop.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
                stop
            },
        }
    }

    /// Waits until standard error holds `text`.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        self.wait_for(text, |said| said.err.contains(text).then_some(()));
    }

    /// Waits until standard output holds `text`.
    #[track_caller]
    pub(crate) fn wait_for_output(&self, text: &str) {
        self.wait_for(text, |said| said.out.contains(text).then_some(()));
    }

    /// Waits for a line of standard output in which `look` finds what it looks for.
    #[track_caller]
    pub(crate) fn wait_for_line<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        self.wait_for(what, |said| said.out.lines().find_map(&look))
    }

    /// Waits for the program to end by itself.
    #[track_caller]
    pub(crate) fn wait_for_end(mut self) -> Ended {
        self.wait_for("the end of the program", |said| (said.ended == 2).then_some(()));
        let code = self.child.wait().unwrap().code();
        let said = self.shared.lock();
        Ended { code, out: said.out.clone(), err: said.err.clone() }
    }

    /// What is on standard error so far.
    pub(crate) fn log(&self) -> String {
        self.shared.lock().err.clone()
    }

    /// What is on standard output so far.
    pub(crate) fn output(&self) -> String {
        self.shared.lock().out.clone()
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&self) -> bool {
        self.shared.lock().ended < 2
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks the program to end, as a service manager does, and waits until it has.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn terminate(self) -> Ended {
        self.signal(rustix::process::Signal::TERM);
        self.wait_for_end()
    }

    /// Asks the program to end, and waits until it has. Windows has no signal for that; its users say `stop`.
    #[cfg(windows)]
    #[track_caller]
    pub(crate) fn terminate(mut self) -> Ended {
        let stopped = self.stop.output().unwrap();
        assert!(stopped.status.success(), "{stopped:?}");
        self.wait_for_end()
    }

    /// Ends the program without a chance to do anything about it.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    #[track_caller]
    fn wait_for<T>(&self, what: &str, mut look: impl FnMut(&Said) -> Option<T>) -> T {
        let mut found = None;
        let (said, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), PATIENCE, |said| {
                found = look(said);
                found.is_none() && said.ended < 2
            })
            .unwrap_or_else(PoisonError::into_inner);
        found.unwrap_or_else(|| panic!("waited in vain for {what}; said: {said:#?}"))
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if !std::thread::panicking() {
            let said = self.shared.lock();
            assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET), "{said:#?}");
            schema::check_printed(&self.arguments, &said.out);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps what comes from `stream`, line by line.
fn read(
    stream: impl Read + Send + 'static,
    shared: &Arc<Shared>,
    place: fn(&mut Said) -> &mut String,
) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            place(&mut shared.lock()).push_str(&String::from_utf8_lossy(&line));
            shared.changed.notify_all();
            line.clear();
        }
        shared.lock().ended += 1;
        shared.changed.notify_all();
    })
}
