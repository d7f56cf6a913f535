//! One thread that appends, one that integrates, and two tasks that talk to them.
//!
//! Callers and their answers meet on the callers' runtime: a batch is handed over with at most one wake
//! of the thread, and comes back with one wake of the runtime, however many callers it holds. Neither
//! waits for the other: what is queued while the thread syncs is taken when it is done.

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::Pace;
use super::publisher::{Command, Publisher};
use super::queue::{Queue, Taken};
use super::writer::{Done, Writer};

/// The queue while the runtime lasts. When it goes the queue is closed, and the threads end as well.
struct Turns(Arc<Queue>);

/// Starts threads and tasks.
pub(super) fn start(
    queue: &Arc<Queue>,
    writer: Writer,
    publisher: Publisher,
    commands: mpsc::WeakUnboundedSender<Command>,
    incoming: mpsc::UnboundedReceiver<Command>,
    pace: Pace,
) -> Result<(), io::Error> {
    // Before the threads: should one of them not start, the other ends.
    let turns = Turns(Arc::clone(queue));
    let (done, done_incoming) = mpsc::unbounded_channel();
    let pending = Arc::clone(queue);
    thread::Builder::new()
        .name("ledger-append".to_owned())
        .spawn(move || append(writer, &pending, &done))?;
    thread::Builder::new()
        .name("ledger-tiles".to_owned())
        .spawn(move || integrate(publisher, incoming))?;
    tokio::spawn(end_turns(turns));
    tokio::spawn(answer(done_incoming, Arc::clone(queue), commands, pace));
    Ok(())
}

/// The appending thread.
fn append(mut writer: Writer, queue: &Queue, done: &mpsc::UnboundedSender<Done>) {
    loop {
        match queue.wait() {
            Some(Taken::Batch(pending)) => {
                let committed = if writer.wait_for_room() {
                    writer.commit(pending)
                } else {
                    Writer::refuse(pending)
                };
                // The runtime is gone when this fails, and with it everyone who waited.
                let _ = done.send(committed);
                writer.ask_when_due();
            }
            Some(Taken::Closed(stopped)) => {
                writer.close();
                for stopped in stopped {
                    let _ = stopped.send(());
                }
                return;
            }
            None => writer.reopen(),
        }
    }
}

/// The integrating thread.
fn integrate(mut publisher: Publisher, mut commands: mpsc::UnboundedReceiver<Command>) {
    while let Some(command) = commands.blocking_recv() {
        match publisher.execute(command) {
            Some(next) => publisher = next,
            None => return,
        }
    }
}

/// Hands over what tasks queued, a turn of the runtime at a time.
async fn end_turns(turns: Turns) {
    turns.0.end_turns().await;
}

/// Tells callers their results, and keeps the time for the threads.
async fn answer(
    mut done: mpsc::UnboundedReceiver<Done>,
    queue: Arc<Queue>,
    commands: mpsc::WeakUnboundedSender<Command>,
    pace: Pace,
) {
    let mut integrate = interval(pace.integrate);
    let mut checkpoint = interval(pace.checkpoint);
    integrate.set_missed_tick_behavior(MissedTickBehavior::Delay);
    checkpoint.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A checkpoint at the first tick would be of what the last run published.
    checkpoint.tick().await;
    loop {
        let command = tokio::select! {
            biased;
            committed = done.recv() => match committed {
                Some(committed) => {
                    committed.tell();
                    continue;
                }
                None => return,
            },
            _ = integrate.tick() => {
                queue.mend();
                Command::Integrate
            }
            _ = checkpoint.tick() => Command::PublishWhenDue,
        };
        if let Some(commands) = commands.upgrade() {
            let _ = commands.send(command);
        }
    }
}

// === impl Turns ===

impl Drop for Turns {
    fn drop(&mut self) {
        self.0.close(None);
    }
}
