//! Sessions as agents write them: the kinds of lines, their sizes and their order, always the same for the same seed.
//!
//! Nothing in them was ever said. Most bytes are tool output and reasoning, a few lines are images of a megabyte or two,
//! and some outputs quote a usage line, so that looking for a word is not enough.

use jiff::{Timestamp, ToSpan};

/// How much text there is to cut from.
const POOL: usize = 4 << 20;

/// A session's lines before they are stamped: type and payload.
pub(crate) type Lines = Vec<(&'static str, String)>;

pub(crate) struct Corpus {
    random: u64,
    text: String,
    blob: String,
}

/// What a session has used, as its agent would say.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Used {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) output: u64,
}

impl Used {
    pub(crate) fn all(self) -> u64 {
        self.input + self.output
    }

    fn add(&mut self, other: Self) {
        self.input += other.input;
        self.cached += other.cached;
        self.output += other.output;
    }

    fn json(self) -> String {
        let Self { input, cached, output } = self;
        let (reasoning, total) = (output / 2, self.all());
        format!(
            r#"{{"input_tokens":{input},"cached_input_tokens":{cached},"output_tokens":{output},"reasoning_output_tokens":{reasoning},"total_tokens":{total}}}"#
        )
    }
}

impl Corpus {
    pub(crate) fn new(seed: u64) -> Self {
        const WORDS: [&str; 12] = [
            "the",
            "test",
            "error",
            "let",
            "fn",
            "of",
            "stream",
            "\\n    ",
            "src/main.rs:14:",
            "result",
            "= \\\"x\\\"",
            "ü",
        ];
        const QUOTED: &str =
            r#"{\"type\":\"event_msg\",\"payload\":{\"type\":\"token_count\",\"info\":null}}\n"#;
        let mut corpus = Self { random: seed, text: String::new(), blob: String::new() };
        while corpus.text.len() < POOL {
            let word = if corpus.below(2000) == 0 { QUOTED } else { WORDS[corpus.below(WORDS.len())] };
            corpus.text.push_str(word);
            corpus.text.push(' ');
        }
        while corpus.blob.len() < POOL {
            let number = corpus.next();
            corpus.blob.push_str(&format!("{number:016x}"));
        }
        corpus
    }

    fn next(&mut self) -> u64 {
        // SplitMix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or(0)
    }

    /// About so many bytes: a quarter to four times as many.
    fn size(&mut self, median: usize) -> usize {
        let doubled = median << self.below(3);
        doubled / 4 + self.below(doubled / 4 * 3 + 1)
    }

    /// Text as it stands inside a JSON string.
    fn text(&mut self, size: usize) -> &str {
        let size = size.min(POOL / 2);
        let from = self.below(POOL - size);
        // Between two words, so that no escape is cut.
        let bytes = self.text.as_bytes();
        let after =
            |at: usize| memchr::memchr(b' ', &bytes[at..]).map_or(bytes.len(), |space| at + space + 1);
        let from = after(from);
        &self.text[from..after((from + size).min(bytes.len()))]
    }

    fn blob(&mut self, size: usize) -> &str {
        let from = self.below(POOL - size.min(POOL / 2));
        self.blob.get(from..from + size.min(POOL / 2)).unwrap_or_default()
    }

    fn id(&mut self) -> String {
        format!("{:016x}", self.next())
    }

    fn used(&mut self) -> Used {
        let input = 12_000 + self.below(200_000) as u64;
        Used { input, cached: input / 8 * 7, output: 20 + self.below(2000) as u64 }
    }

    /// The first line of a Codex session.
    pub(crate) fn codex_meta(&mut self, id: &str, began: Timestamp) -> String {
        let text = self.text(17_000);
        format!(
            r#"{{"id":"{id}","timestamp":"{began}","cwd":"/home/ada/app","originator":"codex-tui","cli_version":"0.160.0","source":"cli","base_instructions":{{"text":"{text}"}},"git":{{"branch":"main"}}}}"#
        )
    }

    /// One turn of a Codex session.
    pub(crate) fn codex_turn(&mut self, total: &mut Used) -> Lines {
        const MESSAGE: &str = r#"{"type":"message","role":"#;
        let mut lines = Lines::new();
        let turn = self.id();
        lines.push((
            "event_msg",
            format!(r#"{{"type":"task_started","turn_id":"{turn}","model_context_window":258400}}"#),
        ));
        let rules = self.text(900).to_owned();
        lines.push(("turn_context", format!(r#"{{"turn_id":"{turn}","cwd":"/home/ada/app","approval_policy":"on-request","sandbox_policy":{{"type":"workspace-write"}},"model":"gpt-5.6-sol","collaboration_mode":{{"mode":"default","settings":{{"developer_instructions":"{rules}"}}}},"effort":"high","summary":"auto"}}"#)));
        let size = self.size(260);
        let prompt = self.text(size).to_owned();
        lines.push((
            "response_item",
            format!(r#"{MESSAGE}"user","content":[{{"type":"input_text","text":"{prompt}"}}]}}"#),
        ));
        lines.push((
            "event_msg",
            format!(r#"{{"type":"user_message","message":"{prompt}","images":[],"text_elements":[]}}"#),
        ));
        if self.below(80) == 0 {
            let size = self.size(1_500_000);
            let image = self.blob(size);
            lines.push(("response_item", format!(r#"{MESSAGE}"user","content":[{{"type":"input_image","image_url":"data:image/png;base64,{image}"}}]}}"#)));
        }
        for _ in 0..4 + self.below(12) {
            self.codex_response(total, &mut lines);
        }
        let size = self.size(900);
        let reply = self.text(size).to_owned();
        lines.push((
            "response_item",
            format!(r#"{MESSAGE}"assistant","content":[{{"type":"output_text","text":"{reply}"}}]}}"#),
        ));
        lines.push(("event_msg", format!(r#"{{"type":"agent_message","message":"{reply}"}}"#)));
        lines.push((
            "event_msg",
            format!(r#"{{"type":"task_complete","turn_id":"{turn}","last_agent_message":"{reply}"}}"#),
        ));
        lines
    }

    fn codex_response(&mut self, total: &mut Used, lines: &mut Lines) {
        let size = self.size(1700);
        let secret = self.blob(size);
        lines.push((
            "response_item",
            format!(
                r#"{{"type":"reasoning","summary":[],"content":null,"encrypted_content":"gAAAAAB{secret}"}}"#
            ),
        ));
        if self.below(5) < 3 {
            let size = self.size(120);
            let text = self.text(size);
            lines.push(("event_msg", format!(r#"{{"type":"agent_reasoning","text":"**{text}**"}}"#)));
        }
        let calls: Vec<String> = (0..1 + self.below(2)).map(|_| self.id()).collect();
        for call in &calls {
            if self.below(8) == 0 {
                let size = self.size(1200);
                let text = self.text(size);
                lines.push(("response_item", format!(r#"{{"type":"custom_tool_call","status":"completed","call_id":"{call}","name":"apply_patch","input":"*** Begin Patch\n*** Update File: src/main.rs\n@@\n{text}*** End Patch\n"}}"#)));
            } else {
                let count = self.below(400);
                lines.push(("response_item", format!(r#"{{"type":"function_call","name":"exec_command","arguments":"{{\"cmd\":\"rg -n token_count src | head -{count}\",\"workdir\":\"/home/ada/app\",\"yield_time_ms\":1000}}","call_id":"{call}"}}"#)));
            }
        }
        let last = self.used();
        total.add(last);
        let percent = self.below(90);
        lines.push(("event_msg", format!(r#"{{"type":"token_count","info":{{"total_token_usage":{},"last_token_usage":{},"model_context_window":258400}},"rate_limits":{{"limit_id":"codex","limit_name":null,"primary":{{"used_percent":{percent}.5,"window_minutes":300,"resets_at":4000000000}},"secondary":{{"used_percent":12.0,"window_minutes":10080,"resets_at":4000000000}},"credits":null,"plan_type":"pro"}}}}"#, total.json(), last.json())));
        for call in &calls {
            let median = [700, 700, 700, 8000, 25_000][self.below(5)];
            let size = self.size(median);
            let output = self.text(size);
            lines.push(("response_item", format!(r#"{{"type":"function_call_output","call_id":"{call}","output":"Process exited with code 0\nOutput:\n{output}"}}"#)));
        }
    }

    /// A Codex session of about so many bytes; returns what it used.
    pub(crate) fn codex(&mut self, id: &str, began: Timestamp, size: usize, out: &mut Vec<u8>) -> Used {
        let (mut at, mut total) = (began, Used::default());
        out.extend_from_slice(stamped(at, "session_meta", &self.codex_meta(id, began)).as_bytes());
        while out.len() < size {
            for (kind, payload) in self.codex_turn(&mut total) {
                at += 700.milliseconds();
                out.extend_from_slice(stamped(at, kind, &payload).as_bytes());
            }
        }
        total
    }

    /// A Claude Code session of about so many bytes; returns what it used.
    pub(crate) fn claude(&mut self, id: &str, began: Timestamp, size: usize, out: &mut Vec<u8>) -> Used {
        let (mut at, mut total) = (began, Used::default());
        let mut line = |corpus: &mut Self, out: &mut Vec<u8>, kind: &str, message: String, more: &str| {
            at += 700.milliseconds();
            let uuid = corpus.id();
            let line = format!(
                r#"{{"parentUuid":null,"isSidechain":false,"userType":"external","cwd":"/home/ada/app","sessionId":"{id}","version":"2.1.268","gitBranch":"main","type":"{kind}","message":{message},"uuid":"{uuid}","timestamp":"{at:.3}"{more}}}"#
            );
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        };
        while out.len() < size {
            let prompt = format!(r#"{{"role":"user","content":"{}"}}"#, self.text(300));
            line(self, out, "user", prompt, "");
            for _ in 0..3 + self.below(12) {
                let (message, call) = (self.id(), self.id());
                let (model, used) = ("claude-sonnet-4-5-20250929", self.used());
                total.add(used);
                let usage = format!(
                    r#""usage":{{"input_tokens":{},"cache_creation_input_tokens":0,"cache_read_input_tokens":{},"output_tokens":{},"service_tier":"standard"}}"#,
                    used.input - used.cached,
                    used.cached,
                    used.output
                );
                let (thinking, signature) = (self.size(400), self.size(900));
                let thinking = format!(
                    r#"{{"type":"thinking","thinking":"{}","signature":"{}"}}"#,
                    self.text(thinking).to_owned(),
                    self.blob(signature)
                );
                let tool = format!(
                    r#"{{"type":"tool_use","id":"toolu_{call}","name":"Bash","input":{{"command":"cargo test"}}}}"#
                );
                // One line per block, each with the whole usage.
                for block in [thinking, tool] {
                    let body = format!(
                        r#"{{"model":"{model}","id":"msg_{message}","type":"message","role":"assistant","content":[{block}],"stop_reason":null,{usage}}}"#
                    );
                    line(self, out, "assistant", body, &format!(r#","requestId":"req_{message}""#));
                }
                let median = [800, 800, 800, 800, 20_000][self.below(5)];
                let size = self.size(median);
                let result = if self.below(300) == 0 {
                    let size = self.size(1_500_000);
                    format!(
                        r#"[{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{}"}}}}]"#,
                        self.blob(size)
                    )
                } else {
                    format!(r#""{}""#, self.text(size))
                };
                let body = format!(
                    r#"{{"role":"user","content":[{{"tool_use_id":"toolu_{call}","type":"tool_result","content":{result}}}]}}"#
                );
                line(self, out, "user", body, "");
            }
        }
        total
    }
}

/// A line of a Codex session.
pub(crate) fn stamped(at: Timestamp, kind: &str, payload: &str) -> String {
    format!("{{\"timestamp\":\"{at:.3}\",\"type\":\"{kind}\",\"payload\":{payload}}}\n")
}
