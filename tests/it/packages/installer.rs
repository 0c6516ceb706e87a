//! `install.sh` against a server on this machine: it installs, updates and removes, and what goes wrong changes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use super::server::Server;
use super::{Release, VERSION, asset, has, has_python, program, said, succeed, this_system};
use crate::support::home::Home;

/// A user, and a release that can be downloaded.
struct Scene {
    home: Home,
    release: Release,
    server: Server,
}

impl Scene {
    /// `None` where a tool is missing.
    fn new() -> Option<Self> {
        if !(has_python() && has("curl", &["--version"]) && has("tar", &["--version"])) {
            return None;
        }
        let scene = Self { home: Home::new(), release: Release::new(), server: Server::start() };
        scene.publish(&program());
        Some(scene)
    }

    /// Packs an archive with `program` for this machine, and the installer that names its sum.
    fn publish(&self, program: &str) {
        let folder = format!("agent-presence-{VERSION}-{}", this_system());
        let put = |below: &str, text: &str| self.release.write(&format!("tree/{folder}/{below}"), text);
        put("agent-presence", program);
        put("man/agent-presence.1", "manual");
        for name in ["agent-presence.bash", "agent-presence.fish", "_agent-presence"] {
            put(&format!("completions/{name}"), name);
        }
        let archive = self.release.path(&format!("dist/packages/{}", asset(&this_system())));
        succeed(
            Command::new("tar")
                .arg("-czf")
                .arg(&archive)
                .arg("-C")
                .arg(self.release.path("tree"))
                .arg(folder),
        );
        self.release.sum();
        let output = self.release.generate(&["--url", &self.server.url]);
        assert!(output.status.success(), "{}", super::said(&output));
        self.server.put(&format!("/{}", asset(&this_system())), fs::read(archive).unwrap());
    }

    fn command(&self) -> Command {
        let mut command = self.home.command("");
        let mut installer = Command::new("sh");
        for (name, value) in command.get_envs() {
            installer.env(name, value.unwrap_or_default());
        }
        drop(std::mem::replace(&mut command, Command::new("true")));
        installer.env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir(self.release.path("."));
        installer
    }

    fn install(&self, arguments: &[&str]) -> Output {
        self.command().arg(self.release.path("dist/channels/install.sh")).args(arguments).output().unwrap()
    }

    /// What is below `~/.local`.
    fn installed(&self) -> Vec<String> {
        let mut found = Vec::new();
        list(&self.home.path("home/.local"), "", &mut found);
        found.sort();
        found
    }

    #[track_caller]
    fn refuses(&self, output: &Output, expected: &str, before: &[String]) {
        assert_eq!(output.status.code(), Some(1), "{}", said(output));
        let told = said(output);
        assert!(told.contains("error: ") && told.contains("hint: ") && told.contains(expected), "{told}");
        assert_eq!(self.installed(), before, "{told}");
    }
}

fn list(folder: &Path, below: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = format!("{below}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), &format!("{name}/"), found);
        } else {
            found.push(name);
        }
    }
}

const ALL: [&str; 5] = [
    "bin/agent-presence",
    "share/bash-completion/completions/agent-presence",
    "share/fish/vendor_completions.d/agent-presence.fish",
    "share/man/man1/agent-presence.1",
    "share/zsh/site-functions/_agent-presence",
];

#[test]
fn it_installs_updates_and_removes() {
    let Some(scene) = Scene::new() else { return };
    let output = scene.install(&[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(scene.installed(), ALL);
    let program = scene.home.path("home/.local/bin/agent-presence");
    let told = said(&output);
    assert!(
        told.contains(&format!("agent-presence {VERSION} is installed: {}\n", program.display())),
        "{told}"
    );
    assert!(told.contains("bin is not in PATH; add it"), "{told}");
    assert!(told.ends_with(&format!("next: {} setup\n", program.display())), "{told}");
    assert_eq!(succeed(Command::new(&program).arg("--version")), format!("agent-presence {VERSION}\n"));
    assert!(!scene.home.state().exists(), "installing starts nothing");

    // Again, over one that runs.
    let daemon = {
        let mut command = scene.home.command("");
        let environment: Vec<_> =
            command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
        command = Command::new(&program);
        command.args(["run", "--dry-run"]).env_clear();
        command.envs(environment.into_iter().filter_map(|(name, value)| Some((name, value?))));
        crate::support::process::Process::start(&mut command)
    };
    daemon.wait_for_log("started");
    let output = scene.install(&[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains(&format!("agent-presence {VERSION} is now {VERSION}: ")),
        "{}",
        said(&output)
    );
    assert!(daemon.is_running());

    scene.home.output("autostart enable --no-start");
    let output = scene.install(&["--uninstall", "--purge"]);
    assert!(output.status.success(), "{}", said(&output));
    let told = said(&output);
    assert!(
        told.contains("the daemon is stopped\n") && told.contains("launch at login is disabled\n"),
        "{told}"
    );
    assert!(told.ends_with(&format!("removed: {}\n", program.display())), "{told}");
    assert_eq!(daemon.wait_for_end().code, Some(0));
    assert_eq!(scene.installed(), [""; 0]);
    assert!(!scene.home.state().exists() && !scene.home.config().exists());
    scene.refuses(&scene.install(&["--uninstall"]), "agent-presence is not there", &[]);
}

#[test]
fn another_prefix_has_to_be_named_again_at_removal() {
    let Some(scene) = Scene::new() else { return };
    let prefix = scene.home.path("some where");
    let output = scene.install(&["--prefix", prefix.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(prefix.join(ALL[0]).exists() && scene.installed().is_empty());
    scene.refuses(&scene.install(&["--uninstall"]), "if it was installed elsewhere: --prefix DIR", &[]);
    let output = scene.install(&["--uninstall", "--prefix", prefix.to_str().unwrap()]);
    assert!(output.status.success() && !prefix.join(ALL[0]).exists(), "{}", said(&output));
}

#[test]
fn a_download_with_another_sum_changes_nothing() {
    let Some(scene) = Scene::new() else { return };
    let path = format!("/{}", asset(&this_system()));
    scene.server.put(&path, b"something else".to_vec());
    scene.refuses(&scene.install(&[]), "is not what was released: its sum is ", &[]);

    // An update that fails leaves the old program as it was.
    scene.publish(&program());
    assert!(scene.install(&[]).status.success());
    let program = scene.home.path("home/.local/bin/agent-presence");
    let before = fs::read(&program).unwrap();
    scene.server.put(&path, b"something else".to_vec());
    let all: Vec<String> = ALL.map(str::to_owned).to_vec();
    scene.refuses(&scene.install(&[]), "nothing was changed", &all);
    assert_eq!(fs::read(&program).unwrap(), before);
    scene.publish("#!/bin/sh\nexit 126\n");
    scene.refuses(&scene.install(&[]), "the program does not run on this machine", &all);
    assert_eq!(fs::read(&program).unwrap(), before);
}

#[test]
fn a_download_that_is_cut_or_missing_changes_nothing() {
    let Some(scene) = Scene::new() else { return };
    scene.server.cut();
    scene.refuses(&scene.install(&[]), "could not download", &[]);
    let Some(scene) = Scene::new() else { return };
    let text = fs::read_to_string(scene.release.path("dist/channels/install.sh")).unwrap();
    let gone =
        text.replace(&format!("URL='{}'", scene.server.url), &format!("URL='{}/gone'", scene.server.url));
    scene.release.write("dist/channels/install.sh", &gone);
    scene.refuses(&scene.install(&[]), "could not download", &[]);
}

#[test]
fn without_permission_it_names_the_folder_and_another_way() {
    let Some(scene) = Scene::new() else { return };
    let file = scene.home.path("a file");
    fs::write(&file, "").unwrap();
    let below = file.join("prefix");
    scene.refuses(
        &scene.install(&["--prefix", below.to_str().unwrap()]),
        "name another place: --prefix DIR",
        &[],
    );

    // Permissions do not hold root back: there it is done as another user.
    let closed = scene.home.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = scene.command();
    if rustix::process::geteuid().is_root() {
        if !has("setpriv", &["--version"]) {
            return;
        }
        for folder in [scene.home.path("."), scene.release.path(".")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut other = Command::new("setpriv");
        other.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh"]);
        for (name, value) in command.get_envs() {
            other.env(name, value.unwrap_or_default());
        }
        command = other;
    }
    let output = command
        .arg(scene.release.path("dist/channels/install.sh"))
        .arg("--prefix")
        .arg(&closed)
        .output()
        .unwrap();
    scene.refuses(&output, &format!("could not create {}/bin", closed.display()), &[]);
    assert_eq!(fs::read_dir(&closed).unwrap().count(), 0);
}

#[test]
fn an_unknown_machine_is_told_other_ways_to_install() {
    let Some(scene) = Scene::new() else { return };
    for (system, machine, name) in
        [("Linux", "riscv64", "linux-riscv64"), ("FreeBSD", "amd64", "FreeBSD-x64")]
    {
        let uname = format!("#!/bin/sh\ncase $1 in -s) echo {system} ;; -m) echo {machine} ;; esac\n");
        scene.release.write("shims/uname", &uname);
        let mut command = scene.command();
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", scene.release.path("shims").display());
        let output =
            command.env("PATH", path).arg(scene.release.path("dist/channels/install.sh")).output().unwrap();
        scene.refuses(
            &output,
            &format!("there is no program for {name}\nhint: build it: cargo install"),
            &[],
        );
    }
}

#[test]
fn a_wrong_option_names_the_right_ones() {
    let Some(scene) = Scene::new() else { return };
    scene.refuses(&scene.install(&["--folder", "x"]), "unknown option --folder", &[]);
    let output = scene.install(&["--purge"]);
    assert!(!output.status.success() && said(&output).contains("--purge goes with --uninstall"));
    assert!(scene.installed().is_empty());
}

/// `curl … | sh` may run what has arrived so far.
#[test]
fn a_script_cut_in_half_does_nothing() {
    let Some(scene) = Scene::new() else { return };
    let text = fs::read_to_string(scene.release.path("dist/channels/install.sh")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for end in (1..lines.len()).step_by(7).chain([lines.len() - 1]) {
        let part = lines[..end].join("\n");
        let output = scene.command().args(["-c", &part]).output().unwrap();
        assert!(scene.installed().is_empty(), "the first {end} lines did something: {}", said(&output));
        assert!(!String::from_utf8_lossy(&output.stdout).contains("downloading"), "{end}");
    }
}
