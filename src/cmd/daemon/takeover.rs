//! Takes the lock: asks a running instance to hand over, and ends one that hangs.
//!
//! [`crate::core::takeover`] decides; this carries it out. Two rules always hold: no process publishes without the
//! lock, and no process gets a signal unless it is the one that the record names. Each wait has an end.
//!
//! The lock file can be removed while a daemon holds it, and a new file is then free. So a daemon is asked first, and
//! the lock is tried only where none is found.

use std::time::Duration;

use tokio::time::sleep;

use crate::control::client::{self, AskError, Connection};
use crate::control::transport::Address;
use crate::control::{Handover, Reply, Verb};
use crate::core::takeover::{
    GiveUpReason, HolderAnswer, LockRecord, NextStep, Refusal, TakeoverOptions, Verdict, next_step, verify,
};
use crate::error::{Exit, Failure};
use crate::io::clock;
use crate::io::instance::{self, AcquireError, Instance, LockState, held_by_another};
use crate::io::paths::{Environment, StateDir};
use crate::io::process::{self, Ending, Handle};

/// How long the lock may take to come free after the holder agreed.
const HANDOVER: Duration = Duration::from_secs(5);
/// How long a process may take to end once it was asked, or forced.
const ENDING: Duration = Duration::from_secs(3);
/// How long all of it may take.
const ALTOGETHER: Duration = Duration::from_secs(30);
/// How long the lock may be held while the process that the record names is gone: the new holder has not written its
/// record yet.
const UNSIGNED: Duration = Duration::from_secs(5);
/// The pause between two tries of a lock that is about to come free.
const LOOK: Duration = Duration::from_millis(10);
/// The pause before asking again; longer than `LOOK`, so that the instance that was promised the lock gets it.
const AGAIN: Duration = Duration::from_millis(100);

/// The result of [`acquire`].
#[derive(Debug)]
pub enum Outcome {
    /// This process is the instance.
    Acquired(Box<AcquiredLock>),
    /// Another instance started later and keeps the lock.
    Left {
        /// Its process id, if it is known.
        to: Option<u32>,
    },
}

/// The lock, and the state of the instance that held it before.
#[derive(Debug)]
pub struct AcquiredLock {
    /// The lock.
    pub instance: Instance,
    /// What the instance before handed over.
    pub inherited: Option<Handover>,
    /// The process that held the lock before.
    pub from: Option<u32>,
}

/// Takes the lock, also from another instance where the rules allow it.
///
/// # Errors
/// Another instance keeps the lock, or it cannot be made.
pub async fn acquire(
    state: &StateDir,
    environment: &Environment,
    options: TakeoverOptions,
) -> Result<Outcome, Failure> {
    let mut newcomer = Newcomer {
        state,
        place: Address::of(state.path(), environment),
        options,
        own: instance::own_record(),
    };
    let start = clock::now().mono;
    // The holder by its record, and since when it is the same.
    let mut known: Option<(Option<LockRecord>, Duration)> = None;
    let mut left: Option<Handover> = None;
    loop {
        let Asked { answer, handover, is_displaced } = newcomer.ask().await;
        let holder = match answer {
            HolderAnswer::Away => match newcomer.try_lock()? {
                Ok(instance) => return Ok(acquired(instance, left, known.and_then(|(holder, _)| holder))),
                Err(holder) => holder,
            },
            _ => instance::read_record(state.path()),
        };
        let now = clock::now().mono;
        if now.saturating_sub(start) > ALTOGETHER {
            return Err(running(holder.as_ref()));
        }
        let since = match &known {
            Some((before, since)) if *before == holder => *since,
            _ => now,
        };
        known = Some((holder.clone(), since));
        let waited = now.saturating_sub(since);
        match next_step(options, &newcomer.own, holder.as_ref(), answer, waited) {
            NextStep::AwaitLock => {
                let before = handover.as_ref().map(|handover| handover.pid).filter(|_| is_displaced);
                left = handover;
                if let Some(instance) = newcomer.await_lock(HANDOVER).await?
                    && has_ended(before, HANDOVER).await
                {
                    return Ok(acquired(instance, left, holder));
                }
            }
            NextStep::TryAgain => sleep(AGAIN).await,
            NextStep::Leave => return Ok(Outcome::Left { to: holder.map(|holder| holder.pid) }),
            NextStep::Evict => {
                let Some(holder) = holder else { return Err(running(None)) };
                if let Some(instance) = newcomer.evict(&holder, waited, is_displaced).await? {
                    return Ok(acquired(instance, left, Some(holder)));
                }
            }
            NextStep::GiveUp(reason) => return Err(newcomer.gave_up(reason, holder.as_ref())),
        }
    }
}

/// Takes the lock if no daemon is found; never takes over.
///
/// # Errors
/// Another instance is there, or the lock cannot be made.
pub async fn acquire_free(state: &StateDir, environment: &Environment) -> Result<Instance, Failure> {
    match client::ask(&Address::of(state.path(), environment), Verb::Status).await {
        Err(AskError::Away(_)) => Ok(Instance::acquire(state)?),
        _ => Err(running(instance::read_record(state.path()).as_ref())),
    }
}

/// The handover counts only if it came from the last holder of the lock.
fn acquired(instance: Instance, left: Option<Handover>, last: Option<LockRecord>) -> Outcome {
    // A record that is missing with its folder does not contradict.
    let inherited = left.filter(|left| last.as_ref().is_none_or(|last| last.token == left.token));
    let from = last.map(|last| last.pid).or(inherited.as_ref().map(|left| left.pid));
    Outcome::Acquired(Box::new(AcquiredLock { instance, inherited, from }))
}

/// Whether the process ends before the deadline. A process whose lock file was removed releases no lock that this one
/// could see.
async fn has_ended(pid: Option<u32>, deadline: Duration) -> bool {
    let Some(pid) = pid.filter(|pid| *pid != std::process::id()) else { return true };
    let end = clock::now().mono.saturating_add(deadline);
    while process::look(pid).is_some() {
        if clock::now().mono >= end {
            return false;
        }
        sleep(LOOK).await;
    }
    true
}

/// The answer of a running instance.
struct Asked {
    answer: HolderAnswer,
    handover: Option<Handover>,
    /// Whether the instance is there although the lock is free.
    is_displaced: bool,
}

struct Newcomer<'a> {
    state: &'a StateDir,
    place: Address,
    options: TakeoverOptions,
    own: LockRecord,
}

impl Newcomer<'_> {
    /// The lock, or the record of its holder.
    fn try_lock(&mut self) -> Result<Result<Instance, Option<LockRecord>>, Failure> {
        match Instance::try_acquire_as(self.state, || self.own.clone()) {
            Ok(instance) => Ok(Ok(instance)),
            Err(AcquireError::Held { record }) => Ok(Err(record.map(|record| *record))),
            Err(error) => Err(error.into()),
        }
    }

    async fn await_lock(&mut self, deadline: Duration) -> Result<Option<Instance>, Failure> {
        let end = clock::now().mono.saturating_add(deadline);
        loop {
            match self.try_lock()? {
                Ok(instance) => return Ok(Some(instance)),
                Err(_) if clock::now().mono >= end => return Ok(None),
                Err(_) => sleep(LOOK).await,
            }
        }
    }

    /// Asks the holder to hand over; with `no_takeover`, only whether it is healthy.
    async fn ask(&self) -> Asked {
        let mut connection = match Connection::open(&self.place).await {
            Ok(connection) => connection,
            Err(error) => return self.not_answered(&error),
        };
        if self.options.no_takeover {
            return match connection.ask(Verb::Status).await {
                Ok(_) => Asked { answer: HolderAnswer::Healthy, handover: None, is_displaced: false },
                Err(error) => self.not_answered(&error),
            };
        }
        let newcomer = Box::new(self.own.clone());
        let replace = self.options.replace;
        let (answer, handover) = match connection.ask(Verb::Handover { newcomer, replace }).await {
            Ok(reply) => answer_of(reply),
            Err(error) => return self.not_answered(&error),
        };
        let is_displaced = self.is_lock_free();
        if answer == HolderAnswer::Agreed && connection.send(Verb::Take).await.is_err() {
            return Asked { answer: HolderAnswer::Away, handover: None, is_displaced };
        }
        Asked { answer, handover, is_displaced }
    }

    fn not_answered(&self, error: &AskError) -> Asked {
        let answer = match error {
            AskError::Away(_) => HolderAnswer::Away,
            AskError::Silent => HolderAnswer::Silent,
            // A process that answers does not hang.
            AskError::Garbled(_) => HolderAnswer::Refused(Refusal::Other),
        };
        Asked { answer, handover: None, is_displaced: answer == HolderAnswer::Silent && self.is_lock_free() }
    }

    fn is_lock_free(&self) -> bool {
        held_by_another(self.state.path()) == LockState::Free
    }

    /// Ends the process that the record names, if it is still that process. `None`: ask again.
    async fn evict(
        &mut self,
        holder: &LockRecord,
        waited: Duration,
        is_displaced: bool,
    ) -> Result<Option<Instance>, Failure> {
        // The handle comes first: then the process that is checked is the one that gets the signal.
        let handle = Handle::open(holder.pid)
            .map_err(|error| unverified(holder, &format!("the system does not let it be held: {error}")))?;
        if instance::read_own_record(&self.state.folder()).as_ref() != Some(holder)
            && instance::read_record(self.state.path()).as_ref() == Some(holder)
        {
            return Err(unverified(holder, "others may write to the folder of its record"));
        }
        for ending in [Ending::Asked, Ending::Forced] {
            let process = handle.as_ref().and_then(Handle::look);
            match verify(holder, &self.own, process.as_ref()) {
                Verdict::Ours => {}
                Verdict::Gone if waited < UNSIGNED => {
                    sleep(AGAIN).await;
                    return Ok(None);
                }
                Verdict::Gone => return Err(unverified(holder, "there is no such process any more")),
                Verdict::NotOurs(why) => return Err(unverified(holder, why)),
            }
            let Some(handle) = &handle else { return Ok(None) };
            if instance::read_own_record(&self.state.folder()).as_ref() != Some(holder) {
                return Ok(None);
            }
            handle.end(ending).map_err(|error| {
                unverified(holder, &format!("the system does not let it be ended: {error}"))
            })?;
            if let Some(instance) = self.await_lock(ENDING).await?
                && has_ended(Some(holder.pid).filter(|_| is_displaced), ENDING).await
            {
                return Ok(Some(instance));
            }
        }
        Err(unverified(holder, "it was ended, but the lock is still kept"))
    }

    fn gave_up(&self, reason: GiveUpReason, holder: Option<&LockRecord>) -> Failure {
        match (reason, holder) {
            (GiveUpReason::NewerVersion, Some(holder)) => Failure::new(format!(
                "could not start: a newer version is running ({}, process {}; this is {})",
                holder.version, holder.pid, self.own.version
            ))
            .hint("`agent-presence run --replace` takes over from it all the same")
            .exit(Exit::Held),
            (GiveUpReason::NewerVersion | GiveUpReason::Running, _) => running(holder),
            (GiveUpReason::NoRecord, _) => Failure::new(
                "could not start: another process keeps the lock, does not answer, and its record is missing",
            )
            .hint(who_holds(self.state))
            .exit(Exit::Held),
        }
    }
}

fn answer_of(reply: Reply) -> (HolderAnswer, Option<Handover>) {
    match (reply.ok, reply.handover, reply.error) {
        (true, handover, _) => (HolderAnswer::Agreed, handover.map(|handover| *handover)),
        (false, _, Some(error)) => (HolderAnswer::Refused(error.code.refusal()), None),
        (false, _, None) => (HolderAnswer::Refused(Refusal::Other), None),
    }
}

fn running(holder: Option<&LockRecord>) -> Failure {
    AcquireError::Held { record: holder.cloned().map(Box::new) }.into()
}

/// A process that is not certain to be the holder is left alone.
fn unverified(holder: &LockRecord, why: &str) -> Failure {
    Failure::new(format!(
        "could not start: another instance keeps the lock and does not answer; process {} was left alone: {why}",
        holder.pid
    ))
    .hint("see `agent-presence status`, end the process that keeps the lock, and try again")
    .exit(Exit::Held)
}

fn who_holds(state: &StateDir) -> String {
    let lock = state.join("instance.lock");
    if cfg!(windows) {
        "end it in the Task Manager and try again".to_owned()
    } else {
        format!("`fuser {}` names it; end it and try again", lock.display())
    }
}
