//! What is written for each channel, and that nothing of it can be out of step unnoticed.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Release, SYSTEMS, VERSION, asset, has, has_python, said, succeed};

const MANIFEST: &str = include_str!("../../../Cargo.toml");

/// Which files name which assets with their sums.
const NAMED: [(&str, &[&str]); 10] = [
    ("install.sh", &SYSTEMS),
    ("install.ps1", &SYSTEMS),
    ("homebrew/agent-presence.rb", &["linux-x64", "linux-arm64", "macos-x64", "macos-arm64"]),
    ("aur/agent-presence-bin/PKGBUILD", &["linux-x64", "linux-arm64"]),
    ("aur/agent-presence-bin/.SRCINFO", &["linux-x64", "linux-arm64"]),
    ("aur/agent-presence/PKGBUILD", &["source"]),
    ("aur/agent-presence/.SRCINFO", &["source"]),
    ("scoop/agent-presence.json", &["windows-x64", "windows-arm64"]),
    ("winget/agent-presence.agent-presence.installer.yaml", &["windows-x64", "windows-arm64"]),
    ("npm/agent-presence/package.json", &[]),
];

#[test]
fn every_channel_names_the_version_and_the_sum_of_what_it_fetches() {
    if !has_python() {
        return;
    }
    let release = Release::new();
    let output = release.generate(&["--all"]);
    assert!(output.status.success(), "{}", said(&output));
    let channels = release.channels();
    for (path, content) in &channels {
        let text = String::from_utf8_lossy(content);
        let has_word = text.split('@').any(|word| {
            word.starts_with(|c: char| c.is_ascii_uppercase())
                && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        });
        assert!(!has_word, "{path} has a word that was not filled in");
        let documents = path.ends_with(".md") || path.ends_with(".js");
        let is_program = content.starts_with(b"#!/bin/sh\nexec");
        assert!(documents || is_program || text.contains(VERSION), "{path} does not name the version");
    }
    for (path, systems) in NAMED {
        let (_, content) = channels.iter().find(|(found, _)| found == path).unwrap();
        let text = String::from_utf8_lossy(content);
        for system in systems {
            let (name, sum) = (asset(system), release.sum_of(system));
            let near = text.match_indices(&name).any(|(at, _)| {
                let around = &text.as_bytes()[at.saturating_sub(80)..(at + name.len() + 180).min(text.len())];
                String::from_utf8_lossy(around).contains(&sum)
            });
            // AUR's files list all sums below all sources.
            assert!(near || path.starts_with("aur/") && text.contains(&sum), "{path}: {name} without {sum}");
        }
        let sums = text.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 64).count();
        assert_eq!(sums, systems.len(), "{path}");
    }
}

#[test]
fn npm_has_one_package_for_each_system_and_one_that_names_them_all() {
    if !has_python() {
        return;
    }
    let release = Release::new();
    assert!(release.generate(&["--all"]).status.success());
    let read = |path: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(release.path(&format!("dist/channels/npm/{path}"))).unwrap())
            .unwrap()
    };
    let wrapper = read("agent-presence/package.json");
    let named = wrapper["optionalDependencies"].as_object().unwrap();
    assert_eq!(named.len(), SYSTEMS.len());
    for system in SYSTEMS {
        let package = read(&format!("{system}/package.json"));
        assert_eq!(package["name"], format!("@agent-presence/{system}"));
        assert_eq!(
            (&package["version"], &named[&format!("@agent-presence/{system}")]),
            (&VERSION.into(), &VERSION.into())
        );
        let (os, cpu) = system.split_once('-').unwrap();
        let os = match os {
            "macos" => "darwin",
            "windows" => "win32",
            os => os,
        };
        assert_eq!((&package["os"], &package["cpu"]), (&serde_json::json!([os]), &serde_json::json!([cpu])));
        // A static program runs with either C library, and npm leaves out what it cannot tell the C library for.
        assert!(package.get("libc").is_none() && package.get("scripts").is_none());
    }
    assert!(wrapper.get("scripts").is_none(), "installing runs nothing");
}

#[test]
fn a_file_out_of_step_is_named() {
    if !has_python() {
        return;
    }
    let release = Release::new();
    assert!(release.generate(&["--all"]).status.success());
    let check = || {
        let output = release.generate(&["--all", "--check"]);
        (output.status.success(), said(&output))
    };
    assert!(check().0, "{}", check().1);

    let channels = release.channels();
    for (path, content) in &channels {
        let changed = [content.as_slice(), b"\n"].concat();
        fs::write(release.path("dist/channels").join(path), changed).unwrap();
    }
    let (is_well, told) = check();
    assert!(!is_well);
    for (path, content) in &channels {
        assert!(told.contains(path.as_str()), "{path} is not in {told}");
        fs::write(release.path("dist/channels").join(path), content).unwrap();
    }
    assert!(check().0);

    fs::remove_file(release.path("dist/channels/install.sh")).unwrap();
    fs::write(release.path("dist/channels/more"), "").unwrap();
    let (is_well, told) = check();
    assert!(!is_well && told.contains("install.sh") && told.contains("more"), "{told}");
    assert!(release.generate(&["--all"]).status.success());

    // Another archive under the same name.
    release.write(&format!("dist/packages/{}", asset("macos-x64")), "built again");
    release.sum();
    let (is_well, told) = check();
    assert!(!is_well && told.contains("homebrew/agent-presence.rb") && !told.contains("scoop"), "{told}");
    assert!(release.generate(&["--all"]).status.success());

    // A new version, and nothing generated for it: what there is are still files of the old one.
    let next = MANIFEST.replacen(&format!("version = \"{VERSION}\""), "version = \"9.9.9\"", 1);
    release.write("Cargo.toml", &next);
    let (is_well, told) = check();
    assert!(!is_well && told.contains("does not list agent-presence-9.9.9-"), "{told}");
}

#[test]
fn a_release_without_one_of_its_files_is_refused() {
    if !has_python() {
        return;
    }
    for system in SYSTEMS.into_iter().chain(["source"]) {
        let release = Release::new();
        fs::remove_file(release.path(&format!("dist/packages/{}", asset(system)))).unwrap();
        release.sum();
        let output = release.generate(&["--all"]);
        assert!(!output.status.success() && said(&output).contains(system), "{system}: {}", said(&output));
        let output = release.generate(&[]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("left out: "), "{}", said(&output));
    }
}

#[test]
fn a_program_that_is_not_the_one_with_the_sum_is_refused() {
    if !has_python() {
        return;
    }
    let release = Release::new();
    release.write("dist/linux/x64/agent-presence", "another one");
    let output = release.generate(&[]);
    assert!(!output.status.success());
    assert!(
        said(&output).contains("linux/x64/agent-presence is not what SHA256SUMS says"),
        "{}",
        said(&output)
    );
}

/// What `cargo binstall` fetches, as it fills in its templates.
#[test]
fn binstall_fetches_what_is_released() {
    let manifest: toml::Table = MANIFEST.parse().unwrap();
    let package = manifest["package"].as_table().unwrap();
    let binstall = package["metadata"]["binstall"].as_table().unwrap();
    let overrides = binstall["overrides"].as_table().unwrap();
    let description: toml::Table = include_str!("../../../packaging/description.toml").parse().unwrap();
    let systems = description["for"].as_array().unwrap();
    assert_eq!(overrides.len(), systems.len());
    for system in systems {
        let (name, target) = (system["name"].as_str().unwrap(), system["target"].as_str().unwrap());
        let own = overrides[target].as_table().unwrap();
        let end = if name.starts_with("windows") { ".exe" } else { "" };
        let fill = |template: &str| {
            template
                .replace("{ name }", "agent-presence")
                .replace("{ version }", VERSION)
                .replace("{ repo }", package["repository"].as_str().unwrap())
                .replace("{ bin }", "agent-presence")
                .replace("{ binary-ext }", end)
        };
        let url = fill(own["pkg-url"].as_str().unwrap());
        assert!(url.ends_with(&format!("/releases/download/v{VERSION}/{}", asset(name))), "{url}");
        let inside = fill(own["bin-dir"].as_str().unwrap());
        assert_eq!(inside, format!("agent-presence-{VERSION}-{name}/agent-presence{end}"));
        assert_eq!(own["pkg-fmt"].as_str().unwrap(), if end.is_empty() { "tgz" } else { "zip" });
    }
    assert!(
        include_str!("../../../packaging/package.sh").contains("name=agent-presence-$VERSION-$os-$arch\n")
    );
}

/// Each text, by the program that reads it in the end, where there is one here.
#[test]
fn every_channels_own_reader_accepts_its_text() {
    if !has_python() {
        return;
    }
    let release = Release::new();
    assert!(release.generate(&["--all"]).status.success());
    let channels = release.path("dist/channels");
    let at = |path: &str| channels.join(path).to_str().unwrap().to_owned();
    succeed(Command::new("sh").args(["-n", &at("install.sh")]));
    let scoop: serde_json::Value =
        serde_json::from_slice(&fs::read(at("scoop/agent-presence.json")).unwrap()).unwrap();
    assert_eq!(scoop["architecture"]["arm64"]["hash"], release.sum_of("windows-arm64"));
    if has("shellcheck", &["--version"]) {
        succeed(Command::new("shellcheck").args(["-s", "sh", &at("install.sh")]));
    }
    if has("ruby", &["--version"]) {
        succeed(Command::new("ruby").args(["-c", &at("homebrew/agent-presence.rb")]));
    }
    if has("node", &["--version"]) {
        succeed(Command::new("node").args(["--check", &at("npm/agent-presence/agent-presence.js")]));
    }
    if has("nix-instantiate", &["--version"]) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in ["flake.nix", "packaging/nix/package.nix"] {
            succeed(Command::new("nix-instantiate").arg("--parse").arg(root.join(file)));
        }
    }
    if has("bash", &["--version"]) {
        for name in ["agent-presence", "agent-presence-bin"] {
            // What `makepkg --printsrcinfo` writes is made of these.
            let script = "source ./PKGBUILD; printf '%s\\n' \"$pkgname\" \"$pkgver\" \"$pkgdesc\" \"$url\" \
                \"${arch[@]}\" \"${license[@]}\" \"${depends[@]}\" \"${makedepends[@]}\" \"${provides[@]}\" \"${conflicts[@]}\" \
                \"${options[@]}\" \"${source[@]}\" \"${sha256sums[@]}\" \"${source_x86_64[@]}\" \"${source_aarch64[@]}\" \
                \"${sha256sums_x86_64[@]}\" \"${sha256sums_aarch64[@]}\"";
            let folder = channels.join("aur").join(name);
            let said = succeed(Command::new("bash").args(["-c", script]).current_dir(&folder));
            let mut package: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
            let info = fs::read_to_string(folder.join(".SRCINFO")).unwrap();
            let mut listed: Vec<&str> =
                info.lines().filter_map(|line| line.split_once(" = ")).map(|(_, value)| value).collect();
            // the package's name stands twice there, its number once more
            package.extend([name, "1"]);
            package.sort_unstable();
            listed.sort_unstable();
            assert_eq!(package, listed, "{name}");
        }
    }
}

#[test]
fn a_packagers_application_id_is_checked() {
    let id = include_str!("../../../packaging/application-id").trim();
    assert!(id.is_empty() || agent_presence::core::config::is_application_id(id), "{id}");
}

#[test]
fn the_images_are_there_under_the_names_that_are_sent() {
    use agent_presence::core::activity::Activity;

    let art = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/art");
    let sent =
        [Activity::Running, Activity::Waiting, Activity::Idle, Activity::LimitReached].map(Activity::icon);
    for name in sent.into_iter().chain(["logo"]) {
        assert!(art.join(format!("{name}.svg")).is_file(), "{name}");
        let image = fs::read(art.join(format!("{name}.png"))).unwrap();
        assert_eq!(image[1..4], *b"PNG", "{name}");
        let side = |at: usize| u32::from_be_bytes(image[at..at + 4].try_into().unwrap());
        assert_eq!((side(16), side(20)), (1024, 1024), "{name}");
    }
}

#[test]
fn every_channel_has_its_row_in_the_table() {
    let table = include_str!("../../../packaging/README.md");
    let script = include_str!("../../../packaging/generate.py");
    let list = script.split("CHANNELS = {").nth(1).unwrap().split("\n}").next().unwrap();
    let channels = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.split_once("\": ["))
        .map(|(name, _)| name);
    let named: Vec<&str> = channels.chain(["npm", "deb", "rpm", "binstall", "mise", "nix"]).collect();
    assert!(named.len() > 10, "{named:?}");
    for channel in named {
        assert!(
            table.contains(&format!("\n| {channel} |")),
            "{channel} is not in the table of packaging/README.md"
        );
    }
}
