//! The language of the behaviour book; `tests/scenarios/README.md` describes it.

use std::time::Duration;

use agent_presence::core::duration;
use agent_presence::core::source::Agent;
use agent_presence::core::time::Now;
use jiff::{SignedDuration, Timestamp};

use serde_json::json;

use super::claude::Claude;
use super::codex::{About, Codex, Counters, Limits, Source, Tool, Window};
use super::copilot::Copilot;
use super::world::World;
use crate::made_up::{QUILL, Talk};
use crate::world::discords::{Welcome, ms};
use crate::world::machine::BEGIN;

/// Runs a script and returns what happened, line by line.
pub(crate) fn run(script: &str) -> Vec<String> {
    let lines: Vec<(Duration, &str)> = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (at, command) = line.split_once(' ').unwrap_or((line, ""));
            (time(at), command.trim())
        })
        .collect();
    let has = |word: &str| lines.iter().any(|(_, command)| command.starts_with(word));
    let mut world = World::new(!has("discord "));
    let mut waits_for_start = has("daemon starts");
    for (at, command) in lines {
        world.run_until(at);
        if !waits_for_start && world.engine().is_none() && !command.starts_with("settings ") {
            waits_for_start = true;
            world.start_daemon();
        }
        step(&mut world, command);
    }
    world.trace().to_vec()
}

fn step(world: &mut World, command: &str) {
    let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
    let rest = rest.trim();
    match (verb, rest) {
        ("settings", assignment) => world.set(assignment),
        ("daemon", "starts") => world.start_daemon(),
        ("daemon", "dies") => world.kill_daemon(),
        ("daemon", "restarts") => {
            world.kill_daemon();
            world.start_daemon();
        }
        ("sleep", time) => world.suspend(duration::parse(time).unwrap()),
        ("clock", by) => {
            let length =
                SignedDuration::try_from(duration::parse(by.trim_start_matches(['-', '+'])).unwrap());
            let length = length.unwrap();
            world.set_clock(if by.starts_with('-') { -length } else { length });
        }
        ("stop", "") => world.stop(),
        ("status", "") => world.report(),
        ("next", "") => world.next(),
        ("hover", "") => world.hover = true,
        ("end", "") => {}
        ("discord", rest) => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let (name, what) = match words.as_slice() {
                [what] => ("discord", *what),
                [name, what] => (*name, *what),
                _ => panic!("not understood: {command}"),
            };
            let welcome = match what {
                "up" => Welcome::ReadyAfter(ms(100)),
                "down" => Welcome::Down,
                "rejects" => Welcome::Rejects,
                _ => panic!("not understood: {command}"),
            };
            world.discord(name, welcome);
        }
        ("codex", rest) => {
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, "start"));
            codex(world, name, rest);
        }
        ("claude", rest) => {
            let (name, rest) = rest.split_once(' ').unwrap();
            claude(world, name, rest);
        }
        ("copilot", rest) => {
            let (name, rest) = rest.split_once(' ').unwrap();
            copilot(world, name, rest);
        }
        ("opencode", rest) => {
            let (name, rest) = rest.split_once(' ').unwrap();
            opencode(world, name, rest);
        }
        ("quill", rest) => {
            let (name, rest) = rest.split_once(' ').unwrap();
            quill(world, name, rest);
        }
        ("register", rest) => world.register(Agent::CLAUDE, rest),
        ("server", rest) => world.register(Agent::CODEX, rest),
        (agent, rest) => {
            let agent = Agent::of_word(agent).unwrap_or_else(|| panic!("not understood: {command}"));
            let (name, line) = rest.split_once(' ').unwrap();
            other(world, agent, name, line);
        }
    }
}

/// `NAME ROW` of a session in a database.
fn opencode(world: &mut World, name: &str, row: &str) {
    let at = world.now().wall;
    if !world.files.contains_key(name) {
        create(world, Agent::OPENCODE, name);
    }
    world.files.get_mut(name).unwrap().rows.write(row, at);
    world.row_written(name);
}

fn create(world: &mut World, agent: Agent, name: &str) {
    let (id, cwd) = (name.to_owned(), "/home/u/app".to_owned());
    let about = About { id, cwd, branch: "main".to_owned(), source: Source::Cli };
    world.create(name, Codex::new(about), &format!("~/.{}", agent.word()), "");
    world.files.get_mut(name).unwrap().agent = agent;
}

/// `NAME LINE` of a session of any agent, `@` in it being the time. The session's id is its name.
fn other(world: &mut World, agent: Agent, name: &str, line: &str) {
    let at = world.now().wall;
    if !world.files.contains_key(name) {
        create(world, agent, name);
    }
    world.append(name, &format!("{}\n", line.replace('@', &at.to_string())));
}

/// `NAME VERB …` of one session. The first verb makes the file.
fn codex(world: &mut World, name: &str, rest: &str) {
    let (verb, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut at = world.now().wall;
    if let Some((stamp, after)) = rest.split_once(' ').filter(|(word, _)| word.starts_with("at=")) {
        at = clock(stamp.strip_prefix("at=").unwrap());
        rest = after;
    }
    if !world.files.contains_key(name) {
        let words = if verb == "start" { rest } else { "" };
        start(world, name, words);
    }
    let now = world.now();
    let file = world.files.get_mut(name).unwrap();
    let codex = &mut file.codex;
    let line = match verb {
        "start" => return,
        "turn" => codex.turn(at),
        "end" => codex.end(at),
        "abort" => codex.abort(at),
        "done" => codex.done(at).unwrap(),
        "thinks" => codex.reasoning(at),
        "runs" => codex.call(at, &Tool::Command(rest.to_owned())),
        "edits" => codex.call(at, &Tool::Patch(rest.to_owned())),
        "spawns" => codex.call(at, &Tool::Spawn),
        "asks" => codex.call(at, &Tool::Ask),
        "model" => {
            file.model = rest.to_owned();
            codex.context(at, rest)
        }
        "moves" => {
            rest.clone_into(&mut codex.about.cwd);
            let model = file.model.clone();
            codex.context(at, &model)
        }
        "uses" => {
            let (numbers, limits) = rest.split_once(' ').unwrap_or((rest, ""));
            let limits = limits_of(limits, now);
            codex.usage(at, counters(numbers), limits.as_ref())
        }
        "repeats" => {
            let (numbers, limits) = rest.split_once(' ').unwrap_or((rest, ""));
            codex.count(at, Some(counters(numbers)), limits_of(limits, now).as_ref())
        }
        "restarts" => {
            codex.total = Counters::default();
            codex.reasoning(at)
        }
        "limits" => codex.count(at, None, limits_of(rest, now).as_ref()),
        "raw" => format!("{rest}\n"),
        "large" => {
            file.large = true;
            return;
        }
        "counted" => return world.counted(name),
        "deleted" => return world.delete(name),
        _ => panic!("not understood: {verb}"),
    };
    world.append(name, &line);
}

/// `NAME VERB PAGE.PART …` of one of the made-up agent's talks.
fn quill(world: &mut World, name: &str, rest: &str) {
    let at = world.now().wall;
    if !world.files.contains_key(name) {
        let (id, cwd) = (name.to_owned(), "/home/u/app".to_owned());
        let about = About { id, cwd, branch: "main".to_owned(), source: Source::Cli };
        world.create(name, Codex::new(about), "~/.quill", "");
        let file = world.files.get_mut(name).unwrap();
        (file.talk, file.agent) = (Some(Talk::new(name, at)), QUILL);
    }
    let mut words = rest.split_whitespace();
    let verb = words.next().unwrap();
    let (page, part) = words.next().unwrap().split_once('.').unwrap();
    let Counters { input, output, .. } = counters(words.next().unwrap_or("0/0"));
    let mut said =
        json!({"at": at.to_string(), "by": "quill", "model": "plume-2", "in": input, "out": output});
    match verb {
        "asks" => said["by"] = json!("person"),
        "says" => {}
        "writes" => said["writes"] = json!("x"),
        "done" => said["done"] = json!(true),
        _ => panic!("not understood: {verb}"),
    }
    let talk = world.files.get_mut(name).unwrap().talk.as_mut().unwrap();
    let (page, text) = talk.write(page.parse().unwrap(), part.parse().unwrap(), said);
    world.write_page(name, &page, &text);
}

/// `NAME VERB …` of one of Claude Code's sessions.
fn claude(world: &mut World, name: &str, rest: &str) {
    let at = world.now().wall;
    if !world.files.contains_key(name) {
        let about = About {
            id: name.to_owned(),
            cwd: "/home/u/app".to_owned(),
            branch: "main".to_owned(),
            source: Source::Cli,
        };
        let writer = Claude::new(name, &about.cwd);
        world.create(name, Codex::new(about), "~/.claude", "");
        let file = world.files.get_mut(name).unwrap();
        (file.claude, file.agent) = (Some(writer), Agent::CLAUDE);
    }
    let claude = world.files.get_mut(name).unwrap().claude.as_mut().unwrap();
    let (verb, numbers) = rest.split_once(' ').unwrap_or((rest, "10/10"));
    let Counters { input, output, .. } = counters(if numbers.contains('/') { numbers } else { "10/10" });
    let line = match verb {
        "turn" => claude.turn(at),
        "runs" => claude.call(at, "Bash", input, output),
        "asks" => claude.call(at, "AskUserQuestion", input, output),
        "done" => claude.done(at),
        "end" => claude.end(at),
        "leaves" => claude.end_with_agents(at, numbers.parse().unwrap_or(1)),
        "words" => claude.last_words(at),
        "notified" => claude.notified(at),
        "shell" => claude.command(at),
        "shelled" => claude.command_done(at),
        "breaks" => claude.interrupted(at),
        _ => panic!("not understood: {verb}"),
    };
    world.append(name, &line);
}

/// `NAME VERB …` of one of Copilot CLI's sessions.
fn copilot(world: &mut World, name: &str, rest: &str) {
    let at = world.now().wall;
    if !world.files.contains_key(name) {
        let (id, cwd) = (name.to_owned(), "/home/u/app".to_owned());
        let about = About { id, cwd, branch: "main".to_owned(), source: Source::Cli };
        let (writer, first) = Copilot::new(name, &about.cwd, at);
        world.create(name, Codex::new(about), "~/.copilot", "");
        let file = world.files.get_mut(name).unwrap();
        (file.copilot, file.agent) = (Some(writer), Agent::COPILOT);
        world.append(name, &first);
    }
    let copilot = world.files.get_mut(name).unwrap().copilot.as_mut().unwrap();
    let (verb, numbers) = rest.split_once(' ').unwrap_or((rest, "10/10"));
    let Counters { input, output, .. } = counters(numbers);
    let line = match verb {
        "turn" => copilot.turn(at),
        "runs" => copilot.runs(at, Some(input), output),
        "asks" => copilot.asks(at),
        "answered" => copilot.answered(at),
        "done" => copilot.done(at),
        "end" => copilot.end(at, Some(input), output),
        "breaks" => copilot.breaks(at),
        "exits" => copilot.exits(at, input, output),
        "resumes" => copilot.resumes(at),
        "old-runs" => copilot.runs(at, None, output),
        "old-end" => copilot.end(at, None, output),
        _ => panic!("not understood: {verb}"),
    };
    world.append(name, &line);
}

fn start(world: &mut World, name: &str, words: &str) {
    let word =
        |key: &str| words.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let source = match (word("source"), word("parent")) {
        (_, Some(parent)) => Source::SubAgentOf(parent.to_owned()),
        (Some("exec"), _) => Source::Exec,
        _ => Source::Cli,
    };
    let about = About {
        id: name.to_owned(),
        cwd: word("cwd").unwrap_or("/home/u/app").to_owned(),
        branch: word("branch").unwrap_or("main").to_owned(),
        source,
    };
    let codex = Codex::new(about);
    let at = world.now().wall;
    let model = word("model").unwrap_or("gpt-5.6-sol");
    let first = codex.meta(at) + &codex.context(at, model);
    world.create(name, codex, word("home").unwrap_or("~/.codex"), model);
    world.append(name, &first);
}

/// `1000+9000/200(50)`: input, cached input, output, reasoning; all but the first may be left out.
fn counters(text: &str) -> Counters {
    let (input, output) = text.split_once('/').unwrap_or((text, "0"));
    let (input, cached) = input.split_once('+').unwrap_or((input, "0"));
    let (output, reasoning) = output.split_once('(').unwrap_or((output, "0)"));
    let number = |text: &str| text.parse().unwrap();
    Counters {
        input: number(input),
        cached: number(cached),
        output: number(output),
        reasoning: number(reasoning.trim_end_matches(')')),
    }
}

/// `[family=NAME] [reached] 5h=36@14:20 weekly=53`: consumed shares, with the clock time of the reset. `none`: an empty
/// object; nothing: null.
fn limits_of(text: &str, now: Now) -> Option<Limits> {
    if text.is_empty() {
        return None;
    }
    let mut limits = Limits::default();
    for word in text.split_whitespace() {
        match word.split_once('=') {
            Some(("family", name)) => limits.family = Some(name.to_owned()),
            Some((label, value)) => {
                let (used, reset) =
                    value.split_once('@').map_or((value, None), |(used, at)| (used, Some(at)));
                let minutes = match label {
                    "5h" => 300,
                    "weekly" => 10_080,
                    "monthly" => 43_200,
                    _ => panic!("not understood: {word}"),
                };
                let default = now.wall + Duration::from_secs(minutes * 60);
                let resets_at = Some(reset.map_or(default, clock));
                limits.windows.push(Window { minutes, used: used.parse().unwrap(), resets_at });
            }
            None if word == "reached" => limits.reached = true,
            None if word == "none" => {}
            None => panic!("not understood: {word}"),
        }
    }
    Some(limits)
}

/// `14:20` or `14:20:30` of the first day.
fn clock(text: &str) -> Timestamp {
    BEGIN - Duration::from_secs(10 * 3600)
        + time(&if text.matches(':').count() == 1 { format!("{text}:00") } else { text.to_owned() })
}

/// `1:02:03.500`, `02:03`
fn time(text: &str) -> Duration {
    text.split(':').fold(Duration::ZERO, |sum, part| {
        sum * 60
            + Duration::try_from_secs_f64(part.parse().unwrap_or_else(|_| panic!("no time: {text}"))).unwrap()
    })
}
