//! Every judgement, by facts that no machine has to be brought to.
//! Longer than other files because it is a list: each judgement stands alone.

use std::time::Duration;

use agent_presence::core::config::{ConfigContext, Effective};
use agent_presence::core::doctor::remotes::RemoteFacts;
use agent_presence::core::doctor::{
    Check, Client, Config, DaemonState, DatabaseFacts, Facts, Grade, HomeFacts, LiveFacts, LiveServer, Lock,
    Login, RecordState, Running, Sessions, StateFolder, StateFolderKind, WatchLimits, checks, is_healthy,
};
use agent_presence::core::publish::{LinkState, LinkStatus};
use agent_presence::core::remote::{RemoteReport, RemoteState};
use agent_presence::core::source::Agent;
use jiff::{SignedDuration, Timestamp};

fn now() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

fn minutes_ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

fn link() -> LinkStatus {
    LinkStatus {
        endpoint: "/run/discord-ipc-0".to_owned(),
        client: "Discord".to_owned(),
        state: LinkState::Connected,
        last_ack_at: Some(minutes_ago(3)),
        last_error: None,
    }
}

fn running() -> Running {
    Running {
        pid: Some(42),
        version: Some("0.1.0".to_owned()),
        started_at: Some(minutes_ago(150)),
        is_replaced: false,
        paused_until: None,
        to_discord: true,
        links: vec![link()],
        problems: Vec::new(),
    }
}

fn read(folders: usize) -> Sessions {
    Sessions::Read { folders, sessions: 2, newest: Some(minutes_ago(0)), polled: false }
}

fn home(agent: Agent, sessions: Sessions) -> HomeFacts {
    HomeFacts { agent, path: format!("/home/ada/.{}", agent.word()), sessions, databases: Vec::new() }
}

fn folder(mode: u32) -> StateFolderKind {
    StateFolderKind::Folder { mode: Some(mode), is_ours: true, is_writable: true, free: Some(1 << 30) }
}

fn healthy() -> Facts {
    Facts {
        now: now(),
        version: "0.1.0".to_owned(),
        config: Config { path: "/config.toml".to_owned(), exists: true, issues: Vec::new() },
        application_id: Some(("1234567890123456789".to_owned(), "file, line 2".to_owned())),
        homes: vec![home(Agent::CODEX, read(10))],
        live: Vec::new(),
        remotes: Vec::new(),
        watches: Some(WatchLimits { watches: 65_536, instances: 128, is_one_free: true }),
        clients: vec![Client {
            name: "Discord".to_owned(),
            endpoint: "/run/discord-ipc-0".to_owned(),
            is_there: true,
            listens: None,
        }],
        clients_named: false,
        foreign_sockets: Vec::new(),
        daemon: DaemonState::Running(running()),
        login: Login::Enabled { place: "systemd user unit /u".to_owned() },
        exposed: None,
        lock: Lock::Held,
        record: RecordState::Of { pid: 42, is_ours: true },
        state: StateFolder { path: "/state".to_owned(), found: folder(0o40_700) },
    }
}

/// The settings' issues as the program would have them.
fn with_settings(facts: &mut Facts, text: &str) {
    let effective = Effective::read(text, &ConfigContext::default());
    facts.config.issues =
        effective.issues.into_iter().map(|issue| (issue.clone(), issue.to_string())).collect();
    if effective.settings.discord.application_id.is_empty() {
        facts.application_id = None;
    }
}

fn text(check: &Check) -> String {
    format!("{} {}: {}", check.state.word(), check.name, check.message)
}

#[test]
fn agents_on_another_machine_are_enough() {
    let report = RemoteReport {
        state: RemoteState::Connected,
        version: Some("0.1.0".to_owned()),
        last_error: None,
        ..RemoteReport::unheard("devbox")
    };
    let mut facts = healthy();
    facts.homes = vec![home(Agent::CODEX, Sessions::Missing), home(Agent::CLAUDE, Sessions::Missing)];
    assert!(!is_healthy(&checks(&facts)));
    facts.remotes = vec![RemoteFacts { report, apart: Duration::from_secs(3600) }];
    assert!(is_healthy(&checks(&facts)));
    let lines: Vec<String> = checks(&facts).iter().map(text).collect();
    let said =
        "ok remote: devbox: agent-presence 0.1.0 answers; its clock is off by 60 min, which is corrected";
    assert!(lines.iter().any(|line| line == said), "{lines:#?}");
}

#[test]
fn a_healthy_set_up_passes_every_check() {
    let checks = checks(&healthy());
    let lines: Vec<String> = checks.iter().map(text).collect();
    assert_eq!(
        lines,
        [
            "ok settings: /config.toml: no problems",
            "ok application id: 1234567890123456789 (file, line 2)",
            "ok sessions: Codex: 2 sessions in /home/ada/.codex, the newest just now",
            "ok file watching: 10 folders, of 65536 that can be watched",
            "ok discord clients: Discord at /run/discord-ipc-0",
            "ok daemon: running (process 42), started 2 h ago",
            "ok link: Discord at /run/discord-ipc-0: last card confirmed 3 min ago",
            "ok activity sharing: Discord accepts cards; it does not report whether friends see them",
            "ok login entry: systemd user unit /u starts this program at login",
            "ok lock: held by process 42",
            "ok state folder: /state: yours alone, and writable",
        ]
    );
    let hints: Vec<&str> = checks.iter().filter_map(|check| check.hint.as_deref()).collect();
    assert!(hints.len() == 1 && hints[0].contains("Activity Privacy"), "{hints:?}");
    assert!(is_healthy(&checks));
}

/// What is found after `plant`: one line, and words of its hint.
#[track_caller]
fn check(plant: impl FnOnce(&mut Facts), line: &str, hint: &str) {
    let mut facts = healthy();
    plant(&mut facts);
    let found = checks(&facts);
    let lines: Vec<String> = found.iter().map(text).collect();
    let at = lines.iter().position(|found| found == line);
    let check = &found[at.unwrap_or_else(|| panic!("{line} is not in {lines:#?}"))];
    let given = check.hint.as_deref().unwrap_or_default();
    assert!(given.contains(hint), "{hint} is not in the hint `{given}`");
    assert!(
        !matches!(check.state, Grade::Warning | Grade::Failure) || !given.is_empty(),
        "{line} needs a hint"
    );
    assert_eq!(is_healthy(&found), found.iter().all(|check| check.state != Grade::Failure));
}

#[test]
fn settings_are_judged() {
    check(
        |facts| with_settings(facts, "[card]\nidle_after = \"soon\""),
        "failure settings: line 2: card.idle_after: expected a duration from 1m to 24h, found \"soon\": each part is a \
         number and a unit",
        "correct /config.toml",
    );
    check(
        |facts| with_settings(facts, "[discord\n"),
        "failure settings: line 1: not valid TOML: unclosed table, expected `]`",
        "correct /config.toml",
    );
    check(
        |facts| with_settings(facts, "[discord]\napplication_id = \"1234567890123456789\"\nclient = \"all\""),
        "warning settings: line 3: discord.client: unknown key, it has no effect",
        "clients",
    );
    check(
        |facts| with_settings(facts, ""),
        "failure application id: there is none, so nothing can be shown in Discord",
        "agent-presence setup",
    );
    check(
        |facts| with_settings(facts, "[discord]\napplication_id = \"123\""),
        "failure application id: line 2: discord.application_id: expected 17 to 20 digits in quotes, found \"123\"",
        "https://discord.com/developers/applications",
    );
}

#[test]
fn servers_of_agents_are_judged() {
    let found = |found: LiveServer| {
        move |facts: &mut Facts| {
            let socket = "/home/ada/.codex/s".to_owned();
            facts.live = vec![LiveFacts { agent: Agent::CODEX, socket, found }];
        }
    };
    check(found(LiveServer::Absent), "skipped app server: Codex: none is running at /home/ada/.codex/s", "");
    check(found(LiveServer::Listening), "ok app server: Codex: one is listened to at /home/ada/.codex/s", "");
    check(
        found(LiveServer::Unfit("another user listens there".to_owned())),
        "warning app server: Codex: the one at /home/ada/.codex/s is not listened to: another user listens there",
        "sources.codex_live = false",
    );
}

#[test]
fn sessions_are_judged() {
    check(|facts| facts.homes.clear(), "failure sessions: no agent is read", "sources.codex");
    check(
        |facts| facts.homes = vec![home(Agent::CODEX, Sessions::Missing)],
        "failure sessions: Codex: no session folder in /home/ada/.codex",
        "sources.codex_home",
    );
    check(
        |facts| {
            let claude = || home(Agent::CLAUDE, Sessions::Missing);
            facts.homes = vec![home(Agent::CODEX, Sessions::Missing), claude(), claude()];
        },
        "failure sessions: no agent was used here yet: no session folder in /home/ada/.codex, /home/ada/.claude or \
         /home/ada/.claude",
        "start a session in Codex or Claude Code once; if its home is elsewhere, name it in sources.codex_home or \
         sources.claude_home",
    );
    check(
        |facts| facts.homes.push(home(Agent::CLAUDE, Sessions::Missing)),
        "skipped sessions: Claude Code: no session folder in /home/ada/.claude",
        "",
    );
    let refused = Sessions::Unreadable { path: "/s".to_owned(), cause: "permission denied".to_owned() };
    check(
        |facts| facts.homes.push(home(Agent::CLAUDE, refused)),
        "failure sessions: Claude Code: could not read /s: permission denied",
        "chmod u+rx /s",
    );
    check(
        |facts| facts.homes = vec![home(Agent::CODEX, Sessions::Silent)],
        "failure sessions: Codex: /home/ada/.codex does not answer",
        "file system",
    );
    let empty = Sessions::Read { folders: 1, sessions: 0, newest: None, polled: false };
    check(
        |facts| facts.homes = vec![home(Agent::CODEX, empty)],
        "warning sessions: Codex: no session in /home/ada/.codex yet",
        "start a session",
    );
}

#[test]
fn databases_are_judged() {
    let with = |versions: &[&'static str], unread: Option<&str>| {
        let (name, versions) = ("opencode.db".to_owned(), versions.to_vec());
        let databases = vec![DatabaseFacts { name, versions, unread: unread.map(str::to_owned) }];
        HomeFacts { databases, ..home(Agent::OPENCODE, read(1)) }
    };
    check(
        |facts| facts.homes.push(with(&["2.x", "1.2 to 1.18"], None)),
        "ok sessions: OpenCode: opencode.db has the tables of 2.x and 1.2 to 1.18",
        "",
    );
    check(
        |facts| facts.homes.push(with(&[], None)),
        "skipped sessions: OpenCode: opencode.db has no table with sessions",
        "",
    );
    check(
        |facts| facts.homes.push(with(&["2.x"], Some("the database is locked by another program"))),
        "warning sessions: OpenCode: could not read opencode.db: the database is locked by another program",
        "it is read again automatically",
    );
}

#[test]
fn watches_are_judged() {
    check(
        |facts| facts.homes = vec![home(Agent::CODEX, read(40_000))],
        "warning file watching: 40000 folders are to be watched, and all programs of this user share 65536 watches; \
         beyond the limit the sessions in use are polled",
        "fs.inotify.max_user_watches=160000",
    );
    check(
        |facts| facts.watches = Some(WatchLimits { watches: 65_536, instances: 1, is_one_free: true }),
        "warning file watching: 3 watchers are needed, and the system allows 1 per user",
        "fs.inotify.max_user_instances=128",
    );
    check(
        |facts| {
            facts.watches = Some(WatchLimits { watches: 65_536, instances: 128, is_one_free: false });
        },
        "warning file watching: other programs of this user have all 128 watchers that the system allows; \
         without one, sessions are polled",
        "fs.inotify.max_user_instances=512",
    );
    let remote = Sessions::Read { folders: 1, sessions: 1, newest: None, polled: true };
    check(
        |facts| facts.homes = vec![home(Agent::CODEX, remote)],
        "warning file watching: /home/ada/.codex is on a network file system, so the sessions in use are polled",
        "on the machine",
    );
    check(|facts| facts.watches = None, "ok file watching: 10 folders; this system sets no limit", "");
}

#[test]
fn clients_are_judged() {
    check(|facts| facts.clients.clear(), "warning discord clients: none is running", "start Discord");
    check(
        |facts| {
            facts.clients.clear();
            facts.clients_named = true;
        },
        "warning discord clients: the settings name no client, so no card is shown",
        "\"all\"",
    );
    check(
        |facts| facts.clients[0].is_there = false,
        "warning discord clients: nothing is at /run/discord-ipc-0",
        "start that Discord",
    );
    check(
        |facts| facts.clients[0].listens = Some(false),
        "warning discord clients: no process listens at /run/discord-ipc-0; Discord left it behind",
        "start Discord",
    );
}

#[test]
fn daemons_are_judged() {
    #[track_caller]
    fn with(change: impl FnOnce(&mut Running), line: &str, hint: &str) {
        let mut daemon = running();
        change(&mut daemon);
        check(|facts| facts.daemon = DaemonState::Running(daemon), line, hint);
    }
    check(
        |facts| facts.daemon = DaemonState::NotRunning { paused_until: None },
        "warning daemon: not running",
        "autostart enable",
    );
    check(
        |facts| facts.daemon = DaemonState::NotRunning { paused_until: Some(minutes_ago(-60)) },
        "warning daemon: not running, and paused",
        "agent-presence resume",
    );
    check(
        |facts| {
            facts.daemon = DaemonState::Unresponsive { pid: Some(7), cause: "it does not answer".to_owned() }
        },
        "failure daemon: it does not answer (process 7)",
        "takes over",
    );
    let base = "warning daemon: running (process 42), started 2 h ago";
    with(|daemon| daemon.paused_until = Some(now()), &format!("{base}, paused"), "resume");
    with(
        |daemon| daemon.version = Some("0.0.9".to_owned()),
        &format!("{base}, of version 0.0.9, and this is 0.1.0"),
        "`agent-presence stop`, then `agent-presence autostart enable`",
    );
    with(
        |daemon| daemon.is_replaced = true,
        &format!("{base}, and its program was replaced since"),
        "an update was not started yet",
    );
    with(
        |daemon| daemon.version = Some("0.10.0".to_owned()),
        &format!("{base}, of version 0.10.0, and this is the older 0.1.0"),
        "use the program that it runs",
    );
    check(
        |facts| {
            facts.login = Login::Disabled;
            facts.daemon = DaemonState::Running(Running { version: Some("0.0.9".to_owned()), ..running() });
        },
        &format!("{base}, of version 0.0.9, and this is 0.1.0"),
        "`agent-presence run` takes over from the older one",
    );
    with(
        |daemon| daemon.to_discord = false,
        &format!("{base}, showing cards in a terminal only"),
        "agent-presence run",
    );
    with(|daemon| daemon.links.clear(), "skipped activity sharing: no card was shown yet", "");
    let place = "Discord at /run/discord-ipc-0";
    with(
        |daemon| daemon.links[0].last_error = Some("4000: child \"activity\" fails".to_owned()),
        &format!(
            "warning link: {place}: last card confirmed 3 min ago; last refused: 4000: child \"activity\" fails"
        ),
        "preview",
    );
    with(
        |daemon| {
            daemon.links[0].state = LinkState::Rejected;
            daemon.links[0].last_error = Some("4000: Invalid Client ID".to_owned());
        },
        &format!("failure link: {place}: 4000: Invalid Client ID"),
        "developer portal",
    );
    with(
        |daemon| daemon.links[0].state = LinkState::Waiting,
        &format!("warning link: {place}: waiting for Discord"),
        "automatically",
    );
    with(
        |daemon| daemon.links[0].last_ack_at = None,
        &format!("ok link: {place}: no card confirmed yet"),
        "",
    );
}

#[test]
fn login_entries_are_judged() {
    check(
        |facts| facts.exposed = Some("/opt/bin".to_owned()),
        "warning login program: other users may write to /opt/bin, so they decide what login starts for you",
        "chmod go-w /opt/bin",
    );
    check(
        |facts| facts.login = Login::Disabled,
        "skipped login entry: nothing is started at login",
        "enable",
    );
    let differs = |is_gone| Login::Differs {
        place: "systemd user unit /u".to_owned(),
        hint: Some("it starts /old; register this program with …".to_owned()),
        is_gone,
    };
    let line = "login entry: systemd user unit /u does not start this program";
    check(|facts| facts.login = differs(true), &format!("failure {line}"), "/old");
    check(|facts| facts.login = differs(false), &format!("warning {line}"), "/old");
    check(
        |facts| facts.login = Login::SwitchedOff { hint: Some("in Task Manager".to_owned()) },
        "skipped login entry: switched off by you with the system's own means",
        "Task Manager",
    );
}

#[test]
fn locks_and_records_are_judged() {
    let stranger = RecordState::Of { pid: 9, is_ours: false };
    for (lock, record, answers, line, hint) in [
        (Lock::Free, RecordState::Absent, false, "ok lock: free", ""),
        (
            Lock::Free,
            RecordState::Of { pid: 9, is_ours: true },
            false,
            "ok lock: free; process 9 had it last",
            "",
        ),
        (
            Lock::Free,
            RecordState::Garbled,
            false,
            "warning lock: free; the record beside it is garbled",
            "next",
        ),
        (
            Lock::Free,
            stranger.clone(),
            false,
            "warning lock: its record names process 9 of another user",
            "AGENT_PRESENCE_STATE_DIR",
        ),
        (
            Lock::Held,
            stranger,
            false,
            "failure lock: its record names process 9 of another user",
            "AGENT_PRESENCE_STATE_DIR",
        ),
        (Lock::Held, RecordState::Garbled, true, "warning lock: held, and the record is garbled", "stop"),
        (Lock::Held, RecordState::Absent, false, "failure lock: held, and there is no record", "by hand"),
        (
            Lock::Unknown,
            RecordState::Absent,
            false,
            "warning lock: could not find out whether it is held",
            "local disk",
        ),
    ] {
        check(
            |facts| {
                (facts.lock, facts.record) = (lock, record);
                if !answers {
                    facts.daemon = DaemonState::NotRunning { paused_until: None };
                }
            },
            line,
            hint,
        );
    }
}

#[test]
fn state_folders_are_judged() {
    let change = |change: fn(&mut u32, &mut bool, &mut bool, &mut Option<u64>)| {
        let (mut mode, mut is_ours, mut is_writable, mut free) = (0o40_700, true, true, Some(1 << 30));
        change(&mut mode, &mut is_ours, &mut is_writable, &mut free);
        StateFolderKind::Folder { mode: Some(mode), is_ours, is_writable, free }
    };
    for (found, line, hint) in [
        (StateFolderKind::Missing { can_be_made: true }, "ok|not there yet, the first run makes it", ""),
        (
            StateFolderKind::Missing { can_be_made: false },
            "failure|not there, and it cannot be made",
            "writable",
        ),
        (StateFolderKind::NotAFolder, "failure|it is not a folder", "move it away"),
        (change(|_, is_ours, _, _| *is_ours = false), "failure|it belongs to another user", "of your own"),
        (folder(0o40_777), "failure|every user may write to it", "chmod 700 /state"),
        (folder(0o40_755), "warning|other users may look into it", "chmod 700 /state"),
        (
            change(|_, _, is_writable, _| *is_writable = false),
            "failure|you may not write to it",
            "chmod u+rwx",
        ),
        (change(|_, _, _, free| *free = Some(8 << 20)), "warning|8192 KB are free on its disk", "make room"),
        (change(|_, _, _, free| *free = Some(1000)), "failure|0 KB are free on its disk", "make room"),
        (StateFolderKind::Unreadable { cause: "no".to_owned() }, "failure|no", "readable"),
    ] {
        let (state, found_line) = line.split_once('|').unwrap();
        let line = format!("{state} state folder: /state: {found_line}");
        check(|facts| facts.state.found = found, &line, hint);
    }
}

#[test]
fn a_socket_of_another_user_is_named() {
    check(
        |facts| facts.foreign_sockets = vec!["/tmp/discord-ipc-0".to_owned()],
        "warning discord clients: /tmp/discord-ipc-0 belongs to another user, so no card is sent there",
        "have it removed",
    );
}
