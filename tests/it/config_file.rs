//! The settings file on disk, and the commands around it.

use std::io::Write;
use std::path::{Path, PathBuf};

use agent_presence::cmd::cli::Config;
use agent_presence::cmd::config as command;
use agent_presence::core::config::{self, ConfigContext, keys};
use agent_presence::core::settings::Settings;
use agent_presence::error::{Exit, Failure};
use agent_presence::io::config_file::{self, Chosen, ConfigFile};
use agent_presence::io::paths::Environment;

const ID: &str = "123456789012345678";

fn context() -> ConfigContext {
    ConfigContext { home: Some(PathBuf::from("/home/ada")), ..ConfigContext::default() }
}

fn file(folder: &Path, text: Option<&[u8]>, chosen: Chosen) -> ConfigFile {
    let path = folder.join("config.toml");
    if let Some(text) = text {
        std::fs::write(&path, text).unwrap();
    }
    ConfigFile { path, chosen }
}

fn run(
    command: impl FnOnce(&mut dyn Write, &mut dyn Write) -> Result<Exit, Failure>,
) -> (String, String, u8) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = match command(&mut out, &mut err) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            err.extend(failure.to_string().into_bytes());
            failure.exit.code()
        }
    };
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), code)
}

#[test]
fn init_never_writes_over_a_file() {
    let home = tempfile::tempdir().unwrap();
    let file = file(&home.path().join("new"), None, Chosen::Named);
    let path = file.path.display();
    assert_eq!(run(|out, _| command::init(&file, out)), (format!("{path}\n"), String::new(), 0));
    assert_eq!(std::fs::read_to_string(&file.path).unwrap(), config::commented());
    std::fs::write(&file.path, "mine").unwrap();
    let (out, err, code) = run(|out, _| command::init(&file, out));
    assert_eq!((out.as_str(), code), ("", 1));
    assert!(
        err.starts_with(&format!("error: could not write {path}: there is a file already\nhint: ")),
        "{err}"
    );
    assert_eq!(std::fs::read_to_string(&file.path).unwrap(), "mine");
}

#[test]
fn check_exits_1_on_a_problem() {
    let home = tempfile::tempdir().unwrap();
    let missing = file(home.path(), None, Chosen::Default);
    let path = missing.path.display();
    let (out, err, code) = run(|out, err| command::check(&missing, &context(), out, err));
    assert_eq!((out, code), (format!("{path}: no such file, the defaults are used\n"), 0));
    assert!(err.starts_with("note: discord.application_id: no application id is set"), "{err}");

    let named = file(home.path(), None, Chosen::Named);
    let (_, err, code) = run(|out, err| command::check(&named, &context(), out, err));
    assert_eq!(code, 1);
    assert!(
        err.starts_with(&format!("error: could not read {path}: there is no such file\nhint: ")),
        "{err}"
    );

    let bad = file(home.path(), Some(b"[card]\nidle_aftr = 1\nstate = 2\n"), Chosen::Default);
    assert_eq!(
        run(|out, err| command::check(&bad, &context(), out, err)),
        (
            String::new(),
            format!(
                "warning: {path}:2:1: card.idle_aftr: unknown key, it has no effect\n\
                 hint: did you mean `idle_after`?\n\
                 error: {path}:3:9: card.state: expected a line of text in quotes, found the number 2\n"
            ),
            1
        )
    );

    let good =
        file(home.path(), Some(format!("discord.application_id = \"{ID}\"").as_bytes()), Chosen::Default);
    let answer = (format!("{path}: no problems\n"), String::new(), 0);
    assert_eq!(run(|out, err| command::check(&good, &context(), out, err)), answer);
}

#[test]
fn a_file_that_cannot_be_read_is_an_issue() {
    let home = tempfile::tempdir().unwrap();
    let read = |bytes: &[u8]| file(home.path(), Some(bytes), Chosen::Default).read(&context());
    assert_eq!(read(b"[card]\n# \xff\n").issues[0].to_string(), "line 2: not valid UTF-8");
    // As PowerShell's `>` and Notepad's "Unicode" write it, with a mark and without.
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for bytes in [utf16("\u{feff}[card]\n"), utf16("[card]\n")] {
        let issues = read(&bytes).issues;
        assert_eq!((issues.len(), issues[0].to_string().as_str()), (1, "it is UTF-16, not UTF-8"));
        assert!(issues[0].hint.as_ref().is_some_and(|hint| hint.starts_with("save it as UTF-8")));
    }
    assert_eq!(read(&vec![b'\n'; 1024 * 1024 + 1]).issues[0].to_string(), "it is larger than 1 MB");
    let folder = ConfigFile { path: home.path().to_owned(), chosen: Chosen::Default }.read(&context());
    assert!(folder.is_broken() && folder.issues[0].message.starts_with("could not read it: "));
    assert_eq!(folder.settings, Settings::default());
}

#[test]
fn show_goes_on_with_a_broken_file() {
    let home = tempfile::tempdir().unwrap();
    let broken = file(home.path(), Some(b"[card\n"), Chosen::Default);
    let (out, err, code) = run(|out, err| command::run(&Config::Show, &broken, &context(), out, err));
    assert_eq!(code, 0);
    assert_eq!(out.matches("# default\n").count(), keys::KEYS.len());
    assert!(err.contains("config.toml:1:") && err.contains("not valid TOML"), "{err}");
}

#[test]
fn the_context_comes_from_the_environment() {
    let variables = [("AGENT_PRESENCE_APPLICATION_ID", ID), ("RUST_LOG", "")];
    let context = config_file::context(&Environment::new(variables, None), Some("1"));
    assert_eq!(context.environment_application_id.as_deref(), Some(ID));
    assert_eq!(context.environment_log, None);
    assert_eq!(context.built_in_application_id.as_deref(), Some("1"));
}
