//! The packages for npm, from a registry on this machine: what `npm install` and `npx` bring, and that the program in it
//! is run as if it had been called itself.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::server::Server;
use super::{Release, VERSION, has, has_python, said, succeed, this_system};
use crate::support::home::Home;
use crate::support::process::Process;

/// A user with npm, and a registry with every package.
struct Scene {
    home: Home,
    release: Release,
    server: Server,
}

impl Scene {
    /// `None` where a tool is missing.
    fn new() -> Option<Self> {
        if !(has_python() && has("node", &["--version"]) && has("npm", &["--version"])) {
            return None;
        }
        let scene = Self { home: Home::new(), release: Release::new(), server: Server::start() };
        let output = scene.release.generate(&["--all"]);
        assert!(output.status.success(), "{}", said(&output));
        scene.publish();
        Some(scene)
    }

    fn npm(&self, program: &str) -> Command {
        let mut npm = Command::new(program);
        npm.current_dir(self.home.path("."))
            .env("HOME", self.home.path("home"))
            .env("npm_config_registry", &self.server.url)
            .env("npm_config_cache", self.home.path("cache"))
            .env("npm_config_prefix", self.home.path("prefix"))
            .env("npm_config_update_notifier", "false");
        npm
    }

    /// Packs every package as for a registry, and serves it as one does.
    fn publish(&self) {
        let (root, to) = (self.release.path("dist/channels/npm"), self.home.path("tarballs"));
        fs::create_dir_all(&to).unwrap();
        let folders: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
        let packed =
            succeed(self.npm("npm").args(["pack", "--json", "--pack-destination"]).arg(&to).args(&folders));
        let packed: Vec<Value> = serde_json::from_str(&packed).unwrap();
        assert_eq!(packed.len(), folders.len());
        for (folder, packed) in folders.iter().zip(packed) {
            let manifest = fs::read(folder.join("package.json")).unwrap();
            let mut package: Value = serde_json::from_slice(&manifest).unwrap();
            assert_eq!(package["name"], packed["name"]);
            let (name, file) = (packed["name"].as_str().unwrap(), packed["filename"].as_str().unwrap());
            let file = file.replace('@', "").replace('/', "-");
            package["dist"] = json!({
                "tarball": format!("{}/tarballs/{file}", self.server.url),
                "integrity": packed["integrity"],
                "shasum": packed["shasum"],
            });
            let document =
                json!({"name": name, "dist-tags": {"latest": VERSION}, "versions": {VERSION: package}});
            self.server.put(&format!("/{name}"), document.to_string().into_bytes());
            self.server.put(&format!("/tarballs/{file}"), fs::read(to.join(file)).unwrap());
        }
    }

    fn installed(&self) -> PathBuf {
        self.home.path("prefix/bin/agent-presence")
    }

    /// The installed command, in the user's own environment.
    fn start(&self, arguments: &[&str]) -> Process {
        let own = self.home.command("");
        let mut command = Command::new(self.installed());
        command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Process::start(&mut command)
    }
}

#[test]
fn one_command_installs_it_and_it_runs_as_if_called_itself() {
    let Some(scene) = Scene::new() else { return };
    let output =
        scene.npm("npm").args(["install", "--global", "--no-audit", "--no-fund", "agent-presence"]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let packages = scene.home.path("prefix/lib/node_modules/agent-presence/node_modules/@agent-presence");
    let names: Vec<_> = fs::read_dir(packages).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [this_system().as_str()], "the package for this system alone");
    assert!(!scene.home.state().exists(), "installing starts nothing");

    let ended = scene.start(&["--version"]).wait_for_end();
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), format!("agent-presence {VERSION}\n").as_str()));
    for (arguments, code) in [(["stop", "-h"], 0), (["status", "--nonsense"], 2), (["config", "check"], 0)] {
        assert_eq!(scene.start(&arguments).wait_for_end().code, Some(code), "{arguments:?}");
    }
    let ended = scene.start(&["stop"]).wait_for_end();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.starts_with("error: could not stop the daemon: none is running"), "{}", ended.err);

    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let daemon = scene.start(&["run", "--dry-run"]);
        daemon.wait_for_log("started");
        daemon.signal(signal);
        let ended = daemon.wait_for_end();
        assert_eq!(ended.code, Some(0), "{signal:?}: {ended:?}");
        assert_eq!(scene.home.status()["daemon"]["state"], "not_running", "{signal:?}");
    }

    succeed(scene.npm("npm").args(["uninstall", "--global", "agent-presence"]));
    assert!(!scene.installed().exists());
}

#[test]
fn npx_runs_it_without_installing() {
    let Some(scene) = Scene::new() else { return };
    let said = succeed(scene.npm("npx").args(["--yes", "agent-presence", "--version"]));
    assert_eq!(said, format!("agent-presence {VERSION}\n"));
}

#[test]
fn a_program_that_a_signal_ends_looks_so_from_outside() {
    use std::os::unix::process::ExitStatusExt;

    let Some(scene) = Scene::new() else { return };
    let place = format!("dist/channels/npm/{}/agent-presence", this_system());
    let module = scene.release.path("dist/channels/npm/agent-presence/node_modules/@agent-presence");
    scene.release.write(&place, "#!/bin/sh\nkill -KILL $$\n");
    fs::create_dir_all(&module).unwrap();
    let wrapper = scene.release.path("dist/channels/npm/agent-presence/agent-presence.js");
    let run = || Command::new("node").arg(&wrapper).output().unwrap();

    let output = run();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("is missing; optional packages were left out\nhint: install again"),
        "{}",
        said(&output)
    );

    let package = scene.release.path(&format!("dist/channels/npm/{}", this_system()));
    std::os::unix::fs::symlink(package, module.join(this_system())).unwrap();
    assert_eq!(run().status.signal(), Some(9));

    let manifest = scene.release.path("dist/channels/npm/agent-presence/package.json");
    let text = fs::read_to_string(&manifest).unwrap().replace(&this_system(), "plan9-x64");
    fs::write(&manifest, text).unwrap();
    let output = run();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("there is no program for") && said(&output).contains("cargo install"),
        "{}",
        said(&output)
    );
}
