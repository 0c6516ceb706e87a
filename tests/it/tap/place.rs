//! The working folder of a run whose stream has none: privacy rules need it.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::home::Home;

/// Codex does not tell where it works; its command line and its folder do.
#[test]
fn a_run_works_where_its_command_line_says() {
    let home = Home::new();
    for folder in ["start/here", "secret"] {
        fs::create_dir_all(home.path(folder)).unwrap();
    }
    let start = home.path("start/here");
    home.settings(&format!(
        "[privacy]\nproject = true\n[[privacy.rule]]\npath = {:?}\nshow = \"hide\"\n",
        home.path("secret")
    ));
    let daemon = home.start("run --dry-run");
    home.wait_for_status("a daemon", |status| status["daemon"]["state"] == "running");
    let mut printed = 0;
    let mut project = |arguments: &[&str], tap_arguments: &str, wanted: [&Value; 2]| {
        printed += 1;
        let id = format!("01a0d000-0000-7000-8000-{printed:012}");
        let lines = [json!({"type": "thread.started", "thread_id": id}), json!({"type": "turn.started"})];
        // It prints, and stays until it is let go.
        let mut codex = Command::new("sh")
            .args(["-c", "printf '%s\\n%s\\n' \"$ONE\" \"$TWO\"; read end; :", "codex"])
            .args(arguments)
            .envs([("ONE", lines[0].to_string()), ("TWO", lines[1].to_string())])
            .current_dir(&start)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut tap = home.command(&format!("tap -q {tap_arguments}"));
        let mut tap = tap.stdin(codex.stdout.take().unwrap()).stdout(Stdio::null()).spawn().unwrap();
        let found = |status: &Value| {
            status["sessions"].as_array().unwrap().iter().find(|session| session["id"] == *id).cloned()
        };
        let status = home.wait_for_status("the run", |status| {
            found(status).is_some() && [&status["card"]["details"], &status["no_card"]] == wanted
        });
        drop(codex.stdin.take());
        assert!(codex.wait().unwrap().success() && tap.wait().unwrap().success());
        found(&status).unwrap()["project"].as_str().unwrap().to_owned()
    };
    let (here, hidden, none) = (json!("Thinking in here"), json!("hidden"), Value::Null);
    assert_eq!(project(&["exec", "--json", "fix"], "", [&here, &none]), "here");
    assert_eq!(project(&["exec", "--json", "--cd", "../../secret", "fix"], "", [&none, &hidden]), "secret");
    assert_eq!(
        project(&["exec", "fix"], &format!("--cd {}", home.path("secret").display()), [&none, &hidden]),
        "secret"
    );
    for text in [daemon.output(), daemon.log()] {
        assert!(!text.contains("secret"), "{text}");
    }
}
