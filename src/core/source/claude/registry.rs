//! Claude Code's register of running sessions, `sessions/<pid>.json`.
//!
//! A file remains if its process is killed, so it counts only after a check of pid and start time. The folder also
//! has files with secrets: [`pid_of`] excludes them, and they are never opened.

use serde_json::Value;

use crate::register::{ProcessEntry, Status};
use crate::source::value::{field, text, timestamp};

/// The process of a register file, by its name; `None` for every other file.
pub fn pid_of(name: &str) -> Option<u32> {
    let stem = name.strip_suffix(".json")?;
    stem.bytes().all(|byte| byte.is_ascii_digit()).then(|| stem.parse().ok()).flatten()
}

/// Reads the register file of `pid`; `None` if it is not valid.
pub fn read(pid: u32, file: &[u8]) -> Option<ProcessEntry> {
    let file: Value = serde_json::from_slice(file).ok()?;
    if field(&file, "pid").is_some_and(|own| own.as_u64() != Some(pid.into())) {
        return None;
    }
    let time = |name: &str| field(&file, name).and_then(timestamp);
    Some(ProcessEntry {
        pid,
        process_start: text(&file, "procStart").map(str::to_owned),
        pid_domain: text(&file, "pidDomain").map(str::to_owned),
        session: text(&file, "sessionId")?.to_owned(),
        started_at: time("startedAt"),
        status: text(&file, "status").and_then(|status| match status {
            "busy" => Some(Status::Busy),
            "idle" | "shell" => Some(Status::Idle),
            "waiting" => Some(Status::Waiting),
            _ => None,
        }),
        updated_at: time("statusUpdatedAt").or_else(|| time("updatedAt")),
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn an_entry_has_a_session_and_a_status() {
        let file = br#"{"pid":4242,"sessionId":"s","cwd":"/MARKER-SECRET","startedAt":1790000000000,"procStart":"123456",
            "version":"2.1.270","kind":"interactive","status":"waiting","waitingFor":"permission prompt",
            "statusUpdatedAt":1790000050000,"updatedAt":1790000060000,"name":"MARKER-SECRET"}"#;
        let entry = read(4242, file).unwrap();
        assert_eq!((entry.session.as_str(), entry.status), ("s", Some(Status::Waiting)));
        assert_eq!(entry.process_start.as_deref(), Some("123456"));
        assert_eq!(entry.updated_at.map(Timestamp::as_second), Some(1_790_000_050));
        assert!(!format!("{entry:?}").contains("MARKER-SECRET"));
    }

    #[test]
    fn statuses_are_read_and_may_be_absent() {
        let status = |text: &str| read(1, text.as_bytes()).map(|entry| entry.status);
        assert_eq!(status(r#"{"sessionId":"s"}"#), Some(None));
        assert_eq!(
            status(r#"{"pid":1,"sessionId":"s","procStart":"","status":"shell"}"#),
            Some(Some(Status::Idle))
        );
        assert_eq!(
            status(r#"{"pid":1,"sessionId":"s","procStart":7,"status":"busy"}"#),
            Some(Some(Status::Busy))
        );
        assert_eq!(status(r#"{"sessionId":"s","status":"dreaming"}"#), Some(None));
        for other in [r#"{"pid":2,"sessionId":"s"}"#, r#"{"pid":1}"#, "", "[]"] {
            assert_eq!(status(other), None, "{other}");
        }
    }

    #[test]
    fn only_register_files_have_a_pid() {
        assert_eq!(pid_of("4242.json"), Some(4242));
        for other in
            ["4242.ab12.key", "4242.key", "x.json", ".json", "4242.json.tmp", "99999999999.json", "+1.json"]
        {
            assert_eq!(pid_of(other), None, "{other}");
        }
    }
}
