//! Files that a crash, a full disk or two writers have torn: every whole record in them counts, once.

use agent_presence::cmd::replay::replay;
use agent_presence::core::file::{FileUpdate, RowReader, SessionFile, Skipped};
use agent_presence::core::report::EventKind;
use agent_presence::core::settings::Settings;
use agent_presence::core::source::Agent;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A session of three responses, of 100, 20 and 3 tokens, and a long line that says nothing of usage.
fn lines(agent: Agent) -> Vec<String> {
    let at = |second: usize| format!("2026-11-20T10:00:{second:02}.000Z");
    match agent.word() {
        "codex" => {
            let line = |second: usize, kind: &str, payload: &str| {
                format!(r#"{{"timestamp":"{}","type":"{kind}","payload":{payload}}}"#, at(second))
            };
            let count = |total: u32, last: u32| {
                let of = |n: u32| format!(r#"{{"input_tokens":{n},"output_tokens":0,"total_tokens":{n}}}"#);
                let (total, last) = (of(total), of(last));
                format!(
                    r#"{{"type":"token_count","info":{{"total_token_usage":{total},"last_token_usage":{last}}}}}"#
                )
            };
            let id = "0199a213-81c0-7800-8aa1-bbab2a035a53";
            let text = format!(r#"say \"{{\"timestamp\":\"{}\" {}"#, "x".repeat(20), "é ".repeat(3000));
            vec![
                line(0, "session_meta", &format!(r#"{{"id":"{id}","timestamp":"{}","cwd":"/app"}}"#, at(0))),
                line(1, "event_msg", &count(100, 100)),
                line(
                    2,
                    "response_item",
                    &format!(r#"{{"type":"message","role":"user","content":"{text}"}}"#),
                ),
                line(3, "event_msg", &count(120, 20)),
                line(4, "event_msg", r#"{"type":"user_message","message":"more"}"#),
                line(5, "event_msg", &count(123, 3)),
            ]
        }
        _ => {
            let line = |second: usize, kind: &str, message: &str| {
                format!(
                    r#"{{"parentUuid":null,"isSidechain":false,"sessionId":"11111111-2222-4333-8444-555555555555","version":"2.1.332","cwd":"/app","type":"{kind}","message":{message},"uuid":"u{second}","timestamp":"{}"}}"#,
                    at(second)
                )
            };
            let answer = |n: u32| {
                format!(
                    r#"{{"id":"msg_{n}","model":"claude-opus-5","content":[{{"type":"text","text":"{{\"type\": {}"}}],"stop_reason":"end_turn","usage":{{"input_tokens":{n},"output_tokens":0}}}}"#,
                    "é".repeat(10)
                )
            };
            vec![
                line(0, "user", r#"{"role":"user","content":"do it"}"#),
                line(1, "assistant", &answer(100)),
                line(2, "user", &format!(r#"{{"role":"user","content":"{}"}}"#, "y\\n ".repeat(3000))),
                line(3, "assistant", &answer(20)),
                line(4, "user", r#"{"role":"user","content":"more"}"#),
                line(5, "assistant", &answer(3)),
            ]
        }
    }
}

fn read(agent: Agent, bytes: &[u8]) -> (u64, Skipped) {
    let mut file = SessionFile::new(agent, "home".into(), Timestamp::MIN);
    file.push(bytes);
    file.end_line();
    file.set_lineage(&[]);
    let FileUpdate { session, skipped, .. } = file.take_update().unwrap();
    (session.usage.session_total_tokens.map_or(0, |total| total.blended()), skipped)
}

fn check(agent: Agent, bytes: &[u8], unreadable: u64) {
    let (total, skipped) = read(agent, bytes);
    let shown = String::from_utf8_lossy(bytes);
    assert_eq!((total, skipped.unreadable_lines), (123, unreadable), "{shown}");
    let mut rows = RowReader::new(agent);
    rows.push(bytes);
    assert_eq!(rows.finish().len(), 3, "{shown}");
}

const AGENTS: [Agent; 2] = [Agent::CODEX, Agent::CLAUDE];

#[test]
fn records_without_a_newline_between_them_all_count() {
    for agent in AGENTS {
        let lines = lines(agent);
        for missing in 1..lines.len() {
            for between in ["", " ", "\0\0\0\0"] {
                let (before, after) = lines.split_at(missing);
                let text = format!("{}{between}{}\n", before.join("\n"), after.join("\n"));
                check(agent, text.as_bytes(), 0);
            }
        }
        check(agent, lines.concat().as_bytes(), 0);
    }
}

#[test]
fn a_torn_record_costs_itself_and_not_the_one_behind_it() {
    for agent in AGENTS {
        let lines = lines(agent);
        for (place, torn) in lines.iter().enumerate() {
            let cuts =
                (1..torn.len()).filter(|cut| torn.is_char_boundary(*cut) && (*cut < 700 || cut % 997 == 0));
            for cut in cuts {
                // The half of a record, and then all of it again.
                let (before, after) = lines.split_at(place);
                let half = format!("{}\n{}{}\n", before.join("\n"), torn.split_at(cut).0, after.join("\n"));
                check(agent, half.trim_start().as_bytes(), 1);
            }
        }
    }
}

#[test]
fn zeros_in_a_file_cost_nothing() {
    for agent in AGENTS {
        let text = lines(agent).join("\n\0\0\0\0");
        check(agent, format!("\0\0{text}\0\0\0\n\0\0\0").as_bytes(), 0);
    }
}

#[test]
fn a_last_line_without_a_newline_counts_once_however_it_goes_on() {
    for agent in AGENTS {
        let lines = lines(agent);
        let text = lines.join("\n");
        check(agent, text.as_bytes(), 0);
        let before = text.len() - lines.last().unwrap().len();
        for cut in (before..text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            let mut file = SessionFile::new(agent, "home".into(), Timestamp::MIN);
            let mut total = |bytes: &str| {
                file.push(bytes.as_bytes());
                file.end_line();
                if file.lineage_wanted().is_some() {
                    file.set_lineage(&[]);
                }
                file.take_update().map(|update| update.session.usage.session_total_tokens.unwrap().blended())
            };
            assert_eq!(total(text.split_at(cut).0), Some(120), "half a line is none");
            assert_eq!(total(text.split_at(cut).1), Some(123));
            assert_eq!(total("\n"), None, "the newline alone is nothing new");
            assert_eq!(total(&format!("{}\n", lines.last().unwrap())), Some(123), "nor is the line again");
        }
    }
}

#[test]
fn a_replay_reads_the_last_line_and_a_file_of_one_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    for (agent, text) in AGENTS.map(|agent| (agent, lines(agent).concat())) {
        let path = folder.path().join(agent.word());
        std::fs::write(&path, &text).unwrap();
        let mut total = None;
        let problems = replay(&[path], Settings::default(), TimeZone::UTC, &mut |event| {
            if let EventKind::Session { ended: true, session } = event.kind {
                total = session.tokens.total;
            }
        });
        assert_eq!((problems.len(), total), (0, Some(123)), "{agent:?}");
    }
}
