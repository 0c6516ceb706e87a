//! Finds the folder of a run whose stream does not name it: that of the command that prints it, or the one that `--cd`
//! names.
//!
//! Privacy rules apply to every possible folder. Read next: [`crate::cmd::tap`].

use std::path::{Path, PathBuf};

use crate::core::names::last_part;
use crate::core::source::{Agent, Stream};

/// A program that prints into the pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printer {
    /// Its working folder.
    pub folder: PathBuf,
    /// Its command line.
    pub arguments: Vec<String>,
}

/// The folder of a run, and other possible ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFolders {
    /// The likeliest folder.
    pub folder: Option<String>,
    /// The others.
    pub others: Vec<String>,
}

impl RunFolders {
    /// Chooses from `own`, this process's folders with the present one first, from `named` by the user, and from the
    /// printing programs.
    pub fn new(own: Vec<PathBuf>, named: Option<&Path>, printers: &[Printer]) -> Self {
        let here = own.first().cloned().unwrap_or_default();
        let named = named.map(|named| here.join(named));
        let options = |printer: &Printer| folder_options(&printer.arguments);
        let silent = printers.iter().find_map(|printer| Some((printer, options(printer)?)));
        let folder = silent.map(|(printer, _)| printer.folder.clone());
        let told = silent.and_then(|(printer, options)| {
            Some(printer.folder.join(folder_of_option(&printer.arguments, options)?))
        });
        let folders = named.into_iter().chain(told).chain(folder).chain(own);
        let folders = folders.chain(printers.iter().map(|printer| printer.folder.clone()));
        let mut distinct: Vec<String> = Vec::new();
        for folder in folders.map(|folder| folder.to_string_lossy().into_owned()) {
            if !distinct.contains(&folder) {
                distinct.push(folder);
            }
        }
        let mut folders = distinct.into_iter();
        Self { folder: folders.next(), others: folders.collect() }
    }
}

/// The options that set an agent's folder, if the command line is that of an agent whose stream does not have it, also
/// as a script of another program.
fn folder_options(arguments: &[String]) -> Option<&'static [&'static str]> {
    let arguments = arguments.iter().take_while(|argument| *argument != "--");
    Agent::ALL.into_iter().find_map(|agent| {
        let Stream { command, folder_options, .. } = agent.spec().stream.as_ref()?;
        let program = command.split(' ').next()?;
        let is_it = arguments.clone().any(|argument| last_part(argument).starts_with(program));
        (is_it && !folder_options.is_empty()).then_some(*folder_options)
    })
}

/// The folder that one of these options sets, in each form in which that can be written.
fn folder_of_option<'a>(arguments: &'a [String], options: &[&str]) -> Option<&'a str> {
    let mut arguments = arguments.iter().map(String::as_str).take_while(|argument| *argument != "--");
    while let Some(argument) = arguments.next() {
        if options.contains(&argument) {
            return arguments.next();
        }
        let joined = |option: &&str| {
            let rest = argument.strip_prefix(option)?;
            rest.strip_prefix('=').or_else(|| (!option.starts_with("--")).then_some(rest))
        };
        if let Some(folder) = options.iter().find_map(joined) {
            return Some(folder);
        }
    }
    None
}

/// The programs that print into this process's standard input, as far as the system reports them.
#[cfg(target_os = "linux")]
pub fn printers() -> Vec<Printer> {
    use std::fs;

    let Ok(pipe) = fs::read_link("/proc/self/fd/0") else { return Vec::new() };
    if !pipe.to_string_lossy().starts_with("pipe:") {
        return Vec::new();
    }
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let prints = |process: &Path| fs::read_link(process.join("fd/1")).is_ok_and(|output| output == pipe);
    let printer = |process: PathBuf| {
        let arguments = fs::read(process.join("cmdline")).ok()?;
        let arguments = arguments.split(|byte| *byte == 0);
        Some(Printer {
            folder: fs::read_link(process.join("cwd")).ok()?,
            arguments: arguments.map(|argument| String::from_utf8_lossy(argument).into_owned()).collect(),
        })
    };
    let processes = processes.flatten().map(|entry| entry.path());
    let is_process = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
    };
    processes.filter(is_process).filter(|process| prints(process)).filter_map(printer).collect()
}

/// The programs that print into standard input: not known on this system.
#[cfg(not(target_os = "linux"))]
pub fn printers() -> Vec<Printer> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared as paths: systems separate folders in different ways.
    #[track_caller]
    fn is(place: &RunFolders, folder: &str, others: &[&str]) {
        assert_eq!(place.folder.as_deref().map(Path::new), Some(Path::new(folder)));
        assert!(place.others.iter().map(Path::new).eq(others.iter().map(Path::new)), "{place:?}");
    }

    #[track_caller]
    fn check(command: &str, expected: &str, others: &[&str]) {
        let arguments = command.split(' ').map(str::to_owned).collect();
        let printer = Printer { folder: "/start".into(), arguments };
        let place = RunFolders::new(vec!["/own".into()], None, &[printer]);
        is(&place, expected, others);
    }

    #[test]
    fn codex_options_set_the_folder() {
        for command in [
            "codex exec --json --cd /work fix",
            "codex exec --json --cd=/work fix",
            "/usr/bin/node /usr/bin/codex -C /work exec --json fix",
            "codex exec -C=/work fix",
            "codex exec -C/work fix",
        ] {
            check(command, "/work", &["/start", "/own"]);
        }
        check("codex exec --cd below fix", "/start/below", &["/start", "/own"]);
        check("codex exec --json fix", "/start", &["/own"]);
        check("codex exec -- --cd /work", "/start", &["/own"]);
        check("make -C /work run", "/own", &["/start"]);
    }

    #[test]
    fn the_folder_that_the_user_names_comes_first() {
        let own = || vec![PathBuf::from("/own"), PathBuf::from("/link")];
        is(&RunFolders::new(own(), Some(Path::new("app")), &[]), "/own/app", &["/own", "/link"]);
        is(&RunFolders::new(own(), None, &[]), "/own", &["/link"]);
        assert_eq!(RunFolders::new(Vec::new(), None, &[]), RunFolders::default());
    }
}
