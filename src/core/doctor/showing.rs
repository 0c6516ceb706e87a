//! What is needed to show cards: Discord clients, a daemon, its links, and Discord's own activity sharing.

use std::cmp::Ordering;

use super::{Check, DaemonState, Facts, Grade, Login, Running, ago};
use crate::publish::codes::{REFUSED_HINT, REJECTED_HINT};
use crate::publish::{LinkState, LinkStatus};
use crate::takeover::compare_versions;

/// Discord's own switch. A program cannot read it.
const SHARING: &str = "if friends see nothing: in Discord's settings, under Activity Privacy, switch on \"Share your \
                       detected activities with others\", and do not be invisible";

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = clients(facts);
    checks.extend(facts.foreign_sockets.iter().map(|socket| {
        Check::new(
            "discord clients",
            Grade::Warning,
            format!("{socket} belongs to another user, so no card is sent there"),
        )
        .hint("if it blocks your own Discord, have it removed, and restart Discord")
    }));
    checks.push(daemon(facts));
    checks.extend(links(facts));
    checks
}

fn clients(facts: &Facts) -> Vec<Check> {
    const NAME: &str = "discord clients";
    if facts.clients.is_empty() {
        let message = if facts.clients_named {
            "the settings name no client, so no card is shown"
        } else {
            "none is running"
        };
        let hint = if facts.clients_named {
            "set discord.clients to \"all\", or name one"
        } else {
            "start Discord's desktop application; in a browser it cannot take cards, and neither can a Discord on \
             Windows from within WSL"
        };
        return vec![Check::new(NAME, Grade::Warning, message).hint(hint)];
    }
    let check = |client: &super::Client| {
        let (name, endpoint) = (&client.name, &client.endpoint);
        if !client.is_there {
            return Check::new(NAME, Grade::Warning, format!("nothing is at {endpoint}"))
                .hint("start that Discord, or set discord.clients to \"all\"");
        }
        match client.listens {
            Some(false) => Check::new(
                NAME,
                Grade::Warning,
                format!("no process listens at {endpoint}; {name} left it behind"),
            )
            .hint("start Discord; it does no harm that the socket is there"),
            Some(true) | None => Check::new(NAME, Grade::Ok, format!("{name} at {endpoint}")),
        }
    };
    facts.clients.iter().map(check).collect()
}

fn daemon(facts: &Facts) -> Check {
    const NAME: &str = "daemon";
    let running = match &facts.daemon {
        DaemonState::NotRunning { paused_until: Some(_) } => {
            return Check::new(NAME, Grade::Warning, "not running, and paused")
                .hint("start it with `agent-presence run`, then end the pause with `agent-presence resume`");
        }
        DaemonState::NotRunning { paused_until: None } => {
            return Check::new(NAME, Grade::Warning, "not running").hint(
                "start it with `agent-presence run`, or now and at every login with `agent-presence autostart enable`",
            );
        }
        DaemonState::Unresponsive { pid, cause } => {
            let message = format!("{cause}{}", process(*pid));
            return Check::new(NAME, Grade::Failure, message)
                .hint("`agent-presence run` takes over from a daemon that hangs");
        }
        DaemonState::Running(running) => running,
    };
    let since = running.started_at.map(|at| format!(", started {}", ago(at, facts.now))).unwrap_or_default();
    let message = format!("running{}{since}", process(running.pid));
    let other_version = running.version.as_ref().filter(|version| **version != facts.version);
    match other_version {
        _ if running.paused_until.is_some() => {
            Check::new(NAME, Grade::Warning, format!("{message}, paused")).hint("`agent-presence resume`")
        }
        _ if !running.to_discord => {
            Check::new(NAME, Grade::Warning, format!("{message}, showing cards in a terminal only"))
                .hint("end the dry run, then start `agent-presence run`")
        }
        Some(version) if compare_versions(version, &facts.version) == Some(Ordering::Greater) => {
            let message = format!("{message}, of version {version}, and this is the older {}", facts.version);
            Check::new(NAME, Grade::Warning, message).hint("use the program that it runs, or remove this one")
        }
        Some(version) => {
            let message = format!("{message}, of version {version}, and this is {}", facts.version);
            Check::new(NAME, Grade::Warning, message).hint(renew(facts))
        }
        None if running.is_replaced => {
            let message = format!("{message}, and its program was replaced since");
            Check::new(NAME, Grade::Warning, message).hint(renew(facts))
        }
        None => Check::new(NAME, Grade::Ok, message),
    }
}

/// How to replace a daemon of an older program after an update.
fn renew(facts: &Facts) -> &'static str {
    match facts.login {
        Login::Enabled { .. } => {
            "an update was not started yet: `agent-presence stop`, then `agent-presence autostart enable`"
        }
        _ => "an update was not started yet: `agent-presence run` takes over from the older one",
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

fn links(facts: &Facts) -> Vec<Check> {
    const NAME: &str = "link";
    const SHARED: &str = "activity sharing";
    let skipped = |why: &str| {
        vec![
            Check::new(NAME, Grade::Skipped, why),
            Check::new(SHARED, Grade::Skipped, "no card was shown yet"),
        ]
    };
    let links = match &facts.daemon {
        DaemonState::Running(Running { links, to_discord: true, .. }) => links,
        DaemonState::Running(_) => return skipped("the daemon does not talk to Discord"),
        DaemonState::NotRunning { .. } | DaemonState::Unresponsive { .. } => {
            return skipped("only a daemon has one");
        }
    };
    if links.is_empty() {
        return skipped("the daemon has found no Discord client, or has no application id");
    }
    let mut checks: Vec<Check> = links.iter().map(|status| link(status, facts)).collect();
    let is_shown = |link: &LinkStatus| link.state == LinkState::Connected && link.last_ack_at.is_some();
    checks.push(if links.iter().any(is_shown) {
        Check::new(SHARED, Grade::Ok, "Discord accepts cards; it does not report whether friends see them")
            .hint(SHARING)
    } else {
        Check::new(SHARED, Grade::Skipped, "no card was shown yet")
    });
    checks
}

fn link(link: &LinkStatus, facts: &Facts) -> Check {
    const NAME: &str = "link";
    let place = format!("{} at {}", link.client, link.endpoint);
    let acked = match link.last_ack_at {
        Some(at) => format!("last card confirmed {}", ago(at, facts.now)),
        None => "no card confirmed yet".to_owned(),
    };
    match (link.state, &link.last_error) {
        (LinkState::Rejected, error) => {
            let reason = error.as_deref().unwrap_or("the application id was not accepted");
            Check::new(NAME, Grade::Failure, format!("{place}: {reason}")).hint(REJECTED_HINT)
        }
        (LinkState::Connected, Some(error)) => {
            Check::new(NAME, Grade::Warning, format!("{place}: {acked}; last refused: {error}"))
                .hint(REFUSED_HINT)
        }
        (LinkState::Connected, None) => Check::new(NAME, Grade::Ok, format!("{place}: {acked}")),
        (LinkState::Connecting, _) => Check::new(NAME, Grade::Ok, format!("{place}: connecting")),
        (LinkState::Waiting, error) => {
            let why = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            Check::new(NAME, Grade::Warning, format!("{place}: waiting for Discord{why}"))
                .hint("it is tried again automatically; if it stays so, restart Discord")
        }
    }
}
