//! A real OpenSSH server on this machine, with keys made for the test; nothing where there is none.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::pair::{Pair, session};

const SSHD: &str = "/usr/sbin/sshd";

/// A server that accepts the key in its folder.
struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    /// None where OpenSSH is not installed, or does not start for this user.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for name in ["host", "key"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at(name)]).status();
            if !made.is_ok_and(|status| status.success()) {
                return None;
            }
        }
        fs::copy(at("key.pub"), at("authorized")).unwrap();
        fs::set_permissions(at("authorized"), fs::Permissions::from_mode(0o600)).unwrap();
        // Another process could take the port in between; that is unlikely, and the test would say so.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        fs::write(
            at("config"),
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n",
                at("host"),
                at("authorized"),
            ),
        )
        .unwrap();
        if Path::new(SSHD).exists() {
            // As its package does.
            let _ = fs::create_dir_all("/run/sshd");
        }
        let mut sshd = Command::new(SSHD);
        sshd.args(["-D", "-e", "-f", &at("config")]).stdin(Stdio::null()).stderr(Stdio::null());
        Some(Self { child: sshd.spawn().ok()?, port, folder })
    }

    /// The command that reaches it and runs `command` there.
    fn ssh(&self, command: &[String], key: &str) -> Vec<String> {
        let key = self.folder.path().join(key);
        let options = [
            "BatchMode=yes".to_owned(),
            "StrictHostKeyChecking=no".to_owned(),
            "UserKnownHostsFile=/dev/null".to_owned(),
            "LogLevel=ERROR".to_owned(),
            "IdentitiesOnly=yes".to_owned(),
            format!("IdentityFile={}", key.display()),
        ];
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut ssh = words(&["ssh", "-F", "/dev/null", "-T", "-p", &self.port.to_string()]);
        ssh.extend(options.into_iter().flat_map(|option| ["-o".to_owned(), option]));
        ssh.push("127.0.0.1".to_owned());
        ssh.extend(command.iter().cloned());
        ssh
    }

    /// Whether it lets its own user in.
    fn works(&self) -> bool {
        let ssh = self.ssh(&["true".to_owned()], "key");
        (0..20).any(|_| {
            Command::new(&ssh[0]).args(&ssh[1..]).output().is_ok_and(|output| output.status.success())
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_session_behind_ssh_is_shown_here() {
    let Some(server) = Server::start().filter(Server::works) else {
        eprintln!("skipped: there is no OpenSSH server that this user can start");
        return;
    };
    let pair = Pair::new("");
    pair.listen(&server.ssh(&pair.far_command("1s"), "key"), "");
    let mut there = pair.far.session();
    there.turn().tokens(100);
    let daemon = pair.daemon();
    pair.wait_for_total(&there.id, 100);
    there.tokens(20);
    let known = pair.wait_for_total(&there.id, 120);
    assert_eq!((&known["host"], &known["restored"]), (&json!("devbox"), &json!(false)));
    let status = pair.wait_for("connected");
    assert_eq!(session(&status, &there.id)["shown"], true, "{status:#}");
    drop(daemon);

    // Another key is none.
    fs::remove_file(server.folder.path().join("authorized")).unwrap();
    let daemon = pair.daemon();
    let status = pair.wait_for("rejected");
    assert!(status["remotes"][0]["last_error"].as_str().unwrap().contains("Permission denied"), "{status:#}");
    drop(daemon);
}
