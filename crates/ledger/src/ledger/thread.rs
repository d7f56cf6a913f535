//! One thread that appends, one that integrates, and two tasks that talk to them.
//!
//! Callers and their answers meet on the callers' runtime: a batch is handed over with one wake of the
//! thread, and comes back with one wake of the runtime, however many callers it holds.

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::Pace;
use super::publisher::{Command, Publisher};
use super::queue::{Pending, Queue, Taken};
use super::writer::{Done, Writer};

/// What the appending thread is asked to do.
#[derive(Debug)]
enum Work {
    Commit(Vec<Pending>),
    /// Go on after a failure, when there was one.
    Reopen,
    Close(Vec<oneshot::Sender<()>>),
}

/// Starts threads and tasks.
pub(super) fn start(
    queue: &Arc<Queue>,
    writer: Writer,
    publisher: Publisher,
    commands: mpsc::WeakUnboundedSender<Command>,
    incoming: mpsc::UnboundedReceiver<Command>,
    pace: Pace,
) -> Result<(), io::Error> {
    let (work, work_incoming) = mpsc::unbounded_channel();
    let (done, done_incoming) = mpsc::unbounded_channel();
    thread::Builder::new()
        .name("ledger-append".to_owned())
        .spawn(move || append(writer, work_incoming, &done))?;
    thread::Builder::new()
        .name("ledger-tiles".to_owned())
        .spawn(move || integrate(publisher, incoming))?;
    tokio::spawn(submit(Arc::clone(queue), work.clone()));
    tokio::spawn(answer(done_incoming, work.downgrade(), commands, pace));
    Ok(())
}

/// The appending thread.
fn append(
    mut writer: Writer,
    mut work: mpsc::UnboundedReceiver<Work>,
    done: &mpsc::UnboundedSender<Done>,
) {
    while let Some(next) = work.blocking_recv() {
        match next {
            Work::Commit(mut pending) => {
                // What came while the last sync ran is covered by the next one.
                let mut then = None;
                while let Ok(more) = work.try_recv() {
                    match more {
                        Work::Commit(more) => pending.extend(more),
                        other => {
                            then = Some(other);
                            break;
                        }
                    }
                }
                let committed = if writer.wait_for_room() {
                    writer.commit(pending)
                } else {
                    Writer::refuse(pending)
                };
                // The runtime is gone when this fails, and with it everyone who waited.
                let _ = done.send(committed);
                writer.ask_when_due();
                match then {
                    Some(Work::Close(stopped)) => return close(writer, stopped),
                    Some(Work::Reopen) => writer.reopen(),
                    Some(Work::Commit(_)) | None => {}
                }
            }
            Work::Reopen => writer.reopen(),
            Work::Close(stopped) => return close(writer, stopped),
        }
    }
}

fn close(writer: Writer, stopped: Vec<oneshot::Sender<()>>) {
    writer.close();
    for stopped in stopped {
        let _ = stopped.send(());
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

/// Hands over what tasks queued, a batch at a time.
async fn submit(queue: Arc<Queue>, work: mpsc::UnboundedSender<Work>) {
    loop {
        match queue.take().await {
            Taken::Batch(pending) => {
                if work.send(Work::Commit(pending)).is_err() {
                    return;
                }
            }
            Taken::Closed(stopped) => {
                let _ = work.send(Work::Close(stopped));
                return;
            }
        }
    }
}

/// Tells callers their results, and keeps the time for the threads.
async fn answer(
    mut done: mpsc::UnboundedReceiver<Done>,
    work: mpsc::WeakUnboundedSender<Work>,
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
                if let Some(work) = work.upgrade() {
                    let _ = work.send(Work::Reopen);
                }
                Command::Integrate
            }
            _ = checkpoint.tick() => Command::PublishWhenDue,
        };
        if let Some(commands) = commands.upgrade() {
            let _ = commands.send(command);
        }
    }
}
