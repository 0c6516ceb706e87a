//! Finding Discord clients, and noticing them come and go.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_presence::core::publish::Endpoint;
use agent_presence::core::settings::Clients;
use agent_presence::io::discord::endpoints::{EndpointDirs, client_name, discover, watch_dirs};
use agent_presence::io::discord::watcher::{EndpointEvent, EndpointWatcher};
use tempfile::{TempDir, tempdir};

const PATIENCE: Duration = Duration::from_secs(20);

/// Leaves a socket file behind, which is all that looking for clients looks at.
fn socket(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    drop(UnixListener::bind(path).unwrap());
    path.to_str().unwrap().to_owned()
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let real = fs::canonicalize(folder.path()).unwrap();
    (folder, real)
}

fn places(bases: &[&Path]) -> EndpointDirs {
    let bases = bases.iter().map(|base| base.to_path_buf()).collect();
    EndpointDirs { bases, user: rustix::process::getuid().as_raw() }
}

fn found(places: &EndpointDirs) -> Vec<(String, String)> {
    let all = discover(places, &Clients::All);
    all.into_iter().map(|found| (found.endpoint.0, found.client)).collect()
}

fn expected<const N: usize>(list: [(String, &str); N]) -> Vec<(String, String)> {
    list.map(|(endpoint, client)| (endpoint, client.to_owned())).into()
}

#[test]
fn every_place_is_found_in_order() {
    let (_folder, run) = folder();
    let (_folder, temp) = folder();
    let sockets = [
        (socket(run.join("discord-ipc-0")), "Discord"),
        (socket(run.join("discord-ipc-9")), "Discord"),
        (socket(run.join("app/com.discordapp.DiscordCanary/discord-ipc-0")), "Discord Canary"),
        (socket(run.join("app/dev.vencord.Vesktop/discord-ipc-0")), "Vesktop"),
        (socket(run.join("snap.discord/discord-ipc-0")), "Discord"),
        (socket(run.join(".flatpak/io.github.equicord.equibop/xdg-run/discord-ipc-0")), "Equibop"),
        (socket(temp.join("discord-ipc-1")), "Discord"),
    ];
    for other in ["discord-ipc-10", "discord-ipc-", "discord-ipc-x", "other"] {
        socket(run.join(other));
    }
    fs::write(run.join("discord-ipc-2"), "a file is no socket").unwrap();
    fs::create_dir(run.join("discord-ipc-3")).unwrap();
    assert_eq!(found(&places(&[&run, &temp, Path::new("/nonexistent")])), expected(sockets));
}

#[test]
fn two_ways_to_a_socket_are_one_client() {
    let (_folder, run) = folder();
    let (_folder, other) = folder();
    socket(run.join("app/com.discordapp.DiscordPTB/discord-ipc-0"));
    symlink(run.join("app/com.discordapp.DiscordPTB/discord-ipc-0"), run.join("discord-ipc-0")).unwrap();
    symlink(run.join("gone"), run.join("discord-ipc-1")).unwrap();
    symlink(&run, other.join("same")).unwrap();
    let link = run.join("discord-ipc-0").to_str().unwrap().to_owned();
    assert_eq!(found(&places(&[&run, &other.join("same"), &run])), expected([(link, "Discord PTB")]));
}

#[test]
fn in_world_writable_folders_only_own_sockets_count() {
    let (_folder, open) = folder();
    let own = socket(open.join("discord-ipc-0"));
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    let mine = places(&[&open]);
    assert_eq!(found(&mine), expected([(own, "Discord")]));
    assert_eq!(found(&EndpointDirs { user: mine.user + 1, ..mine.clone() }), []);
    assert_eq!(watch_dirs(&mine, &Clients::All), Vec::<PathBuf>::new());

    fs::set_permissions(&open, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(found(&EndpointDirs { user: mine.user + 1, ..mine.clone() }).len(), 1);
    assert_eq!(watch_dirs(&mine, &Clients::All), [open]);
}

#[test]
fn clients_named_by_the_user_are_those_and_no_others() {
    let (_folder, run) = folder();
    let here = socket(run.join("discord-ipc-0"));
    let absent = run.join("app/dev.vencord.Vesktop/discord-ipc-0").to_str().unwrap().to_owned();
    socket(run.join("discord-ipc-1"));
    let only = Clients::Only(vec![absent.clone(), here.clone(), here.clone()]);
    let found: Vec<_> =
        discover(&places(&[&run]), &only).into_iter().map(|f| (f.endpoint.0, f.client)).collect();
    assert_eq!(found, expected([(absent, "Vesktop"), (here, "Discord")]));
    assert_eq!(watch_dirs(&places(&[]), &only), [run]);
}

#[test]
fn folders_with_sockets_in_them_are_watched_and_no_others() {
    let (_folder, run) = folder();
    for name in ["app/com.discordapp.Discord", "snap.discord", ".flatpak/id/xdg-run", "dconf", "app/x/y"] {
        fs::create_dir_all(run.join(name)).unwrap();
    }
    let missing = run.join("not/yet");
    let watched = watch_dirs(&places(&[&run, &missing]), &Clients::All);
    let expected = [
        "",
        ".flatpak",
        ".flatpak/id",
        ".flatpak/id/xdg-run",
        "app",
        "app/com.discordapp.Discord",
        "app/x",
        "snap.discord",
    ];
    let expected: Vec<PathBuf> = expected.iter().map(|name| run.join(name).components().collect()).collect();
    assert_eq!(watched, expected);
}

#[test]
fn places_come_from_the_environment_and_from_what_is_usual() {
    let places = EndpointDirs::new(|name| match name {
        "XDG_RUNTIME_DIR" => Some("/run/user/4711".into()),
        "TMPDIR" | "TEMP" => Some("/var/scratch".into()),
        "TMP" => Some("relative".into()),
        _ => None,
    });
    let at = |path: &str| places.bases.iter().position(|base| base == Path::new(path)).unwrap();
    assert_eq!(at("/run/user/4711"), 0);
    assert!(at("/var/scratch") < at("/tmp"));
    assert_eq!(places.bases.last().unwrap(), Path::new("/tmp"));
    assert!(places.bases.iter().all(|base| base.is_absolute()));
    assert_eq!(places.bases.iter().filter(|base| *base == Path::new("/var/scratch")).count(), 1);
}

#[test]
fn clients_have_names_for_people() {
    for (endpoint, name) in [
        ("/run/user/1000/discord-ipc-0", "Discord"),
        ("/tmp/discord-ipc-3", "Discord"),
        ("/run/user/1000/app/com.discordapp.Discord/discord-ipc-0", "Discord"),
        ("/run/user/1000/app/app.legcord.Legcord/discord-ipc-0", "Legcord"),
        ("/run/user/1000/app/xyz.armcord.ArmCord/discord-ipc-0", "ArmCord"),
        ("/run/user/1000/app/io.github.equicord.equibop/discord-ipc-0", "Equibop"),
        ("/run/user/1000/.flatpak/dev.vencord.Vesktop/xdg-run/discord-ipc-0", "Vesktop"),
        ("/run/user/1000/snap.discord-canary/discord-ipc-0", "Discord Canary"),
        ("/run/user/1000/snap.some-client/discord-ipc-0", "Some client"),
        (r"\\.\pipe\discord-ipc-0", "Discord"),
        ("discord-ipc-0", "Discord"),
        ("", "Discord"),
    ] {
        assert_eq!(client_name(endpoint), name, "{endpoint}");
    }
}

/// Follows what a watcher says.
struct Watch {
    runtime: tokio::runtime::Runtime,
    watcher: EndpointWatcher,
}

impl Watch {
    fn new(places: EndpointDirs, clients: Clients) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let entered = runtime.enter();
        let watcher = EndpointWatcher::new(places, clients);
        drop(entered);
        Self { runtime, watcher }
    }

    #[track_caller]
    fn expect(&mut self, expected: &EndpointEvent) {
        let watcher = &mut self.watcher;
        let next = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, watcher.next()).await });
        assert_eq!(next.as_ref(), Ok(expected));
    }
}

fn is_found(endpoint: &str, client: &str) -> EndpointEvent {
    EndpointEvent::Found(Endpoint(endpoint.to_owned()), client.to_owned())
}

fn gone(endpoint: &str) -> EndpointEvent {
    EndpointEvent::Gone(Endpoint(endpoint.to_owned()))
}

fn renewed(endpoint: &str) -> EndpointEvent {
    EndpointEvent::Renewed(Endpoint(endpoint.to_owned()), "Discord".to_owned())
}

#[test]
fn clients_that_come_and_go_are_noticed() {
    let (_folder, run) = folder();
    let first = socket(run.join("discord-ipc-0"));
    let mut watch = Watch::new(places(&[&run]), Clients::All);
    watch.expect(&is_found(&first, "Discord"));
    let second = socket(run.join("discord-ipc-1"));
    watch.expect(&is_found(&second, "Discord"));
    fs::remove_file(&first).unwrap();
    watch.expect(&gone(&first));
}

#[test]
fn a_new_socket_at_the_same_path_is_news() {
    let (_folder, run) = folder();
    let path = socket(run.join("discord-ipc-0"));
    let mut watch = Watch::new(places(&[&run]), Clients::All);
    watch.expect(&is_found(&path, "Discord"));
    fs::remove_file(&path).unwrap();
    socket(&path);
    watch.expect(&renewed(&path));
}

#[test]
fn folders_that_come_later_are_followed_down_to_the_socket() {
    let (_folder, root) = folder();
    let run = root.join("run/user/4711");
    let mut watch = Watch::new(places(&[&run]), Clients::All);
    let flatpak = socket(run.join("app/com.discordapp.Discord/discord-ipc-0"));
    watch.expect(&is_found(&flatpak, "Discord"));
    let snap = socket(run.join("snap.discord-ptb/discord-ipc-0"));
    watch.expect(&is_found(&snap, "Discord PTB"));

    // The application's folder goes and comes with it.
    fs::remove_dir_all(run.join("app")).unwrap();
    watch.expect(&gone(&flatpak));
    socket(&flatpak);
    watch.expect(&is_found(&flatpak, "Discord"));
    let second = socket(run.join("app/com.discordapp.Discord/discord-ipc-1"));
    watch.expect(&is_found(&second, "Discord"));
}

#[test]
fn a_client_named_by_the_user_is_reported_before_it_is_there_and_when_it_comes() {
    let (_folder, run) = folder();
    let path = run.join("elsewhere/bridge.sock");
    let name = path.to_str().unwrap();
    let mut watch = Watch::new(places(&[]), Clients::Only(vec![name.to_owned()]));
    watch.expect(&is_found(name, "Discord"));
    socket(&path);
    watch.expect(&renewed(name));
}

#[test]
fn other_clients_can_be_chosen_while_watching() {
    let (_folder, run) = folder();
    let first = socket(run.join("discord-ipc-0"));
    let second = socket(run.join("discord-ipc-1"));
    let mut watch = Watch::new(places(&[&run]), Clients::All);
    watch.expect(&is_found(&first, "Discord"));
    watch.expect(&is_found(&second, "Discord"));
    watch.watcher.set_clients(Clients::Only(vec![second.clone()]));
    watch.expect(&gone(&first));
    watch.watcher.set_clients(Clients::All);
    watch.expect(&is_found(&first, "Discord"));
}

#[test]
fn folders_that_cannot_be_watched_are_looked_at_when_the_last_link_goes() {
    let (_folder, open) = folder();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    let mut watch = Watch::new(places(&[&open]), Clients::All);
    watch.watcher.set_any_link_up(true);
    let path = socket(open.join("discord-ipc-0"));
    watch.watcher.set_any_link_up(false);
    watch.expect(&is_found(&path, "Discord"));
}

#[test]
fn a_rescan_finds_sockets_that_no_watcher_reported() {
    let (_folder, run) = folder();
    let (_folder, open) = folder();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    let mut watch = Watch::new(places(&[&run, &open]), Clients::All);
    watch.watcher.set_any_link_up(true);
    watch.watcher.check_unwatched(false);
    let second = socket(open.join("discord-ipc-1"));
    watch.watcher.check_unwatched(true);
    watch.expect(&is_found(&second, "Discord"));
    fs::remove_file(&second).unwrap();
    socket(&second);
    watch.watcher.check_unwatched(true);
    watch.expect(&renewed(&second));
    fs::remove_file(&second).unwrap();
    watch.watcher.check_unwatched(true);
    watch.expect(&gone(&second));
}
