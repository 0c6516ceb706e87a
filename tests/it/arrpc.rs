//! arRPC, the server inside Vesktop and Legcord, as a second Discord, written by others.
//!
//! `.ci/run` puts the package where it is looked for; `AGENT_PRESENCE_TEST_ARRPC` names another folder of it. Where it or
//! Node is missing, the tests say so and pass.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::home::Home;
use crate::support::process::Process;

/// The package's server without the bridge, which would listen on all interfaces. Prints every activity as JSON.
const SERVER: &str = "
    const { default: Server } = await import(process.env.ARRPC);
    const server = await new Server();
    server.on('activity', activity => console.log(JSON.stringify(activity)));
";

/// The package's entry, or why there is none.
fn package() -> Result<PathBuf, String> {
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !node.is_ok_and(|status| status.success()) {
        return Err("there is no `node` in PATH".to_owned());
    }
    let folder = match std::env::var_os("AGENT_PRESENCE_TEST_ARRPC") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join(".build/arrpc/node_modules/arrpc"),
    };
    let entry = folder.join("src/server.js");
    if entry.is_file() { Ok(entry) } else { Err(format!("there is no {}", entry.display())) }
}

fn start(package: &Path, home: &Home) -> Process {
    let mut node = Command::new("node");
    node.args(["--input-type=module", "--eval", SERVER]).env_clear();
    node.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    node.env("ARRPC", package).env("ARRPC_NO_PROCESS_SCANNING", "1").env("XDG_RUNTIME_DIR", home.path("run"));
    Process::start(&mut node)
}

/// The activities that the server has passed on so far, and the end of one as `Null`.
fn activity(line: &str) -> Option<Value> {
    serde_json::from_str::<Value>(line).ok()?.get("activity").cloned()
}

#[test]
fn an_arrpc_shows_the_card_and_clears_it() {
    let package = match package() {
        Ok(package) => package,
        Err(why) => return eprintln!("skipped: arRPC was not tested, {why}"),
    };
    let mut home = Home::new();
    home.set("RUST_LOG", "debug");
    let mut session = home.session();
    session.turn().tokens(4_500);
    let arrpc = start(&package, &home);
    let daemon = home.start("run");

    let first = arrpc.wait_for_line("the card", activity);
    assert_eq!(first["name"], "Codex");
    assert_eq!(first["details"], "Thinking · GPT-5.6 Sol");
    assert_eq!(first["state"], "+4.5K | 4.5K | 4.5K tokens");
    assert_eq!(first["timestamps"]["start"], session.timer());
    assert_eq!(first["application_id"], crate::support::home::APPLICATION);
    let status = home.wait_for_status("an answer", |status| status["links"][0]["last_ack_at"].is_string());
    assert_eq!(status["links"][0]["client"], "arRPC", "its mock user is recognised");

    session.call();
    arrpc.wait_for_line("another activity", |line| {
        activity(line).filter(|card| card["details"] == "Running a command · GPT-5.6 Sol")
    });
    assert_eq!(daemon.terminate().code, Some(0));
    arrpc.wait_for_line("a cleared card", |line| activity(line).filter(Value::is_null));
}

#[test]
fn an_arrpc_that_is_started_again_gets_the_card_again() {
    let package = match package() {
        Ok(package) => package,
        Err(why) => return eprintln!("skipped: arRPC was not tested, {why}"),
    };
    let home = Home::new();
    let mut session = home.session();
    session.turn().tokens(4_500);
    let arrpc = start(&package, &home);
    let daemon = home.start("run");
    let first = arrpc.wait_for_line("the card", activity);
    arrpc.kill();
    daemon.wait_for_log("lost the connection");

    let arrpc = start(&package, &home);
    let again = arrpc.wait_for_line("the card again", activity);
    assert_eq!(first, again);
    daemon.kill();
    arrpc.wait_for_line("what a killed daemon leaves", |line| activity(line).filter(Value::is_null));
}
