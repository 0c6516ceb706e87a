//! What takes effect where, with a machine that only records what it was asked.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use agent_presence::io::autostart::machine::{Machine, RunResult};
use agent_presence::io::autostart::texts::launch_agent;
use agent_presence::io::autostart::{self, Kind, Login, LoginCommand, LoginState, System, windows};
use agent_presence::io::paths::Folders;

use super::command;

/// Answers with success, except to what begins as one of `refused`.
#[derive(Default)]
struct Recorder {
    asked: RefCell<Vec<String>>,
    refused: RefCell<Vec<(&'static str, &'static str)>>,
    /// What `launchctl print-disabled` prints.
    disabled: RefCell<String>,
    running: Cell<bool>,
    registry: RefCell<BTreeMap<(String, String), Vec<u8>>>,
}

impl Recorder {
    fn asked(&self) -> Vec<String> {
        self.asked.take()
    }

    fn refuse(&self, what: &'static str, why: &'static str) {
        self.refused.borrow_mut().push((what, why));
    }
}

impl Machine for Recorder {
    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<RunResult> {
        let asked = format!("{program} {}", arguments.join(" "));
        let refused = self.refused.borrow();
        let refused = refused.iter().find(|(what, _)| asked.starts_with(what));
        let output =
            if asked.contains("print-disabled") { self.disabled.borrow().clone() } else { String::new() };
        self.asked.borrow_mut().push(asked);
        let error = refused.map(|(_, why)| (*why).to_owned()).unwrap_or_default();
        Ok(RunResult { success: refused.is_none(), output, error })
    }

    fn is_running(&self) -> bool {
        self.running.get()
    }

    fn start(&self, command: &LoginCommand) -> io::Result<()> {
        self.asked.borrow_mut().push(format!("start {command}"));
        self.running.set(true);
        Ok(())
    }

    fn pause(&self) {
        self.asked.borrow_mut().push("pause".to_owned());
    }

    fn registry_text(&self, key: &str, name: &str) -> io::Result<Option<String>> {
        self.registry_bytes(key, name).map(|bytes| bytes.map(|bytes| String::from_utf8(bytes).unwrap()))
    }

    fn registry_bytes(&self, key: &str, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.registry.borrow().get(&(key.to_owned(), name.to_owned())).cloned())
    }

    fn set_registry_text(&self, key: &str, name: &str, text: Option<&str>) -> io::Result<()> {
        let at = (key.to_owned(), name.to_owned());
        match text {
            Some(text) => self.registry.borrow_mut().insert(at, text.into()),
            None => self.registry.borrow_mut().remove(&at),
        };
        Ok(())
    }
}

struct Place {
    _folder: tempfile::TempDir,
    login: Login,
    machine: Recorder,
}

impl Place {
    fn new(system: System) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_owned();
        let runtime = home.join("run");
        fs::create_dir_all(runtime.join("systemd")).unwrap();
        let program = home.join("agent-presence");
        fs::write(&program, b"").unwrap();
        let folders = Folders { config: home.join(".config"), state: home.join("state"), home };
        let command = command(program.to_str().unwrap(), &["run"]);
        let login = Login { system, command, folders, runtime: Some(runtime), user: 501 };
        Self { _folder: folder, login, machine: Recorder::default() }
    }

    fn without_manager(mut self) -> Self {
        self.login.runtime = None;
        self
    }

    fn enable(&self, start: bool) -> Result<(bool, bool), String> {
        let enabled = autostart::enable(&self.login, &self.machine, start);
        enabled.map(|enabled| (enabled.changed, enabled.started)).map_err(|failure| failure.to_string())
    }

    fn disable(&self) -> bool {
        autostart::disable(&self.login, &self.machine).unwrap()
    }

    fn state(&self) -> (Kind, LoginState) {
        let asked = self.machine.asked.borrow().len();
        let registration = autostart::registered(&self.login, &self.machine);
        self.machine.asked.borrow_mut().truncate(asked);
        assert_eq!(
            registration.hint.is_none(),
            registration.state == LoginState::Enabled,
            "{registration:?}"
        );
        (registration.kind, registration.state)
    }

    fn hint(&self) -> String {
        autostart::registered(&self.login, &self.machine).hint.unwrap()
    }

    fn unit(&self) -> PathBuf {
        self.login.folders.config.join("systemd/user/agent-presence.service")
    }

    fn entry(&self) -> PathBuf {
        self.login.folders.config.join("autostart/agent-presence.desktop")
    }

    /// As `systemctl enable` would.
    #[cfg(unix)]
    fn link_unit(&self) {
        let wants = self.unit().with_file_name("default.target.wants");
        fs::create_dir_all(&wants).unwrap();
        std::os::unix::fs::symlink(self.unit(), wants.join("agent-presence.service")).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_unit_is_written_where_there_is_a_user_manager() {
    let place = Place::new(System::Linux);
    assert_eq!(place.state(), (Kind::SystemdUnit, LoginState::Disabled));
    assert_eq!(place.enable(true), Ok((true, true)));
    let asked = [
        "systemctl --user show --property=Version",
        "systemctl --user daemon-reload",
        "systemctl --user enable agent-presence.service",
        "systemctl --user restart agent-presence.service",
    ];
    assert_eq!(place.machine.asked(), asked);
    assert_eq!(
        place.state(),
        (Kind::SystemdUnit, LoginState::Disabled),
        "a unit that nothing wants does nothing"
    );
    place.link_unit();
    assert_eq!(place.state(), (Kind::SystemdUnit, LoginState::Enabled));

    assert_eq!(place.enable(true), Ok((false, true)));
    assert_eq!(place.machine.asked().last().unwrap(), "systemctl --user start agent-presence.service");
    assert_eq!(place.enable(false), Ok((false, false)));
    assert_eq!(place.machine.asked().last().unwrap(), "systemctl --user enable agent-presence.service");

    assert!(place.disable());
    assert!(place.machine.asked().contains(&"systemctl --user disable agent-presence.service".to_owned()));
    assert!(!place.unit().exists());
    assert_eq!(place.state(), (Kind::SystemdUnit, LoginState::Disabled));
    assert!(!place.disable());
}

#[cfg(unix)]
#[test]
fn there_are_never_two_entries() {
    let mut place = Place::new(System::Linux).without_manager();
    assert_eq!(place.enable(true), Ok((true, true)));
    let started = format!("start {}", place.login.command);
    assert_eq!(place.machine.asked(), [started]);
    assert_eq!(place.state(), (Kind::DesktopEntry, LoginState::Enabled));
    assert_eq!(place.enable(true), Ok((false, true)));
    assert_eq!(place.machine.asked(), [""; 0], "one daemon is enough");

    // The user manager is there again.
    place.login.runtime = Some(place.login.folders.home.join("run"));
    assert_eq!(place.enable(false), Ok((true, false)));
    assert!(!place.entry().exists());
    place.link_unit();
    assert_eq!(place.state(), (Kind::SystemdUnit, LoginState::Enabled));

    // And gone.
    place.machine.refuse("systemctl --user show", "Failed to connect to bus: Host is down");
    assert_eq!(place.enable(false), Ok((true, false)));
    assert!(!place.unit().exists());
    assert_eq!(place.state(), (Kind::DesktopEntry, LoginState::Enabled));

    // Another program makes a second one.
    fs::write(place.unit(), fs::read(place.entry()).unwrap()).unwrap();
    place.link_unit();
    assert_eq!(place.state().1, LoginState::Differs);
    assert!(place.hint().contains("starts it as well"), "{}", place.hint());
    assert!(place.disable());
    assert!(!place.unit().exists() && !place.entry().exists());
    assert_eq!(place.state(), (Kind::DesktopEntry, LoginState::Disabled));
}

#[cfg(unix)]
#[test]
fn a_masked_unit_stays_masked() {
    let place = Place::new(System::Linux);
    fs::create_dir_all(place.unit().parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/null", place.unit()).unwrap();
    assert_eq!(place.state(), (Kind::SystemdUnit, LoginState::SwitchedOffByUser));
    let refusal = place.enable(true).unwrap_err();
    assert!(
        refusal.contains("is switched off\nhint: switch it on with `systemctl --user unmask"),
        "{refusal}"
    );
    assert!(!place.disable());
    assert!(fs::read_link(place.unit()).is_ok(), "the mask stays");
}

#[cfg(unix)]
#[test]
fn a_package_brings_the_unit_and_the_user_enables_it() {
    let place = Place::new(System::Linux);
    let packaged = place.login.folders.home.join("usr.service");
    let unit = |program: &str| format!("[Service]\nExecStart={program} run\n");
    fs::write(&packaged, unit(&place.login.command.program)).unwrap();
    let wants = place.unit().with_file_name("graphical-session.target.wants");
    fs::create_dir_all(&wants).unwrap();
    std::os::unix::fs::symlink(&packaged, wants.join("agent-presence.service")).unwrap();
    assert_eq!(place.state(), (Kind::SystemdUnit, LoginState::Enabled));
    fs::write(&packaged, unit("/usr/bin/of-another-package")).unwrap();
    assert_eq!(place.state(), (Kind::SystemdUnit, LoginState::Differs));
    fs::remove_file(&packaged).unwrap();
    assert_eq!(place.state(), (Kind::SystemdUnit, LoginState::Differs));
    assert!(place.disable());
    assert_eq!(place.state(), (Kind::SystemdUnit, LoginState::Disabled));
}

#[test]
fn a_refusal_by_systemd_is_reported() {
    let place = Place::new(System::Linux);
    place.machine.refuse("systemctl --user restart", "Job for agent-presence.service failed.\nSee more");
    let failure = place.enable(true).unwrap_err();
    assert!(
        failure
            .starts_with("error: could not start the daemon now: Job for agent-presence.service failed.\n")
    );
    assert!(failure.contains("hint: see why with `systemctl --user status"), "{failure}");
    assert!(place.unit().exists());
    place.machine.refuse("systemctl --user enable", "Access denied");
    let failure = place.enable(true).unwrap_err();
    assert_eq!(failure, "error: could not enable agent-presence.service: Access denied");
}

#[test]
fn another_program_and_a_vanished_one_are_named() {
    let mut place = Place::new(System::Linux).without_manager();
    place.enable(false).unwrap();
    let old = std::mem::replace(&mut place.login.command.program, "/new/agent-presence".to_owned());
    assert_eq!(place.state(), (Kind::DesktopEntry, LoginState::Differs));
    assert!(place.hint().starts_with(&format!("it starts {old}, and this is /new/agent-presence; ")));
    fs::remove_file(&old).unwrap();
    assert!(place.hint().starts_with(&format!("it starts {old}, which does not exist; ")));
    assert_eq!(place.enable(false), Ok((true, false)));
    assert_eq!(place.state(), (Kind::DesktopEntry, LoginState::Enabled));

    let switched_off = fs::read_to_string(place.entry()).unwrap().replace("enabled=true", "enabled=false");
    fs::write(place.entry(), switched_off).unwrap();
    assert_eq!(place.state(), (Kind::DesktopEntry, LoginState::SwitchedOffByUser));
    assert_eq!(place.enable(false), Ok((true, false)), "the user says so now");
    assert_eq!(place.state(), (Kind::DesktopEntry, LoginState::Enabled));
}

#[cfg(unix)]
#[test]
fn a_link_to_this_program_is_this_program() {
    let mut place = Place::new(System::Linux).without_manager();
    let program = place.login.command.program.clone();
    let link = place.login.folders.home.join("link");
    std::os::unix::fs::symlink(&program, &link).unwrap();
    place.login.command.program = link.to_str().unwrap().to_owned();
    place.enable(false).unwrap();
    place.login.command.program = program;
    assert_eq!(place.state(), (Kind::DesktopEntry, LoginState::Enabled));
}

#[test]
fn a_launch_agent_is_loaded() {
    let place = Place::new(System::MacOs);
    let path = place.login.folders.home.join("Library/LaunchAgents").join("io.github.agent-presence.plist");
    assert_eq!(place.state(), (Kind::LaunchAgent, LoginState::Disabled));
    place.machine.refuse("/bin/launchctl bootout", "Boot-out failed: 3: No such process");
    assert_eq!(place.enable(true), Ok((true, true)));
    let service = "gui/501/io.github.agent-presence";
    let asked = [
        "/bin/launchctl print-disabled gui/501".to_owned(),
        format!("/bin/launchctl bootout {service}"),
        format!("/bin/launchctl bootstrap gui/501 {}", path.display()),
    ];
    assert_eq!(place.machine.asked(), asked);
    assert_eq!(launch_agent::parse(&fs::read_to_string(&path).unwrap()), Some(place.login.command.clone()));
    assert_eq!(place.state(), (Kind::LaunchAgent, LoginState::Enabled));

    assert_eq!(place.enable(true), Ok((false, true)));
    assert_eq!(place.machine.asked().last().unwrap(), &format!("/bin/launchctl kickstart {service}"));

    assert!(place.disable());
    assert!(!path.exists() && !place.disable());
    assert_eq!(place.machine.asked(), [""; 0], "what runs goes on");

    place.machine.refuse("/bin/launchctl bootstrap", "Bootstrap failed: 5: Input/output error");
    let failure = place.enable(true).unwrap_err();
    assert!(failure.starts_with("error: could not start the daemon now: Bootstrap failed: 5"), "{failure}");
    let asked = place.machine.asked();
    assert_eq!(asked.iter().filter(|asked| asked.contains("bootstrap")).count(), 10);
    assert_eq!(asked.iter().filter(|asked| *asked == "pause").count(), 9);
    assert_eq!(place.state(), (Kind::LaunchAgent, LoginState::Enabled), "it starts at the next login");
}

#[test]
fn macos_switches_are_left_alone() {
    let mut place = Place::new(System::MacOs);
    place.enable(false).unwrap();
    let off = "disabled services = {\n\t\t\"io.github.agent-presence\" => disabled\n\t}\n";
    *place.machine.disabled.borrow_mut() = off.to_owned();
    assert_eq!(place.state(), (Kind::LaunchAgent, LoginState::SwitchedOffByUser));
    let failure = place.enable(true).unwrap_err();
    assert!(failure.contains("launchctl enable gui/501/io.github.agent-presence"), "{failure}");
    *place.machine.disabled.borrow_mut() = off.replace("=> disabled", "=> enabled");
    assert_eq!(place.state(), (Kind::LaunchAgent, LoginState::Enabled));

    place.login.command.program = "/private/var/folders/x/T/AppTranslocation/A-B/d/agent-presence".to_owned();
    let failure = place.enable(true).unwrap_err();
    assert!(failure.contains("hint: move it to another folder"), "{failure}");
}

#[test]
fn a_value_is_written_under_the_run_key() {
    let place = Place::new(System::Windows);
    let switch = (windows::APPROVED.to_owned(), windows::NAME.to_owned());
    assert_eq!(place.state(), (Kind::RunKey, LoginState::Disabled));
    assert_eq!(place.enable(false), Ok((true, false)));
    let line = place.machine.registry_text(windows::RUN, windows::NAME).unwrap().unwrap();
    assert_eq!(line, format!("\"{}\" run", place.login.command.program));
    assert_eq!(place.enable(true), Ok((false, true)));
    assert_eq!(place.machine.asked(), [format!("start {}", place.login.command)]);
    assert_eq!(place.state(), (Kind::RunKey, LoginState::Enabled));

    let off = [3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    place.machine.registry.borrow_mut().insert(switch.clone(), off.to_vec());
    assert_eq!(place.state(), (Kind::RunKey, LoginState::SwitchedOffByUser));
    let failure = place.enable(true).unwrap_err();
    assert!(failure.contains("hint: switch it on in Task Manager"), "{failure}");
    assert_eq!(place.machine.registry_bytes(&switch.0, &switch.1).unwrap().unwrap(), off, "the switch stays");
    place.machine.registry.borrow_mut().insert(switch, vec![2, 0, 0]);
    assert_eq!(place.state(), (Kind::RunKey, LoginState::Enabled));

    assert!(place.disable());
    assert!(!place.disable());
    assert_eq!(place.state(), (Kind::RunKey, LoginState::Disabled));
}
