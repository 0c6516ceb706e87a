//! Codex's app server: which threads are open and what they wait for.
//!
//! JSON-RPC 2.0 without its version field, one message per WebSocket text (Codex 0.157 to 0.171). After `initialize`
//! and `initialized` every client gets `thread/status/changed` of all threads. Nothing here subscribes, resumes,
//! answers or writes. Threads of sub-agents are sent whole to every client, with approval requests: everything but
//! the status is declined, and dropped undecoded if it comes anyway.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::register::{OpenSession, Register, Status};
use crate::source::lenient::Scalar;
use crate::source::listener::{Heard, Listener, Live};

/// The server's address, and the effect of listening to it.
pub(super) const LIVE: Live = Live {
    key: "codex_live",
    doc: "listen to Codex's app server, which reports pending approvals; adds agent-presence to the user agent that Codex sends to its model provider",
    question: "\
Codex's session files do not tell when an approval waits; its app server does. Listening there adds \"agent-presence\" to
the user agent that Codex sends to its model provider. Listen?",
    name: "app server",
    socket: "app-server-control/app-server-control.sock",
    listener: || Box::<AppServer>::default(),
};

/// The ids of the two requests.
const INITIALIZE: u64 = 0;
const LIST: u64 = 1;

/// Of a server with more threads, the rest is not kept.
const MOST_THREADS: usize = 10_000;

/// A thread's id is a UUID.
const LONGEST_ID: usize = 64;

/// Declined notifications: all of 0.171 except [`STATUS`] and [`CLOSED`].
const DECLINED: &[&str] = &[
    "account/gatewayOAuth/changed",
    "account/login/completed",
    "account/rateLimits/updated",
    "account/updated",
    "app/list/updated",
    "autoApprovalReview/strictReviewRequired",
    "command/exec/outputDelta",
    "configWarning",
    "deprecationNotice",
    "error",
    "externalAgentConfig/import/completed",
    "externalAgentConfig/import/progress",
    "fs/changed",
    "fuzzyFileSearch/sessionCompleted",
    "fuzzyFileSearch/sessionUpdated",
    "guardianWarning",
    "hook/completed",
    "hook/started",
    "item/agentMessage/delta",
    "item/autoApprovalReview/completed",
    "item/autoApprovalReview/started",
    "item/commandExecution/outputDelta",
    "item/commandExecution/terminalInteraction",
    "item/completed",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
    "item/mcpToolCall/progress",
    "item/plan/delta",
    "item/reasoning/summaryPartAdded",
    "item/reasoning/summaryTextDelta",
    "item/reasoning/textDelta",
    "item/started",
    "mcpServer/event/stream/notification",
    "mcpServer/oauthLogin/completed",
    "mcpServer/startupStatus/updated",
    "model/rerouted",
    "model/safetyBuffering/updated",
    "model/verification",
    "modelProvider/authRecoveryCompleted",
    "modelProvider/authRecoveryStarted",
    "process/exited",
    "process/outputDelta",
    "project/changed",
    "rawResponse/completed",
    "rawResponseItem/completed",
    "remoteControl/status/changed",
    "serverRequest/resolved",
    "skills/changed",
    "thread/archived",
    "thread/attachment/updated",
    "thread/compacted",
    "thread/deleted",
    "thread/environment/connected",
    "thread/environment/disconnected",
    "thread/goal/cleared",
    "thread/goal/updated",
    "thread/name/updated",
    "thread/prediction/updated",
    "thread/project/updated",
    "thread/queue/changed",
    "thread/readState/changed",
    "thread/realtime/closed",
    "thread/realtime/error",
    "thread/realtime/item/completed",
    "thread/realtime/item/started",
    "thread/realtime/item/transcript/delta",
    "thread/realtime/itemAdded",
    "thread/realtime/outputAudio/delta",
    "thread/realtime/sdp",
    "thread/realtime/started",
    "thread/realtime/transcript/delta",
    "thread/realtime/transcript/done",
    "thread/reverted",
    "thread/search/partial",
    "thread/section/changed",
    "thread/settings/updated",
    "thread/started",
    "thread/tokenUsage/updated",
    "thread/unarchived",
    "turn/completed",
    "turn/diff/updated",
    "turn/moderationMetadata",
    "turn/plan/updated",
    "turn/started",
    "warning",
    "windows/worldWritableWarning",
    "windowsSandbox/setupCompleted",
];

const STATUS: &str = "thread/status/changed";
const CLOSED: &str = "thread/closed";

/// The state of one connection.
#[derive(Debug, Default)]
struct AppServer {
    threads: BTreeMap<String, OpenSession>,
}

/// A message. Only the needed fields are decoded.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    method: Scalar<'a>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    emitted_at_ms: Scalar<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    #[serde(borrow, default)]
    thread_id: Scalar<'a>,
    #[serde(borrow)]
    status: Option<ThreadStatus<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThreadStatus<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Scalar<'a>,
    #[serde(borrow, default)]
    active_flags: Vec<Scalar<'a>>,
}

#[derive(Deserialize)]
struct Loaded<'a> {
    #[serde(borrow)]
    data: Vec<Scalar<'a>>,
}

impl Listener for AppServer {
    fn greeting(&self) -> String {
        let client = json!({ "name": "agent-presence", "version": env!("CARGO_PKG_VERSION") });
        let capabilities = json!({ "optOutNotificationMethods": DECLINED });
        let params = json!({ "clientInfo": client, "capabilities": capabilities });
        json!({ "id": INITIALIZE, "method": "initialize", "params": params }).to_string()
    }

    fn hear(&mut self, at: Timestamp, message: &[u8]) -> Heard {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(message) else { return Heard::Foreign };
        let since = message.emitted_at_ms.time().map_or(at, |emitted| emitted.min(at));
        match message.method.text() {
            Some(STATUS) => self.changed(since, message.params),
            Some(CLOSED) => self.closed(message.params),
            // Also a request, which another client has to answer.
            Some(_) => Heard::Nothing,
            None if message.id == Scalar::Whole(INITIALIZE) && message.result.is_some() => {
                Heard::Reply(vec![
                    json!({ "method": "initialized" }).to_string(),
                    json!({ "id": LIST, "method": "thread/loaded/list", "params": {} }).to_string(),
                ])
            }
            None if message.id == Scalar::Whole(LIST) => self.loaded(message.result),
            None => Heard::Foreign,
        }
    }

    fn register(&self) -> Register {
        Register { open: self.threads.clone(), ..Register::default() }
    }
}

impl AppServer {
    fn loaded(&mut self, result: Option<&RawValue>) -> Heard {
        let Some(loaded) = result.and_then(|result| serde_json::from_str::<Loaded<'_>>(result.get()).ok())
        else {
            return Heard::Foreign;
        };
        for thread in loaded.data {
            self.set(thread.text(), OpenSession::default());
        }
        Heard::News
    }

    fn changed(&mut self, since: Timestamp, params: Option<&RawValue>) -> Heard {
        let Some(Params { thread_id, status: Some(status) }) = read(params) else { return Heard::Nothing };
        let waits = |flag: &Scalar<'_>| flag.is("waitingOnApproval") || flag.is("waitingOnUserInput");
        let status = match status.kind.text() {
            Some("active") if status.active_flags.iter().any(waits) => Some(Status::Waiting),
            Some("active") => Some(Status::Busy),
            Some("idle" | "systemError") => Some(Status::Idle),
            Some("notLoaded") => return self.forget(&thread_id),
            _ => None,
        };
        let open = OpenSession { status, since: Some(since), process: None };
        if let Some(known) = thread_id.text().and_then(|id| self.threads.get_mut(id)) {
            *known = open;
        } else {
            self.set(thread_id.text(), open);
        }
        Heard::News
    }

    fn closed(&mut self, params: Option<&RawValue>) -> Heard {
        read(params).map_or(Heard::Nothing, |params| self.forget(&params.thread_id))
    }

    fn forget(&mut self, thread: &Scalar<'_>) -> Heard {
        let was_open = thread.text().and_then(|id| self.threads.remove(id)).is_some();
        if was_open { Heard::News } else { Heard::Nothing }
    }

    /// Adds a thread, unless there are too many.
    fn set(&mut self, thread: Option<&str>, open: OpenSession) {
        if let Some(id) = thread.filter(|id| id.len() <= LONGEST_ID && self.threads.len() < MOST_THREADS) {
            self.threads.entry(id.to_owned()).or_insert(open);
        }
    }
}

fn read(params: Option<&RawValue>) -> Option<Params<'_>> {
    serde_json::from_str(params?.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::constant(1_795_758_200, 0);

    fn heard(messages: &[&str]) -> (AppServer, Vec<Heard>) {
        let mut server = AppServer::default();
        let heard = messages.iter().map(|message| server.hear(AT, message.as_bytes())).collect();
        (server, heard)
    }

    fn status_of(messages: &[&str]) -> Option<(Option<Status>, Option<i64>)> {
        let (server, _) = heard(messages);
        let open = server.threads.get("t")?;
        Some((open.status, open.since.map(Timestamp::as_second)))
    }

    fn changed(status: &str) -> String {
        format!(
            r#"{{"method":"thread/status/changed","params":{{"threadId":"t","status":{status}}},"emittedAtMs":1795758100000}}"#
        )
    }

    #[test]
    fn the_greeting_names_this_program_and_requests_only_threads() {
        let greeting: serde_json::Value = serde_json::from_str(&AppServer::default().greeting()).unwrap();
        assert_eq!(greeting["method"], "initialize");
        assert_eq!(greeting["params"]["clientInfo"]["name"], "agent-presence");
        let declined = greeting["params"]["capabilities"]["optOutNotificationMethods"].as_array().unwrap();
        assert!(declined.iter().any(|method| method == "item/started"));
        assert!(!declined.iter().any(|method| method == STATUS || method == CLOSED));
        let (_, heard) = heard(&[r#"{"id":0,"result":{"userAgent":"codex-tui/0.171.0"}}"#]);
        let [Heard::Reply(replies)] = &heard[..] else { panic!("{heard:?}") };
        let methods = replies.iter().map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap());
        let methods: Vec<_> = methods.map(|replies| replies["method"].clone()).collect();
        assert_eq!(methods, ["initialized", "thread/loaded/list"]);
    }

    #[test]
    fn a_loaded_thread_is_open_without_a_status() {
        let list = r#"{"id":1,"result":{"data":["t",7,"u"],"nextCursor":null}}"#;
        assert_eq!(status_of(&[list]), Some((None, None)));
        let active = changed(r#"{"type":"active","activeFlags":[]}"#);
        let busy = Some((Some(Status::Busy), Some(1_795_758_100)));
        assert_eq!(status_of(&[&active, list]), busy, "the answer is older than the word");
    }

    #[test]
    fn a_thread_status_shows_what_it_waits_for() {
        for (status, expected) in [
            (r#"{"type":"active","activeFlags":[]}"#, Some(Status::Busy)),
            (r#"{"type":"active","activeFlags":["waitingOnApproval"]}"#, Some(Status::Waiting)),
            (r#"{"type":"active","activeFlags":["x","waitingOnUserInput"]}"#, Some(Status::Waiting)),
            (r#"{"type":"active","activeFlags":["x"]}"#, Some(Status::Busy)),
            (r#"{"type":"idle"}"#, Some(Status::Idle)),
            (r#"{"type":"systemError"}"#, Some(Status::Idle)),
            (r#"{"type":"another"}"#, None),
            ("{}", None),
        ] {
            assert_eq!(status_of(&[&changed(status)]), Some((expected, Some(1_795_758_100))), "{status}");
        }
    }

    #[test]
    fn an_unloaded_thread_is_closed() {
        let idle = changed(r#"{"type":"idle"}"#);
        for end in [
            changed(r#"{"type":"notLoaded"}"#).as_str(),
            r#"{"method":"thread/closed","params":{"threadId":"t"}}"#,
        ] {
            assert_eq!(status_of(&[&idle, end]), None, "{end}");
        }
    }

    #[test]
    fn declined_messages_are_dropped_undecoded() {
        let requests = [
            r#"{"method":"item/commandExecution/requestApproval","id":0,"params":{"command":"PRIVATE"}}"#,
            r#"{"method":"item/started","params":{"item":{"command":"PRIVATE"}}}"#,
            r#"{"method":"thread/started","params":{"thread":{"id":"t","preview":"PRIVATE"}}}"#,
            r#"{"method":"thread/status/changed","params":7}"#,
            r#"{"method":"thread/closed"}"#,
        ];
        let (server, heard) = heard(&requests);
        assert!(heard.iter().all(|heard| *heard == Heard::Nothing), "{heard:?}");
        assert!(!format!("{server:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_server_with_another_protocol_is_recognised() {
        for message in
            ["hello", "[]", r#"{"id":0,"error":{"code":-1}}"#, r#"{"id":1,"result":{}}"#, r#"{"id":"x"}"#]
        {
            assert_eq!(heard(&[message]).1, [Heard::Foreign], "{message}");
        }
    }

    #[test]
    fn the_number_and_length_of_ids_are_bounded() {
        let mut server = AppServer::default();
        let ids: Vec<String> = (0..MOST_THREADS + 5).map(|number| format!("\"t{number}\"")).collect();
        server.hear(AT, format!(r#"{{"id":1,"result":{{"data":[{}]}}}}"#, ids.join(",")).as_bytes());
        assert_eq!(server.threads.len(), MOST_THREADS);
        let long = "x".repeat(LONGEST_ID + 1);
        assert_eq!(heard(&[&changed("{}").replace("\"t\"", &format!("\"{long}\""))]).0.threads.len(), 0);
    }
}
