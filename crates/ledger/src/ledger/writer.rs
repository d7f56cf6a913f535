//! Commits what waits in the queue, in groups.

use std::time::Duration;

use tokio::sync::mpsc;

use super::publisher::Command;
use super::queue::{Appends, Pending, Reply};
use super::signals::Signals;
use super::{AppendError, Appended};
use crate::log::tail::TailEntry;
use crate::log::{Appender, LogAppendError};
use crate::tile::WIDTH;

/// The appending half, with whom it tells.
#[derive(Debug)]
pub(super) struct Writer {
    appender: Appender,
    signals: Signals,
    /// To ask for what cannot wait for its time.
    commands: mpsc::WeakUnboundedSender<Command>,
    /// Size of the ledger when integration was last asked for.
    asked_at: u64,
    /// Whether the next segment was asked for.
    asked_for_spare: bool,
}

/// Results, not told yet: that is done on the callers' own runtime, at one wake for all.
#[derive(Debug, Default)]
pub(super) struct Done {
    replies: Vec<(Reply, Result<std::ops::Range<usize>, AppendError>)>,
    appended: Vec<Appended>,
}

/// A group of appends for one commit.
#[derive(Debug, Default)]
struct Group {
    entries: Vec<TailEntry>,
    replies: Vec<(Reply, usize)>,
    bytes: usize,
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(
        appender: Appender,
        signals: Signals,
        commands: mpsc::WeakUnboundedSender<Command>,
    ) -> Self {
        Self {
            asked_at: appender.size(),
            asked_for_spare: false,
            appender,
            signals,
            commands,
        }
    }

    /// Commits everything pending, in as few syncs as the bounds allow.
    pub(super) fn commit(&mut self, pending: Vec<Pending>) -> Done {
        let mut done = Done::default();
        let mut group = Group::default();
        for one in pending {
            if let Err(error) = self.appender.check(one.appends.as_slice()) {
                done.replies.push((one.reply, Err(error)));
                continue;
            }
            let (entries, bytes) = one.appends.weight();
            if group.bytes + bytes > GROUP_BYTES || group.entries.len() + entries > GROUP_ENTRIES {
                self.commit_group(std::mem::take(&mut group), &mut done);
            }
            group.bytes += bytes;
            group.replies.push((one.reply, entries));
            match one.appends {
                Appends::One(append) => group.entries.push(append),
                Appends::Many(appends) => group.entries.extend(appends),
            }
        }
        self.commit_group(group, &mut done);
        self.signals.size(self.appender.size());
        done
    }

    /// Tries to go on after a failure, when there was one.
    pub(super) fn reopen(&mut self) {
        if !self.appender.is_open() {
            let reopened = self.appender.reopen();
            self.signals.appends(reopened.is_ok());
        }
    }

    /// Ends the write-ahead log for good.
    pub(super) fn close(self) {
        self.appender.close();
    }

    /// Whether more is held in memory than should be, because integration does not keep up.
    pub(super) fn is_behind(&self) -> bool {
        self.appender.tail().bytes() > MAX_HELD
    }

    /// Waits until integration has caught up; `false` when it does not.
    pub(super) fn wait_for_room(&self) -> bool {
        if !self.is_behind() {
            return true;
        }
        self.ask(Command::Integrate);
        self.appender.tail().wait_below(MAX_HELD, MAX_WAIT)
    }

    /// Asks for integration when enough full bundles wait for it, and for the next segment when this one
    /// is half full.
    pub(super) fn ask_when_due(&mut self) {
        let size = self.appender.size();
        if size - self.asked_at >= BUNDLES_DUE * WIDTH {
            self.asked_at = size;
            self.ask(Command::Integrate);
        }
        let wants_spare = self.appender.wants_spare();
        if wants_spare && !self.asked_for_spare {
            self.ask(Command::PrepareSpare);
        }
        self.asked_for_spare = wants_spare;
    }

    /// Answers everyone that the ledger cannot be written.
    pub(super) fn refuse(pending: Vec<Pending>) -> Done {
        let refused = |one: Pending| (one.reply, Err(AppendError::LogUnavailable));
        Done {
            replies: pending.into_iter().map(refused).collect(),
            appended: Vec::new(),
        }
    }

    fn ask(&self, command: Command) {
        if let Some(commands) = self.commands.upgrade() {
            // That it is closing is no concern of ours.
            let _ = commands.send(command);
        }
    }

    fn commit_group(&mut self, group: Group, done: &mut Done) {
        if group.replies.is_empty() {
            return;
        }
        match self.appender.append_entries(group.entries) {
            Ok(appended) => {
                let mut at = done.appended.len();
                done.appended.extend(appended);
                for (reply, entries) in group.replies {
                    done.replies.push((reply, Ok(at..at + entries)));
                    at += entries;
                }
            }
            Err(error) => {
                let told = match error {
                    LogAppendError::Refused(error) => error,
                    LogAppendError::Log(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "append failed");
                        self.signals.appends(self.appender.is_open());
                        AppendError::LogUnavailable
                    }
                };
                let refused = group.replies.into_iter();
                done.replies
                    .extend(refused.map(|(reply, _)| (reply, Err(told.clone()))));
            }
        }
    }
}

// === impl Done ===

impl Done {
    /// Tells everyone.
    pub(super) fn tell(self) {
        for (reply, result) in self.replies {
            reply.send(result.map(|range| &self.appended[range]));
        }
    }
}

/// Where a group ends, unless one append alone is larger.
const GROUP_BYTES: usize = 4 * 1024 * 1024;
const GROUP_ENTRIES: usize = 4_096;
/// Full bundles that are not left waiting for the next tick.
const BUNDLES_DUE: u64 = 64;
/// How many bytes may wait for integration before appends wait too.
const MAX_HELD: u64 = 32 * 1024 * 1024;
/// How long appends wait for integration before they are refused.
const MAX_WAIT: Duration = Duration::from_secs(5);
