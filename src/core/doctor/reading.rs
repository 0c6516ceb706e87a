//! What is needed to see sessions: the settings, the session folders, the system's watches.

use super::{Check, DatabaseFacts, Facts, Grade, HomeFacts, LiveFacts, LiveServer, Sessions, ago, state_of};
use crate::names::listed;
use crate::remote::RemoteState;
use crate::source::Agent;

/// The key that has its own check.
const APPLICATION_ID: &str = "discord.application_id";

/// The watchers that the daemon uses: for sessions, for the settings, for Discord's sockets.
const WATCHERS: u64 = 3;

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = config(facts);
    checks.push(application_id(facts));
    checks.extend(sessions(facts));
    checks.extend(facts.live.iter().filter_map(live));
    checks.push(watches(facts));
    checks.extend(facts.remotes.iter().map(super::remotes::check));
    checks
}

fn config(facts: &Facts) -> Vec<Check> {
    const NAME: &str = "settings";
    let path = &facts.config.path;
    let issues = facts.config.issues.iter().filter(|(issue, _)| !is_about_application_id(issue));
    let checks: Vec<Check> = issues
        .map(|(issue, line)| {
            let hint = issue.hint.clone().unwrap_or_else(|| {
                format!("correct {path}, then look at it with `agent-presence config check`")
            });
            Check::new(NAME, state_of(issue.severity), line).hint(hint)
        })
        .collect();
    if !checks.is_empty() {
        return checks;
    }
    let found = if facts.config.exists { "no problems" } else { "no such file, the defaults are used" };
    vec![Check::new(NAME, Grade::Ok, format!("{path}: {found}"))]
}

fn is_about_application_id(issue: &crate::config::Issue) -> bool {
    issue.key.as_deref() == Some(APPLICATION_ID)
}

fn application_id(facts: &Facts) -> Check {
    const NAME: &str = "application id";
    let wrong = facts.config.issues.iter().find(|(issue, _)| is_about_application_id(issue));
    let how = crate::config::APPLICATION_ID_HINT;
    match (&facts.application_id, wrong) {
        (None, Some((issue, line))) => {
            Check::new(NAME, Grade::Failure, line).hint(issue.hint.as_deref().unwrap_or(how))
        }
        (Some(_), Some((issue, line))) => {
            Check::new(NAME, state_of(issue.severity), line).hint(issue.hint.as_deref().unwrap_or(how))
        }
        (Some((id, origin)), None) => Check::new(NAME, Grade::Ok, format!("{id} ({origin})")),
        (None, None) => Check::new(NAME, Grade::Failure, "there is none, so nothing can be shown in Discord")
            .hint(
                "set it up with `agent-presence setup`: an application of yours at \
                 https://discord.com/developers/applications has one",
            ),
    }
}

fn sessions(facts: &Facts) -> Vec<Check> {
    const NAME: &str = "sessions";
    let is_heard = facts.remotes.iter().any(|remote| remote.report.state == RemoteState::Connected);
    if facts.homes.is_empty() && !is_heard {
        let switches = listed(&Agent::ALL.map(|agent| format!("sources.{}", agent.word())), "or");
        return vec![
            Check::new(NAME, Grade::Failure, "no agent is read")
                .hint(format!("set {switches} to true in the settings file")),
        ];
    }
    let is_empty = |home: &HomeFacts| home.sessions == Sessions::Missing && home.databases.is_empty();
    if !is_heard && facts.homes.len() > 1 && facts.homes.iter().all(is_empty) {
        return vec![no_agent(&facts.homes)];
    }
    // One agent is enough, on this machine or a remote: most people do not have all agents.
    let is_any = is_heard || facts.homes.iter().any(|home| matches!(home.sessions, Sessions::Read { .. }));
    let check = |home: &HomeFacts| {
        let HomeFacts { agent, path, .. } = home;
        let agent = agent.card_name();
        match &home.sessions {
            Sessions::Missing if is_any => {
                Check::new(NAME, Grade::Skipped, format!("{agent}: no session folder in {path}"))
            }
            Sessions::Missing => {
                Check::new(NAME, Grade::Failure, format!("{agent}: no session folder in {path}")).hint(
                    format!(
                        "start a session in {agent} once; if its home is elsewhere, name it in sources.{}",
                        home.agent.spec().homes.key
                    ),
                )
            }
            Sessions::Unreadable { path, cause } => {
                Check::new(NAME, Grade::Failure, format!("{agent}: could not read {path}: {cause}"))
                    .hint(format!("make it a folder that you may read, e.g. `chmod u+rx {path}`"))
            }
            Sessions::Silent => Check::new(NAME, Grade::Failure, format!("{agent}: {path} does not answer"))
                .hint("see whether its file system is still connected"),
            Sessions::Read { sessions: 0, .. } => {
                Check::new(NAME, Grade::Warning, format!("{agent}: no session in {path} yet"))
                    .hint(format!("start a session in {agent}"))
            }
            Sessions::Read { sessions, newest, .. } => {
                let newest = newest.map(|at| format!(", the newest {}", ago(at, facts.now)));
                let newest = newest.unwrap_or_default();
                let word = if *sessions == 1 { "session" } else { "sessions" };
                Check::new(NAME, Grade::Ok, format!("{agent}: {sessions} {word} in {path}{newest}"))
            }
        }
    };
    facts.homes.iter().flat_map(|home| [check(home)].into_iter().chain(databases(home))).collect()
}

/// The tables of each database in a home, and what of it is not read.
fn databases(home: &HomeFacts) -> impl Iterator<Item = Check> {
    const NAME: &str = "sessions";
    let agent = home.agent.card_name();
    home.databases.iter().map(move |DatabaseFacts { name, versions, unread }| match unread {
        Some(why) => {
            let (cause, hint) = why.split_once("; hint: ").unwrap_or((why, "it is read again automatically"));
            Check::new(NAME, Grade::Warning, format!("{agent}: could not read {name}: {cause}")).hint(hint)
        }
        None if versions.is_empty() => {
            Check::new(NAME, Grade::Skipped, format!("{agent}: {name} has no table with sessions"))
        }
        None => {
            let versions = listed(versions, "and");
            Check::new(NAME, Grade::Ok, format!("{agent}: {name} has the tables of {versions}"))
        }
    })
}

/// No agent was ever used here: one check for all homes.
fn no_agent(homes: &[HomeFacts]) -> Check {
    let mut agents: Vec<_> = homes.iter().map(|home| home.agent).collect();
    agents.dedup();
    let names: Vec<&str> = agents.iter().map(|agent| agent.card_name()).collect();
    let keys: Vec<String> =
        agents.iter().map(|agent| format!("sources.{}", agent.spec().homes.key)).collect();
    let paths: Vec<&str> = homes.iter().map(|home| home.path.as_str()).collect();
    let message = format!("no agent was used here yet: no session folder in {}", listed(&paths, "or"));
    let hint = format!(
        "start a session in {} once; if its home is elsewhere, name it in {}",
        listed(&names, "or"),
        listed(&keys, "or")
    );
    Check::new("sessions", Grade::Failure, message).hint(hint)
}

fn live(facts: &LiveFacts) -> Option<Check> {
    let LiveFacts { agent, socket, found } = facts;
    let live = agent.spec().live.as_ref()?;
    let (agent, name, key) = (agent.card_name(), live.name, live.key);
    Some(match found {
        LiveServer::Absent => {
            Check::new(name, Grade::Skipped, format!("{agent}: none is running at {socket}"))
        }
        LiveServer::Listening => {
            Check::new(name, Grade::Ok, format!("{agent}: one is listened to at {socket}"))
        }
        LiveServer::Unfit(cause) => Check::new(
            name,
            Grade::Warning,
            format!("{agent}: the one at {socket} is not listened to: {cause}"),
        )
        .hint(format!("sources.{key} = false does without it; everything else is read as before")),
    })
}

fn watches(facts: &Facts) -> Check {
    const NAME: &str = "file watching";
    let read = |home: &HomeFacts| match home.sessions {
        Sessions::Read { folders, polled, .. } => Some((u64::try_from(folders).unwrap_or(u64::MAX), polled)),
        _ => None,
    };
    let polled = facts.homes.iter().find(|home| read(home).is_some_and(|(_, polled)| polled));
    if let Some(home) = polled {
        let message = format!("{} is on a network file system, so the sessions in use are polled", home.path);
        return Check::new(NAME, Grade::Warning, message)
            .hint("run agent-presence on the machine (or inside the WSL) where the agent runs");
    }
    let needed = facts.homes.iter().filter_map(read).map(|(folders, _)| folders).fold(0, u64::saturating_add);
    let Some(limits) = facts.watches else {
        return Check::new(NAME, Grade::Ok, format!("{needed} folders; this system sets no limit"));
    };
    let raise = |name: &str, to: u64| {
        format!(
            "raise it: put `fs.inotify.{name}={to}` into /etc/sysctl.d/90-inotify.conf, then `sudo sysctl --system`"
        )
    };
    if !limits.is_one_free {
        let message = format!(
            "other programs of this user have all {} watchers that the system allows; without one, sessions are polled",
            limits.instances
        );
        let more = limits.instances.saturating_mul(4).max(512);
        return Check::new(NAME, Grade::Warning, message).hint(raise("max_user_instances", more));
    }
    if needed > limits.watches / 2 {
        let message = format!(
            "{needed} folders are to be watched, and all programs of this user share {} watches; \
             beyond the limit the sessions in use are polled",
            limits.watches
        );
        return Check::new(NAME, Grade::Warning, message)
            .hint(raise("max_user_watches", needed.saturating_mul(4).max(65_536)));
    }
    if limits.instances < WATCHERS {
        let message =
            format!("{WATCHERS} watchers are needed, and the system allows {} per user", limits.instances);
        return Check::new(NAME, Grade::Warning, message).hint(raise("max_user_instances", 128));
    }
    Check::new(NAME, Grade::Ok, format!("{needed} folders, of {} that can be watched", limits.watches))
}
