//! A rule holds for every way to write its folder: links, worktrees and settings on a real file system.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use agent_presence::core::privacy::FolderQuestion;
use agent_presence::io::clock;
use agent_presence::io::real_path::locate;
use serde_json::Value;

use crate::sim::codex::{About, Codex, Counters, Source};
use crate::support::program::{Home, text};

/// Every name may be on the card, but for the folders of `rules`.
fn settings(home: &Home, rules: &[(&str, &str)]) {
    let mut text = "[privacy]\nproject = true\n".to_owned();
    for (path, show) in rules {
        text.push_str(&format!("[[privacy.rule]]\npath = '{path}'\nshow = {show:?}\n"));
    }
    let folder = home.path().join("config/agent-presence");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), text).unwrap();
}

/// A session at work in each of these folders, one after the other.
fn session(home: &Home, folders: &[&str]) {
    let now = clock::now().wall;
    let id = "01a158c0-e900-7148-88f8-ffffffffffff".to_owned();
    let about = About { id, cwd: folders[0].to_owned(), branch: "main".to_owned(), source: Source::Cli };
    let mut codex = Codex::new(about);
    let mut lines = codex.meta(now);
    for folder in folders {
        (*folder).clone_into(&mut codex.about.cwd);
        lines += &codex.context(now, "gpt-5.6-sol");
    }
    lines += &codex.turn(now);
    lines += &codex.usage(now, Counters { input: 1000, cached: 0, output: 200, reasoning: 0 }, None);
    let day = home.path().join(".codex/sessions/2026/11/20");
    fs::create_dir_all(&day).unwrap();
    fs::write(day.join("rollout-2026-11-20T10-00-00-01a158c0-e900-7148-88f8-ffffffffffff.jsonl"), lines)
        .unwrap();
}

/// The card's first line, or why there is none.
fn card(home: &Home) -> String {
    let output = home.run(&["status", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let preview = text(&home.run(&["preview"]).stdout);
    match report["card"]["details"].as_str() {
        Some(details) => {
            assert!(preview.contains(details), "{preview}");
            details.to_owned()
        }
        None => report["no_card"].as_str().unwrap_or_default().to_owned(),
    }
}

fn make(home: &Home, folder: &str) -> String {
    let path = home.path().join(folder);
    fs::create_dir_all(&path).unwrap();
    path.to_str().unwrap().to_owned()
}

fn link(home: &Home, name: &str, target: impl AsRef<Path>) -> String {
    let path = home.path().join(name);
    symlink(target, &path).unwrap();
    path.to_str().unwrap().to_owned()
}

#[track_caller]
fn check(prepare: impl FnOnce(&Home) -> (String, String), expected: &str) {
    let home = Home::new();
    let (rule, folder) = prepare(&home);
    settings(&home, &[(&rule, "hide")]);
    session(&home, &[&folder]);
    assert_eq!(card(&home), expected, "{rule} for {folder}");
}

#[test]
fn a_link_hides_what_it_leads_to() {
    // The rule's folder is a link.
    check(
        |home| {
            let acme = make(home, "data/clients/acme");
            (format!("{}/**", link(home, "clients", "data/clients")), acme)
        },
        "hidden",
    );
    // The session's is.
    check(
        |home| {
            make(home, "clients/acme");
            ("~/clients".to_owned(), link(home, "current", "clients/acme"))
        },
        "hidden",
    );
    // Both are, above.
    check(
        |home| {
            make(home, "var/home/clients/acme");
            let one = link(home, "one", "var/home");
            (format!("{one}/clients"), format!("{}/clients/acme", link(home, "two", "one")))
        },
        "hidden",
    );
    // A folder that is gone has the links that are left.
    check(
        |home| {
            make(home, "data");
            (
                format!("{}/clients", link(home, "work", "data")),
                format!("{}/data/clients/x", home.path().display()),
            )
        },
        "hidden",
    );
}

#[test]
fn a_link_within_a_hidden_folder_hides_where_it_leads() {
    for rule in ["~/clients/**", "~/clients", "~/clients/*", "~/*/acme", "~/clients/ac??/**"] {
        check(
            |home| {
                make(home, "clients");
                let acme = make(home, "data/acme");
                link(home, "clients/acme", "../data/acme");
                (rule.to_owned(), acme)
            },
            "hidden",
        );
    }
    check(
        |home| {
            make(home, "clients/some/deeper");
            let acme = make(home, "data/acme/src");
            link(home, "clients/some/deeper/acme", home.path().join("data/acme"));
            ("~/clients/**".to_owned(), acme)
        },
        "hidden",
    );
    // What `*` does not cover is not covered behind a link.
    check(
        |home| {
            make(home, "clients");
            let below = make(home, "data/acme/src");
            link(home, "clients/acme", "../data/acme");
            ("~/clients/*".to_owned(), below)
        },
        "Thinking in src · GPT-5.6 Sol",
    );
}

#[test]
fn a_link_shows_nothing_more_and_widens_no_rule() {
    let home = Home::new();
    let (app, private) = (make(&home, "app"), make(&home, "private/app"));
    for folder in ["open", "clients"] {
        make(&home, folder);
    }
    link(&home, "open/here", "../private");
    link(&home, "clients/all", "/");
    link(&home, "clients/home", "..");
    settings(&home, &[("~/open", "full"), ("~/clients", "hide"), ("~/private", "generic")]);
    session(&home, &[&private]);
    assert_eq!(card(&home), "Thinking · GPT-5.6 Sol");
    session(&home, &[&app]);
    assert_eq!(card(&home), "Thinking in app · GPT-5.6 Sol");
}

#[test]
fn dot_dot_behind_a_link_is_resolved_as_the_system_does() {
    check(
        |home| {
            make(home, "clients/acme");
            ("~/clients/other".to_owned(), format!("{}/../other", link(home, "acme", "clients/acme")))
        },
        "hidden",
    );
    check(
        |home| {
            make(home, "clients/acme");
            link(home, "acme", "clients/acme");
            ("~/acme/../other/**".to_owned(), make(home, "clients/other/app"))
        },
        "hidden",
    );
}

#[test]
fn a_link_is_found_however_its_accents_are_written() {
    for (rule, name) in [("~/caf\u{e9}", "cafe\u{301}"), ("~/cafe\u{301}/**", "caf\u{e9}")] {
        check(
            |home| {
                make(home, "clients/acme");
                link(home, name, "clients");
                (rule.to_owned(), home.path().join("clients/acme").to_str().unwrap().to_owned())
            },
            "hidden",
        );
    }
}

#[test]
fn other_folders_are_shown() {
    check(
        |home| {
            make(home, "clients");
            ("~/clients".to_owned(), make(home, "open/clients2"))
        },
        "Thinking in clients2 · GPT-5.6 Sol",
    );
    // On another machine: nothing of it is here.
    check(|_| ("~/clients".to_owned(), "/nowhere/app".to_owned()), "Thinking in app · GPT-5.6 Sol");
}

/// As git writes them.
fn worktree(home: &Home, repository: &str, worktree: &str) -> String {
    let repository = PathBuf::from(make(home, repository));
    let worktree = PathBuf::from(make(home, worktree));
    let git = if repository.extension().is_some() { repository.clone() } else { repository.join(".git") };
    let own = git.join("worktrees/wt");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("commondir"), "../..\n").unwrap();
    fs::write(worktree.join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
    worktree.to_str().unwrap().to_owned()
}

#[test]
fn a_worktree_is_under_the_rules_of_its_repository() {
    check(|home| ("~/clients/**".to_owned(), worktree(home, "clients/acme", "wt")), "hidden");
    check(
        |home| ("~/clients/acme".to_owned(), worktree(home, "clients/acme.git", "wt")),
        "Thinking in wt · GPT-5.6 Sol",
    );
    check(|home| ("~/clients/*".to_owned(), worktree(home, "clients/acme.git", "wt")), "hidden");
    check(
        |home| {
            let worktree = worktree(home, "clients/acme", "wt");
            ("~/clients/acme/src".to_owned(), make(home, &format!("{worktree}/src")))
        },
        "hidden",
    );
    // Removed from the repository, but not from the disk.
    check(
        |home| {
            let worktree = worktree(home, "clients/acme", "wt");
            fs::remove_dir_all(home.path().join("clients/acme/.git/worktrees")).unwrap();
            ("~/clients".to_owned(), worktree)
        },
        "hidden",
    );
    // A repository of its own, or a submodule, within the worktree.
    for is_submodule in [false, true] {
        check(
            |home| {
                let inner =
                    PathBuf::from(make(home, &format!("{}/lib", worktree(home, "clients/acme", "wt"))));
                if is_submodule {
                    let named = "gitdir: ../../clients/acme/.git/worktrees/wt/modules/lib\n";
                    fs::write(inner.join(".git"), named).unwrap();
                } else {
                    fs::create_dir(inner.join(".git")).unwrap();
                }
                ("~/clients".to_owned(), inner.to_str().unwrap().to_owned())
            },
            "hidden",
        );
    }
    // Of a repository whose name has its accents apart.
    check(|home| ("~/clients".to_owned(), worktree(home, "clients/cafe\u{301}", "wt")), "hidden");
    // A rule for a worktree is not one for its repository.
    check(
        |home| {
            let rule = worktree(home, "clients/acme", "wt");
            (rule, home.path().join("clients/acme").to_str().unwrap().to_owned())
        },
        "Thinking in acme · GPT-5.6 Sol",
    );
    check(|home| ("~/app".to_owned(), make(home, "app/.claude/worktrees/fluffy-cat")), "hidden");
}

#[test]
fn a_broken_git_file_holds_nothing_up() {
    let home = Home::new();
    let folder = make(&home, "app");
    let pipe = home.path().join("app/.git");
    // By the program, because rustix does not have the call on macOS.
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let question = FolderQuestion { folders: vec![folder.clone()], patterns: Vec::new() };
    assert!(locate(&question).folders[&folder].is_some());
}

#[test]
fn a_session_that_was_in_a_hidden_folder_stays_hidden() {
    let home = Home::new();
    settings(&home, &[("/home/u/clients", "hide"), ("/home/u/open", "generic")]);
    session(&home, &["/home/u/clients/acme", "/home/u/app"]);
    assert_eq!(card(&home), "hidden");
    session(&home, &["/home/u/app", "/home/u/clients/acme", "/home/u/app"]);
    assert_eq!(card(&home), "hidden");
    // What is shown of names goes by where it is.
    session(&home, &["/home/u/open", "/home/u/app"]);
    assert_eq!(card(&home), "Thinking in app · GPT-5.6 Sol");
}
