//! The stream that is followed, and hearing it while something else takes its time.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use entente_directory::RegistryEntry;
use entente_proto::registry::v1::FollowResponse;
use entente_proto::registry::v1::follow_response::Step;
use tokio::time::{Instant, timeout};
use tonic::Streaming;

use super::{Broken, Session};

/// One stream of the registry.
#[derive(Debug)]
pub(super) struct Stream {
    steps: Streaming<FollowResponse>,
    opened: Instant,
    /// What came while something else was under way, in order.
    put_off: VecDeque<Step>,
    put_off_bytes: usize,
}

// === impl Stream ===

impl Stream {
    pub(super) fn new(steps: Streaming<FollowResponse>) -> Self {
        Self {
            steps,
            opened: Instant::now(),
            put_off: VecDeque::new(),
            put_off_bytes: 0,
        }
    }

    /// Whether it was open so long that what ended it was no refusal.
    pub(super) fn has_lasted(&self) -> bool {
        self.opened.elapsed() >= SILENCE
    }

    /// The next step that comes. Cancel-safe.
    async fn hear(&mut self) -> Result<Step, Broken> {
        let heard = timeout(SILENCE, self.steps.message()).await;
        let heard = heard
            .map_err(|_| Broken::Silent)?
            .map_err(|status| Broken::Stream(Box::new(status)))?
            .ok_or(Broken::Unexpected("it ended"))?;
        heard.step.ok_or(Broken::Unexpected("an unknown step"))
    }

    fn has_room(&self) -> bool {
        self.put_off.len() < MOST_PUT_OFF && self.put_off_bytes < MOST_PUT_OFF_BYTES
    }

    fn put_off(&mut self, step: Step) {
        // Of heartbeats in a row the last says all. Not none: whoever waits to hear that there is nothing newer
        // would wait for the next.
        if let (Step::Heartbeat(_), Some(Step::Heartbeat(_))) = (&step, self.put_off.back()) {
            self.put_off.pop_back();
        }
        self.put_off_bytes += size_of(&step);
        self.put_off.push_back(step);
    }

    fn take_up(&mut self) -> Option<Step> {
        let step = self.put_off.pop_front()?;
        self.put_off_bytes -= size_of(&step);
        Some(step)
    }
}

// === impl Session ===

impl Session {
    /// The next step of the stream.
    pub(super) async fn next(&mut self) -> Result<Step, Broken> {
        let stream = self.stream.as_mut().ok_or(Broken::Unexpected("closed"))?;
        if let Some(step) = stream.take_up() {
            return Ok(step);
        }
        let step = stream.hear().await?;
        self.shared.heard();
        Ok(step)
    }

    /// Waits for what takes its time, such as a document behind a slow line, and hears the registry meanwhile:
    /// what denies has its effect on sight, and nothing is waited for behind a line that died. As much is put
    /// off as a little memory holds: to whom a country is sent, it is not sent faster than it is worked off.
    pub(super) async fn meanwhile<T>(
        &mut self,
        work: impl Future<Output = Result<T, Broken>>,
    ) -> Result<T, Broken> {
        let mut work = pin!(work);
        loop {
            let Some(stream) = self.stream.as_mut().filter(|stream| stream.has_room()) else {
                return work.await;
            };
            let step = tokio::select! {
                biased;
                done = &mut work => return done,
                step = stream.hear() => step,
            };
            let step = match step {
                Ok(step) => step,
                Err(broken @ Broken::Silent) => return Err(broken),
                // What it is about was sent before: if it is there soon, it need not be sent again.
                Err(broken) => return timeout(SOON, work).await.unwrap_or(Err(broken)),
            };
            self.shared.heard();
            if let Step::Entries(entries) = &step {
                for bytes in &entries.entry {
                    if let Ok(entry) = RegistryEntry::parse(bytes) {
                        self.deny_early(&entry)?;
                    }
                }
            }
            if let Some(stream) = self.stream.as_mut() {
                stream.put_off(step);
            }
        }
    }
}

fn size_of(step: &Step) -> usize {
    match step {
        Step::Entries(entries) => entries.entry.iter().map(bytes::Bytes::len).sum(),
        Step::Checkpoint(note) => note.len(),
        Step::Heartbeat(_) => 0,
    }
}

/// A registry sends a heartbeat every second. Longer than this without a word is no connection: less than the
/// five seconds in which a server knows what was revoked, by the time that it takes to connect again.
pub(super) const SILENCE: Duration = Duration::from_secs(3);
/// How long something under way may take yet when the stream has ended.
const SOON: Duration = Duration::from_secs(2);
/// Steps, and bytes of them, that are put off.
const MOST_PUT_OFF: usize = 64;
const MOST_PUT_OFF_BYTES: usize = 2 << 20;
