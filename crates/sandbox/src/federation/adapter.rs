//! The adapter over the legacy database, as a task.

use std::sync::Arc;

use entente_adapter_sdk::{ServeOptions, bind};
use entente_adapter_sql::{OpenOptions, SqlAdapter, samples};
use entente_config::ListenAddr;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::BuildError;
use crate::layout::{Agency, Layout};
use crate::seams::Seams;
use crate::step::Step;

/// A served adapter.
#[derive(Debug)]
pub(super) struct AdapterTask {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

// === impl AdapterTask ===

impl AdapterTask {
    pub(super) async fn start(
        layout: &Layout,
        agency: &Agency,
        seams: &Seams,
        show: &mut (dyn FnMut(Step) + Send),
    ) -> Result<Self, BuildError> {
        let options = OpenOptions {
            clock: seams.clock.clone(),
            ..OpenOptions::default()
        };
        let adapter = SqlAdapter::open(&layout.adapter_config(agency), &options).await?;
        let bound = bind(&ListenAddr::Unix(layout.adapter_socket(agency)))?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async {
                // Ends as well when the sender is gone.
                let _ = stopped.await;
            };
            let options = ServeOptions::default();
            if let Err(error) = bound.serve(Arc::new(adapter), options, stopped).await {
                tracing::error!(event = "adapter.stopped", %error);
            }
        });
        let people = samples::people();
        show(Step::AdapterStarted {
            system: agency.system(),
            people: people.len() as u64,
            deaths: people
                .iter()
                .filter(|person| person.death.is_some())
                .count() as u64,
        });
        Ok(Self { stop, task })
    }

    pub(super) async fn stop(self) {
        // Already over, if nobody listens.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}
