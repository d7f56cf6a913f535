//! Everything in one task, for simulations: the same order of steps for the same inputs.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::Pace;
use super::publisher::{Command, Publisher};
use super::queue::{Queue, Taken};
use super::writer::Writer;

/// Starts the task.
pub(super) fn start(
    queue: &Arc<Queue>,
    writer: Writer,
    publisher: Publisher,
    commands: mpsc::UnboundedReceiver<Command>,
    pace: Pace,
) {
    tokio::spawn(run(Arc::clone(queue), writer, publisher, commands, pace));
}

async fn run(
    queue: Arc<Queue>,
    writer: Writer,
    publisher: Publisher,
    mut commands: mpsc::UnboundedReceiver<Command>,
    pace: Pace,
) {
    let mut integrate = interval(pace.integrate);
    let mut checkpoint = interval(pace.checkpoint);
    integrate.set_missed_tick_behavior(MissedTickBehavior::Delay);
    checkpoint.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A checkpoint at the first tick would be of what the last run published.
    checkpoint.tick().await;
    let mut writer = Some(writer);
    let mut publisher = publisher;
    loop {
        let command = tokio::select! {
            biased;
            taken = queue.take(), if writer.is_some() => {
                match (taken, writer.as_mut()) {
                    (Taken::Batch(pending), Some(writing)) => {
                        writing.commit(pending).tell();
                        if !writing.is_behind() {
                            continue;
                        }
                        Command::Integrate
                    }
                    (Taken::Closed(stopped), _) => {
                        if let Some(writer) = writer.take() {
                            writer.close();
                        }
                        for stopped in stopped {
                            let _ = stopped.send(());
                        }
                        continue;
                    }
                    (Taken::Batch(_), None) => continue,
                }
            }
            command = commands.recv() => match command {
                Some(command) => command,
                None => return,
            },
            _ = integrate.tick() => {
                if let Some(writer) = writer.as_mut() {
                    writer.reopen();
                }
                Command::Integrate
            }
            _ = checkpoint.tick() => Command::PublishWhenDue,
        };
        match publisher.execute(command) {
            Some(next) => publisher = next,
            None => return,
        }
    }
}
