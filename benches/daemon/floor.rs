//! What no program can leave out that counts a session's tokens right: the fields of usage lines that change the count, and
//! what has to be kept of the lines before.

use std::collections::HashMap;

use serde::Deserialize;

/// Codex writes the running totals of a thread: repeated ones are of no response, and after a restart they begin anew.
#[derive(Debug, Default)]
pub(crate) struct Codex {
    pub(crate) total: u64,
    latest: CodexUsage,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Deserialize)]
#[serde(default)]
struct CodexUsage {
    input_tokens: u64,
    cached_input_tokens: u64,
    output_tokens: u64,
    reasoning_output_tokens: u64,
    total_tokens: u64,
}

impl Codex {
    pub(crate) fn line(&mut self, line: &[u8]) {
        #[derive(Deserialize)]
        struct Line<'a> {
            #[serde(rename = "type")]
            kind: &'a str,
            payload: Payload<'a>,
        }
        #[derive(Deserialize)]
        struct Payload<'a> {
            #[serde(rename = "type")]
            kind: Option<&'a str>,
            info: Option<Info>,
        }
        #[derive(Deserialize)]
        struct Info {
            total_token_usage: CodexUsage,
            last_token_usage: Option<CodexUsage>,
        }
        let Ok(Line { kind: "event_msg", payload: Payload { kind: Some("token_count"), info: Some(info) } }) =
            serde_json::from_slice(line)
        else {
            return;
        };
        let before = std::mem::replace(&mut self.latest, info.total_token_usage);
        let rise = self.latest.total_tokens.checked_sub(before.total_tokens);
        let last = info.last_token_usage.unwrap_or(self.latest);
        self.total += rise.unwrap_or(last.total_tokens);
    }
}

/// Claude Code writes the usage of a message so far on each of its lines, which may stand apart and are copied into other
/// sessions: the best line of each message counts.
#[derive(Debug, Default)]
pub(crate) struct Claude {
    pub(crate) total: u64,
    session: String,
    messages: HashMap<String, u64>,
}

impl Claude {
    pub(crate) fn line(&mut self, line: &[u8]) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Line<'a> {
            #[serde(rename = "type")]
            kind: &'a str,
            session_id: &'a str,
            forked_from: Option<serde::de::IgnoredAny>,
            message: Message<'a>,
        }
        #[derive(Deserialize)]
        struct Message<'a> {
            id: &'a str,
            model: &'a str,
            usage: Usage,
        }
        #[derive(Deserialize)]
        struct Usage {
            input_tokens: u64,
            cache_creation_input_tokens: Option<u64>,
            cache_creation: Option<Written>,
            cache_read_input_tokens: Option<u64>,
            output_tokens: u64,
        }
        #[derive(Deserialize)]
        struct Written {
            ephemeral_5m_input_tokens: u64,
            ephemeral_1h_input_tokens: u64,
        }
        let Ok(Line {
            kind: "assistant",
            session_id,
            forked_from: None,
            message: Message { id, model, usage },
        }) = serde_json::from_slice(line)
        else {
            return;
        };
        if self.session.is_empty() {
            session_id.clone_into(&mut self.session);
        }
        if self.session != session_id || model == "<synthetic>" {
            return;
        }
        let written = usage
            .cache_creation
            .map(|parts| parts.ephemeral_5m_input_tokens + parts.ephemeral_1h_input_tokens);
        let used = usage.input_tokens
            + usage.cache_creation_input_tokens.max(written).unwrap_or(0)
            + usage.cache_read_input_tokens.unwrap_or(0)
            + usage.output_tokens;
        let known = match self.messages.get_mut(id) {
            Some(known) => known,
            None => self.messages.entry(id.to_owned()).or_default(),
        };
        self.total += used.saturating_sub(*known);
        *known = used.max(*known);
    }
}
