//! A server in a runtime and on a disk of its own, which can be cut off like a machine.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use entente_ledger::Runner;
use entente_security_server::{Config, Deps, Probe, Running, SecurityServer, Step};
use entente_testkit::MemDisk;
use entente_testkit::disk::Fault;
use entente_tests::world::Site;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running server.
pub(super) struct Machine {
    /// Taken when it goes; a runtime must not be dropped where tasks run.
    runtime: Option<Runtime>,
    running: Option<Running>,
}

/// Freezes the thread that reaches a step, and kills the disk under it at that moment.
#[derive(Debug)]
pub(super) struct Freeze {
    step: Step,
    disk: MemDisk,
    reached: watch::Sender<bool>,
    is_held: Mutex<bool>,
    released: Condvar,
}

// === impl Machine ===

impl Machine {
    pub(super) async fn start(
        site: &Site,
        disk: &MemDisk,
        probe: Arc<dyn Probe>,
    ) -> anyhow::Result<Self> {
        // The index is not on the simulated disk, and may be lost at any time.
        let _ = std::fs::remove_dir_all(site.dir.join("data/store"));
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let config = Config::load(&site.config)?;
        let deps = Deps {
            disk: Arc::new(disk.clone()),
            probe,
            runner: Runner::Task,
            ..Deps::real()
        };
        let starting = runtime.spawn(SecurityServer::start(config, deps));
        let mut machine = Self {
            runtime: Some(runtime),
            running: None,
        };
        machine.running = Some(starting.await??);
        Ok(machine)
    }

    /// Publishes a checkpoint.
    pub(super) async fn publish(&self) -> anyhow::Result<()> {
        let running = self.running.as_ref().context("it runs")?;
        Ok(running.publish_checkpoint().await?)
    }

    /// Stops it well.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let (Some(runtime), Some(running)) = (&self.runtime, self.running.take()) {
            runtime.spawn(running.shutdown()).await?;
        }
        self.cut().await?;
        Ok(())
    }

    /// Cuts it off: connections break, nothing more is done. What comes back is over when every
    /// thread of it is.
    pub(super) fn cut(mut self) -> JoinHandle<()> {
        let (runtime, running) = (self.runtime.take(), self.running.take());
        tokio::task::spawn_blocking(move || {
            drop(running);
            if let Some(runtime) = runtime {
                runtime.shutdown_timeout(Duration::from_secs(60));
            }
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

// === impl Freeze ===

impl Freeze {
    pub(super) fn at(step: Step, disk: &MemDisk) -> Arc<Self> {
        Arc::new(Self {
            step,
            disk: disk.clone(),
            reached: watch::Sender::new(false),
            is_held: Mutex::new(true),
            released: Condvar::new(),
        })
    }

    /// Waits until the step is reached.
    pub(super) async fn reached(&self) -> anyhow::Result<()> {
        let mut reached = self.reached.subscribe();
        let waiting = reached.wait_for(|reached| *reached);
        let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        waited.context("the step is not reached")??;
        Ok(())
    }

    /// Lets the thread go, when nothing is left that it could do.
    pub(super) fn release(&self) {
        *self.is_held.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.released.notify_all();
    }
}

impl Probe for Freeze {
    fn reached(&self, step: Step) {
        if step != self.step {
            return;
        }
        die(&self.disk);
        self.reached.send_replace(true);
        let held = self.is_held.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.released.wait_while(held, |held| *held);
        drop(waited);
    }
}

/// Lets every later operation fail.
fn die(disk: &MemDisk) {
    let now = disk.operations();
    // One of these is the next, whatever another thread does meanwhile; it takes the rest with it.
    for at in now..now + 1_000 {
        disk.fail_at(at, Fault::Crash);
    }
}
