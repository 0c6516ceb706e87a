//! What the watch on the settings file notices, and what it does not.

use std::fs;
use std::path::Path;
use std::time::Duration;

use agent_presence::cmd::daemon::settings::watch::SettingsWatch;
use agent_presence::core::config::{ConfigContext, Effective};
use agent_presence::io::config_file::{Chosen, ConfigFile};

use crate::support::PATIENCE;

fn level(level: &str) -> String {
    format!("[log]\nlevel = \"{level}\"\n")
}

fn watch(path: &Path) -> SettingsWatch {
    let file = ConfigFile { path: path.to_owned(), chosen: Chosen::Default };
    let read = file.read(&ConfigContext::default());
    SettingsWatch::new(file, ConfigContext::default(), read)
}

/// The level in the next settings.
async fn next(watch: &mut SettingsWatch) -> String {
    let next: Effective = tokio::time::timeout(PATIENCE, watch.next()).await.expect("a change in time");
    next.settings.log.level
}

/// Lets the watch have a look at what there was before, which is no news.
async fn settle(watch: &mut SettingsWatch) {
    let news = tokio::time::timeout(Duration::from_millis(1), watch.next()).await;
    assert!(news.is_err(), "{news:?}");
}

#[tokio::test]
async fn a_change_before_the_first_look_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let mut watch = watch(&path);
    fs::write(&path, level("warn")).unwrap();
    assert_eq!(next(&mut watch).await, "warn");
}

#[tokio::test]
async fn the_same_content_is_no_news() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, level("warn")).unwrap();
    let mut watch = watch(&path);
    settle(&mut watch).await;
    fs::write(&path, level("warn")).unwrap();
    fs::write(folder.path().join("neighbour.toml"), level("error")).unwrap();
    settle(&mut watch).await;
    fs::write(&path, level("debug")).unwrap();
    assert_eq!(next(&mut watch).await, "debug");
    fs::remove_file(&path).unwrap();
    assert_eq!(next(&mut watch).await, "info", "the default");
}

#[tokio::test]
async fn a_file_that_is_being_written_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, level("warn")).unwrap();
    let mut watch = watch(&path);
    settle(&mut watch).await;
    // Truncated, then written: what is read is never the empty file.
    fs::write(&path, "").unwrap();
    settle(&mut watch).await;
    fs::write(&path, level("debug")).unwrap();
    assert_eq!(next(&mut watch).await, "debug");
}

#[tokio::test]
async fn a_wait_given_up_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let mut watch = watch(&path);
    settle(&mut watch).await;
    fs::write(&path, level("debug")).unwrap();
    for _ in 0..20 {
        if let Ok(read) = tokio::time::timeout(Duration::from_millis(20), watch.next()).await {
            assert_eq!(read.settings.log.level, "debug");
            return;
        }
    }
    assert_eq!(next(&mut watch).await, "debug");
}

#[tokio::test]
async fn a_folder_is_made_step_by_step_and_replaced() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("one/two");
    let path = folder.join("config.toml");
    let mut watch = watch(&path);
    settle(&mut watch).await;
    fs::create_dir(root.path().join("one")).unwrap();
    tokio::time::timeout(Duration::from_millis(300), watch.next()).await.unwrap_err();
    fs::create_dir(&folder).unwrap();
    tokio::time::timeout(Duration::from_millis(300), watch.next()).await.unwrap_err();
    fs::write(&path, level("debug")).unwrap();
    assert_eq!(next(&mut watch).await, "debug");

    // Another folder takes its place in one step.
    let other = root.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("config.toml"), level("warn")).unwrap();
    fs::rename(&folder, root.path().join("old")).unwrap();
    fs::rename(&other, &folder).unwrap();
    assert_eq!(next(&mut watch).await, "warn");
    fs::write(&path, level("error")).unwrap();
    assert_eq!(next(&mut watch).await, "error");
}

#[cfg(unix)]
#[tokio::test]
async fn every_link_on_the_way_counts() {
    use std::os::unix::fs::symlink;

    // As a file that is mounted from elsewhere: `config.toml` → `data/config.toml`, `data` → `version-1`.
    let root = tempfile::tempdir().unwrap();
    for (version, value) in [("version-1", "warn"), ("version-2", "debug")] {
        fs::create_dir(root.path().join(version)).unwrap();
        fs::write(root.path().join(version).join("config.toml"), level(value)).unwrap();
    }
    symlink("version-1", root.path().join("data")).unwrap();
    fs::create_dir(root.path().join("config")).unwrap();
    let path = root.path().join("config/config.toml");
    symlink("../data/config.toml", &path).unwrap();
    let mut watch = watch(&path);
    settle(&mut watch).await;

    symlink("version-2", root.path().join("new")).unwrap();
    fs::rename(root.path().join("new"), root.path().join("data")).unwrap();
    assert_eq!(next(&mut watch).await, "debug");
    fs::write(root.path().join("version-2/config.toml"), level("error")).unwrap();
    assert_eq!(next(&mut watch).await, "error");
    fs::remove_file(&path).unwrap();
    fs::write(&path, level("trace")).unwrap();
    assert_eq!(next(&mut watch).await, "trace");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_pipe_is_read_once() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let file = ConfigFile { path, chosen: Chosen::Named };
    let read = Effective::read(&level("debug"), &ConfigContext::default());
    let mut watch = SettingsWatch::new(file, ConfigContext::default(), read);
    settle(&mut watch).await;
}
