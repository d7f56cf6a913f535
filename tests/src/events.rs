//! What the servers of a process log, for scenarios that ask whether they did.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use entente_clock::SystemClock;
use entente_telemetry::{LogOutput, Logging};

/// The lines so far. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Mutex<Vec<u8>>>);

// === impl Events ===

impl Events {
    /// Takes what is logged from now on.
    ///
    /// # Errors
    /// When somebody takes it already.
    pub fn of_this_process() -> anyhow::Result<Self> {
        let logging = Logging {
            filter: "info".to_owned(),
            output: LogOutput::Stderr,
            clock: Arc::new(SystemClock),
        };
        let events = Self::default();
        let lines = events.clone();
        let (subscriber, _) = logging.subscriber(move || lines.clone())?;
        let set = tracing::subscriber::set_global_default(subscriber);
        set.context("what this process logs is taken by another test")?;
        Ok(events)
    }

    /// How often this event was logged.
    pub fn count(&self, event: &str) -> usize {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = String::from_utf8_lossy(&lines);
        lines.matches(&format!("\"event\":\"{event}\"")).count()
    }
}

impl io::Write for Events {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
