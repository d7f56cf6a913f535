//! Both servers, a system that says anything, and a caller that sees everything.

use std::path::Path;

use entente_security_server::{Deps, Running};
use entente_testkit::contracts::STEM;
use entente_tests::plain::{Onlooker, Puppet, Says, Seen};
use entente_tests::walk::until;
use entente_tests::world::World;

use super::case::Case;
use super::usual;

/// The servers of a world that run.
pub(super) struct Stage {
    /// The provider's system.
    pub(super) puppet: Puppet,
    onlooker: Onlooker,
    consumer: Running,
    provider: Option<Running>,
}

// === impl Stage ===

impl Stage {
    /// Starts both servers.
    pub(super) async fn start(world: &World) -> Self {
        let stage = Self::start_consumer(world).await;
        let socket = world.provider.source_socket();
        stage.puppet.serve(&socket).await.unwrap();
        let provider = world.start(&world.provider, Deps::real()).await.unwrap();
        Self {
            provider: Some(provider),
            ..stage
        }
    }

    /// Starts the consumer's server alone.
    pub(super) async fn start_consumer(world: &World) -> Self {
        let consumer = world.start(&world.consumer, Deps::real()).await.unwrap();
        Self {
            puppet: Puppet::saying(Says::message(&[])),
            onlooker: Onlooker::at(&world.consumer.caller_socket()),
            consumer,
            provider: None,
        }
    }

    /// Waits until both servers know the last agreement.
    pub(super) async fn agreed(&self, case: &Case) {
        let question = case.question(&mut case.entropy(0));
        let looked = until(|| async {
            let seen = case.ask(self, &question, &[]).await;
            anyhow::ensure!(seen.reason().is_empty(), "{}", seen.reason());
            Ok(())
        });
        looked.await.unwrap();
        self.puppet.heard();
    }

    /// Calls as the consumer's system does, with `more` metadata.
    pub(super) async fn ask(&self, method: &str, message: &[u8], more: &[(&str, &str)]) -> Seen {
        let metadata: Vec<_> = usual().into_iter().chain(more.iter().copied()).collect();
        let path = format!("/{method}");
        let called = self.onlooker.call(&path, &metadata, message);
        called.await.unwrap()
    }

    /// Stops them.
    pub(super) async fn stop(self) {
        self.consumer.shutdown().await;
        if let Some(provider) = self.provider {
            provider.shutdown().await;
        }
    }
}

/// No file of the federation holds any text of any message.
pub(super) fn check_files(dir: &Path) {
    let mut files = 0;
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(folder).unwrap() {
            let item = item.unwrap();
            let kind = item.file_type().unwrap();
            if kind.is_dir() {
                folders.push(item.path());
            } else if kind.is_file() {
                let bytes = std::fs::read(item.path()).unwrap();
                let found = bytes
                    .windows(STEM.len())
                    .any(|part| part == STEM.as_bytes());
                assert!(!found, "{}", item.path().display());
                files += 1;
            }
        }
    }
    assert!(files > 20, "the folders are those of servers");
}
