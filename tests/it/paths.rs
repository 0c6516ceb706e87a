//! Where things are, from a given environment; nothing of the machine's own is read.

use std::path::{Path, PathBuf};

use agent_presence::core::settings::Sources;
use agent_presence::core::source::Agent;
use agent_presence::io::config_file::{Chosen, ConfigFile};
use agent_presence::io::homes::folders;
use agent_presence::io::paths::{Environment, Folders, config_file, ensure_state_dir, state_dir};

/// An absolute path on every system.
fn root() -> PathBuf {
    PathBuf::from(if cfg!(windows) { r"C:\r" } else { "/r" })
}

fn environment(variables: &[(&str, &Path)]) -> Environment {
    let folders =
        Folders { home: root().join("home"), config: root().join("config"), state: root().join("state") };
    Environment::new(variables.iter().map(|(name, value)| (*name, value.as_os_str())), Some(folders))
}

/// Both agents' homes.
fn homes(sources: &Sources, environment: &Environment) -> [Vec<PathBuf>; 2] {
    [Agent::CODEX, Agent::CLAUDE].map(|agent| folders(agent, sources.of(agent), environment))
}

#[test]
fn variables_come_before_the_platform() {
    let none = environment(&[]);
    assert_eq!(config_file(&none).unwrap(), root().join("config/agent-presence/config.toml"));
    assert_eq!(state_dir(&none).unwrap(), root().join("state/agent-presence"));
    let usual: [Vec<PathBuf>; 2] = [&[".codex"][..], &[".claude", ".config/claude"]]
        .map(|names| names.iter().map(|name| root().join("home").join(name)).collect());
    assert_eq!(homes(&Sources::default(), &none), usual);

    let there = root().join("there");
    let names = ["AGENT_PRESENCE_CONFIG", "AGENT_PRESENCE_STATE_DIR", "CODEX_HOME", "CLAUDE_CONFIG_DIR"];
    let all = environment(&names.map(|name| (name, there.as_path())));
    assert_eq!(config_file(&all).unwrap(), there);
    assert_eq!(state_dir(&all).unwrap(), there);
    assert_eq!(homes(&Sources::default(), &all), [vec![there.clone()], vec![there]]);

    let mut set = Sources::default();
    set.of_mut(Agent::CODEX).homes = vec![root().join("a"), root().join("a")];
    set.of_mut(Agent::CLAUDE).homes = vec![root().join("b")];
    assert_eq!(homes(&set, &all), [[root().join("a")], [root().join("b")]]);

    for ignored in ["", "relative/folder"] {
        let nothing = environment(&names.map(|name| (name, Path::new(ignored))));
        let config = config_file(&nothing).unwrap();
        assert_eq!(
            config == config_file(&none).unwrap(),
            ignored.is_empty(),
            "a file that is named is no other file"
        );
        assert!(config.is_absolute());
        assert_eq!(state_dir(&nothing).unwrap(), state_dir(&none).unwrap());
        assert_eq!(homes(&Sources::default(), &nothing), usual);
    }
}

#[test]
fn the_flag_comes_before_the_environment() {
    let there = root().join("there");
    let environment = environment(&[("AGENT_PRESENCE_CONFIG", &there)]);
    let named = ConfigFile::locate(Some(&root().join("mine.toml")), &environment).unwrap();
    assert_eq!(named, ConfigFile { path: root().join("mine.toml"), chosen: Chosen::Named });
    let found = ConfigFile::locate(None, &environment).unwrap();
    assert_eq!(found, ConfigFile { path: there, chosen: Chosen::Named });
    assert!(ConfigFile::locate(Some(Path::new("relative.toml")), &environment).unwrap().path.is_absolute());
}

#[test]
fn several_claude_homes_have_commas_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let several = PathBuf::from(format!("{}, {},,{}", one.display(), two.display(), one.display()));
    let named = |name, path: &Path| homes(&Sources::default(), &environment(&[(name, path)]));
    let [codex, claude] = [named("CODEX_HOME", &several), named("CLAUDE_CONFIG_DIR", &several)];
    assert_eq!(claude[1], [one, two]);
    assert_eq!(codex[0], [several], "for Codex it is one folder");

    let comma = folder.path().join("a,b");
    std::fs::create_dir(&comma).unwrap();
    assert_eq!(named("CLAUDE_CONFIG_DIR", &comma)[1], [comma]);
}

/// The strongest alone counts, of what the environment says; what pi's own settings say counts beside the home they are in.
#[test]
fn pi_may_keep_its_sessions_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let [agent, flat] = ["agent", "flat"].map(|name| folder.path().join(name));
    std::fs::create_dir(&agent).unwrap();
    let named = |variables: &[(&str, &Path)]| {
        folders(Agent::PI, Sources::default().of(Agent::PI), &environment(variables))
    };
    let [session_folder, home] = ["PI_CODING_AGENT_SESSION_DIR", "PI_CODING_AGENT_DIR"];
    let settings = |said: &str| std::fs::write(agent.join("settings.json"), said).unwrap();
    for (said, elsewhere) in [
        (format!("{{\"theme\":1,\"sessionDir\":{:?}}}", flat.to_str().unwrap()), Some(flat.clone())),
        ("{\"sessionDir\":\"~/talks\"}".to_owned(), Some(root().join("home/talks"))),
        ("{\"sessionDir\":\"below/the/project\"}".to_owned(), None),
        ("{\"sessionDir\":".to_owned(), None),
    ] {
        settings(&said);
        let expected: Vec<_> = [agent.clone()].into_iter().chain(elsewhere).collect();
        assert_eq!(named(&[(home, &agent)]), expected, "{said}");
        assert_eq!(named(&[(home, &agent), (session_folder, &flat)]), std::slice::from_ref(&flat), "{said}");
    }
}

#[test]
fn without_a_home_folder_it_says_what_to_set() {
    let empty = Environment::default();
    assert_eq!(
        config_file(&empty).unwrap_err().to_string(),
        "error: could not find your home folder: HOME is not set to an absolute path\n\
         hint: set HOME, or AGENT_PRESENCE_CONFIG, or use --config"
    );
    assert_eq!(state_dir(&empty).unwrap_err().hints, ["set HOME, or AGENT_PRESENCE_STATE_DIR"]);
    assert_eq!(homes(&Sources::default(), &empty), [const { Vec::<PathBuf>::new() }; 2]);
}

#[test]
fn debug_output_holds_no_variable() {
    let text = format!("{:?}", environment(&[("TOKEN", Path::new("secret"))]));
    assert!(!text.contains("secret") && !text.contains("TOKEN"), "{text}");
}

#[test]
fn a_state_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let failure = ensure_state_dir(&file).unwrap_err();
    assert_eq!(
        failure.message,
        format!("could not create the state folder {}: it is not a folder", file.display())
    );
    assert_eq!(failure.hints, ["make it writable, or set AGENT_PRESENCE_STATE_DIR to another folder"]);
    assert!(
        ensure_state_dir(&file.join("below"))
            .unwrap_err()
            .message
            .starts_with("could not create the state folder ")
    );
}

#[cfg(unix)]
#[test]
fn a_state_folder_is_private_and_an_open_one_is_refused() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("a/b");
    ensure_state_dir(&made).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&made), 0o700);
    assert_eq!(mode(&folder.path().join("a")), 0o700);

    std::fs::set_permissions(&made, Permissions::from_mode(0o755)).unwrap();
    ensure_state_dir(&made).unwrap();
    assert_eq!(mode(&made), 0o755, "what was there before is left alone");

    std::fs::set_permissions(&made, Permissions::from_mode(0o777)).unwrap();
    let failure = ensure_state_dir(&made).unwrap_err();
    assert!(failure.message.ends_with(": every user may write to it"), "{failure}");
    assert_eq!(failure.hints, [format!("chmod 700 {}", made.display())]);

    // Root may write anywhere.
    if !rustix::process::geteuid().is_root() {
        std::fs::set_permissions(&made, Permissions::from_mode(0o500)).unwrap();
        assert!(ensure_state_dir(&made).unwrap_err().message.contains("could not use the state folder"));
    }
}

/// `sudo -E agent-presence run` has root's rights and the user's folders.
#[cfg(unix)]
#[test]
fn root_leaves_nothing_in_the_folder_of_another_user() {
    use std::os::unix::fs::chown;

    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let state = home.join("state/agent-presence");
    // Only root can give a folder away, and only root is to be kept from it.
    if chown(&home, Some(12_345), None).is_err() {
        ensure_state_dir(&state).unwrap();
        return;
    }
    let failure = ensure_state_dir(&state).unwrap_err();
    assert!(failure.message.contains("home belongs to another user"), "{failure}");
    assert_eq!(failure.hints, ["run it as that user, without `sudo`"]);
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
    let config = ConfigFile { path: home.join("config/config.toml"), chosen: Chosen::Default };
    agent_presence::cmd::config::init(&config, &mut Vec::new()).unwrap_err();
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
}
