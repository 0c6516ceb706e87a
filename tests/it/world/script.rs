//! Bytes as the script of one life of the daemon: what happens, and how much time passes in between.

use agent_presence::core::engine::{Input, UNTIL_RESUMED};
use agent_presence::core::limits::{Snapshot, Window as LimitWindow};
use agent_presence::core::publish::{Endpoint, LinkEvent};
use agent_presence::core::source::Agent;
use agent_presence::core::source_event::SourceEvent;
use agent_presence::core::usage::Tokens;
use jiff::SignedDuration;

use super::discords::{Answer, Welcome, ms, s};
use super::files::World;
use super::writers::{SECRET, Window, Writer};

/// More than this tells nothing more, and takes its time.
const STEPS: usize = 200;

/// The third is a sub-agent of the first.
const AGENTS: [Agent; 5] = [Agent::CODEX, Agent::CODEX, Agent::CODEX, Agent::CLAUDE, Agent::CLAUDE];

const SETTINGS: [(&str, &str); 24] = [
    ("privacy.rule", "[]"),
    ("privacy.rule", "[{path = \"**/clients/**\", show = \"hide\"}]"),
    ("privacy.rule", "[{path = \"**\", show = \"hide\"}]"),
    ("privacy.rule", "[{path = \"**/app\", show = \"full\"}]"),
    ("privacy.rule", "[{path = \"**\", show = \"generic\"}]"),
    ("privacy.project", "true"),
    ("privacy.branch", "true"),
    ("privacy.file", "true"),
    ("publish.min_interval", "\"1s\""),
    ("publish.min_interval", "\"5s\""),
    ("publish.min_interval", "\"9s\""),
    ("publish.tokens_interval", "\"1s\""),
    ("publish.tokens_interval", "\"15s\""),
    ("publish.settle", "\"0ms\""),
    ("publish.settle", "\"60ms\""),
    ("card.idle_after", "\"1m\""),
    ("card.idle_after", "\"15m\""),
    ("tokens.count", "\"all\""),
    ("tokens.count", "\"blended\""),
    ("discord.application_id", "\"\""),
    ("discord.application_id", "\"123456789012345678\""),
    ("discord.application_id", "\"223456789012345678\""),
    ("discord.clients", "[\"a\"]"),
    ("discord.clients", "\"all\""),
];

const JUMPS: [i64; 10] = [1, -1, 60, -60, 3600, -3600, 20_000, -20_000, 40_000_000, -40_000_000];

/// Lives the script, and then heals everything. The same script always gives the same trace.
pub(crate) fn live(data: &[u8]) -> u64 {
    let mut bytes = Bytes(data);
    let begin = bytes.byte();
    let mut world = World::new(begin & 1 == 1);
    if let Some(client) = world.client("a") {
        client.bridge = begin & 2 == 2;
    }
    let mut born = 0;
    for _ in 0..STEPS {
        if bytes.is_empty() {
            break;
        }
        step(&mut world, &mut bytes, &mut born);
        let pause = bytes.byte();
        world.run_for(match pause {
            0..128 => ms(u64::from(pause)),
            128..208 => ms(u64::from(pause - 128) * 75),
            208..248 => s(u64::from(pause - 208) * 3),
            248.. => s(u64::from(pause - 248) * 350),
        });
    }
    world.heal(|world| {
        for slot in 0..AGENTS.len() {
            world.look(slot, usize::MAX);
        }
        write(world, 0, &mut born, Writer::turn);
        world.look(0, usize::MAX);
    });
    world.trace()
}

/// Appends what the writer of this file says now; one that is not there yet begins.
fn write(
    world: &mut World,
    slot: usize,
    born: &mut u64,
    says: impl FnOnce(&mut Writer, jiff::Timestamp) -> String,
) {
    if !world.files.contains_key(&slot) {
        *born += 1;
        let parent = (slot == 2).then(|| world.files.get(&0).map(|file| file.writer.id.clone())).flatten();
        world.create(slot, Writer::new(AGENTS[slot], format!("session-{slot}-{born}"), parent));
    }
    let now = world.now().wall;
    let line = says(&mut world.files.get_mut(&slot).unwrap().writer, now);
    world.append(slot, line.as_bytes());
}

fn step(world: &mut World, bytes: &mut Bytes<'_>, born: &mut u64) {
    let code = bytes.byte();
    match code {
        0..160 => {
            let slot = usize::from(bytes.byte());
            let (slot, reads) = (slot % AGENTS.len(), slot / AGENTS.len());
            line(world, bytes, born, code % 16, slot);
            // Most lines are read at once, others in pieces.
            match reads % 8 {
                0 => {}
                1 => world.look(slot, 1 + usize::from(bytes.byte())),
                _ => world.look(slot, usize::MAX),
            }
        }
        160..192 => world.look(usize::from(bytes.byte()) % AGENTS.len(), usize::MAX),
        192..196 => world.delete(usize::from(bytes.byte()) % AGENTS.len()),
        196..199 => world.read_anew(usize::from(bytes.byte()) % AGENTS.len(), code == 196),
        199 => world.lose_sources(),
        200..212 => {
            let (key, value) = bytes.pick(&SETTINGS);
            world.set(key, value);
        }
        212..216 => {
            let key =
                bytes.pick(&["card.details", "card.state", "discord.large_image", "discord.member_list"]);
            let text = bytes.text(40).replace(SECRET, "");
            world.set(key, &serde_json::to_string(&text).unwrap());
        }
        216..222 => {
            let until = world.now().wall.checked_add(s(bytes.number())).unwrap_or(UNTIL_RESUMED);
            world.input(Input::Pause(if code == 216 { UNTIL_RESUMED } else { until }));
        }
        222..226 => world.input(Input::Resume),
        226..234 => {
            let name = bytes.pick(&["a", "b"]);
            let welcome = bytes.pick(&[
                Welcome::ReadyAfter(ms(100)),
                Welcome::Down,
                Welcome::ReadyAfter(s(40)),
                Welcome::NeverReady,
                Welcome::Rejects,
                Welcome::HangsUp,
            ]);
            world.welcome(name, welcome, code.is_multiple_of(2));
        }
        234..240 => {
            let answers = [
                Answer::AcksAfter(ms(20)),
                Answer::AcksAfter(s(3)),
                Answer::Refuses(4000),
                Answer::Refuses(5011),
                Answer::Never,
            ];
            let name = bytes.pick(&["a", "b"]);
            let answer = bytes.pick(&answers);
            if let Some(client) = world.client(name) {
                client.answer = answer;
            }
        }
        240..243 => {
            // What belongs to no connection, or to an earlier one, changes nothing.
            let event = match bytes.byte() % 3 {
                0 => LinkEvent::Acked { nonce: u64::MAX - bytes.number() },
                1 => LinkEvent::Refused { nonce: u64::MAX, code: 4000, message: bytes.text(20) },
                _ => LinkEvent::Ready { client: bytes.text(20), bridge: false },
            };
            let stranger = matches!(event, LinkEvent::Ready { .. });
            let name = if stranger { "c" } else { bytes.pick(&["a", "b", "c"]) };
            world.input(Input::Link(Endpoint(name.to_owned()), event));
        }
        243..246 => world.input(Input::Tick),
        246..248 => world.suspend(s(bytes.number())),
        248..251 => {
            let jump = bytes.pick(&JUMPS);
            world.set_clock(SignedDuration::from_secs(jump));
        }
        251 => world.hand_over(),
        252 => world.stop(),
        253 => {
            let message = (bytes.byte().is_multiple_of(2)).then(|| "could not read it".to_owned());
            world.input(Input::Source(SourceEvent::Problem {
                key: "unreadable",
                home: "home".into(),
                message,
            }));
        }
        254.. => {
            let now = world.now().wall;
            let observed_at = now.checked_sub(s(bytes.number())).unwrap_or(now);
            let resets_at = now.checked_add(s(bytes.number())).ok();
            let used_percent = f64::from(bytes.byte());
            let windows =
                vec![LimitWindow { minutes: Some(300), used_percent, resets_at, ..Default::default() }];
            let snapshot = Snapshot {
                agent: Agent::CLAUDE,
                home: "home".into(),
                family: "claude".to_owned(),
                name: None,
                plan: None,
                observed_at,
                source_session: None,
                windows,
                since: None,
                fresh: false,
                fell_at: None,
                first: None,
                refusal: false,
            };
            world.input(Input::Source(SourceEvent::limits(snapshot)));
        }
    }
}

fn line(world: &mut World, bytes: &mut Bytes<'_>, born: &mut u64, kind: u8, slot: usize) {
    match kind {
        0..5 => {
            let used = Tokens {
                input: bytes.number() * 7,
                cached_input: bytes.number(),
                cache_write: if AGENTS[slot] == Agent::CLAUDE { u64::from(bytes.byte()) } else { 0 },
                output: 1 + bytes.number(),
                reasoning: 0,
            };
            write(world, slot, born, |writer, at| writer.uses(at, used));
        }
        5 => {
            let more = bytes.number();
            write(world, slot, born, |writer, at| writer.uses_again(at, more));
        }
        6 => write(world, slot, born, Writer::starts_over),
        7 | 8 => write(world, slot, born, Writer::turn),
        9 => write(world, slot, born, Writer::ends),
        10 => {
            let edits = bytes.byte().is_multiple_of(2);
            write(world, slot, born, |writer, at| writer.calls(at, edits));
        }
        11 => write(world, slot, born, Writer::done),
        12 => {
            let resets_at = |seconds: u64| world.now().wall.checked_add(s(seconds)).ok();
            let windows = [
                Window { minutes: 300, used: bytes.byte(), resets_at: resets_at(bytes.number()) },
                Window { minutes: 10_080, used: bytes.byte(), resets_at: resets_at(bytes.number()) },
            ];
            let late = s(u64::from(bytes.byte()) * 4);
            write(world, slot, born, |writer, at| {
                writer.limits(at.checked_sub(late).unwrap_or(at), &windows)
            });
        }
        13 => {
            let cwd = bytes.pick(&["app", "clients/acme", "clients/a/b/c"]);
            let mut text = || bytes.text(24).replace(SECRET, "");
            let (branch, model) = (text(), text());
            write(world, slot, born, |writer, at| writer.moves(at, cwd, branch, model));
        }
        14 => {
            // A line of no agent: its beginning is like none of theirs.
            let mut garbage = bytes.some(40).to_vec();
            garbage.retain(|byte| *byte != b'\n');
            garbage.insert(0, b'x');
            garbage.push(b'\n');
            write(world, slot, born, |_, _| String::new());
            world.append(slot, &garbage);
        }
        _ => write(world, slot, born, |_, _| "\r\n \n".to_owned()),
    }
}

/// Bytes as decisions: what is left of them, taken from the front; zero when there are none.
#[derive(Debug, Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        u64::from(self.byte()) << 8 | u64::from(self.byte())
    }

    /// As many bytes as the next one says, at most this many.
    fn some(&mut self, most: usize) -> &'a [u8] {
        let length = usize::from(self.byte()).min(most).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }

    fn text(&mut self, most: usize) -> String {
        String::from_utf8_lossy(self.some(most)).into_owned()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }
}
