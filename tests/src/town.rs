//! The small federation at work: both servers, a system that asks and one that answers.

use std::sync::Arc;

use bytes::Bytes;
use entente_clock::ManualClock;
use entente_oversight::witness::Running as Witness;
use entente_security_server::{Deps, Running};
use tempfile::TempDir;
use tonic::{Response, Status};

use crate::world::{Consumer, Source, World};

/// A [`World`] whose servers run.
#[derive(Debug)]
pub struct Town {
    /// Who they are.
    pub world: World,
    /// The provider's system.
    pub source: Source,
    /// The provider's server.
    pub provider: Running,
    /// The consumer's server.
    pub consumer: Running,
    /// The consumer's system.
    pub system: Consumer,
    /// The folder everything lies in.
    pub dir: TempDir,
}

// === impl Town ===

impl Town {
    /// On the real machine.
    ///
    /// # Errors
    /// When any part does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&Deps::real()).await
    }

    /// With these seams; the registry is under the same clock.
    ///
    /// # Errors
    /// When any part does not start.
    pub async fn start_with(deps: &Deps) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let world = World::build_at(dir.path(), deps.clock.clone()).await?;
        Self::of(world, dir, deps).await
    }

    /// The same, with the commissioner's witness, which the policy names.
    ///
    /// # Errors
    /// When any part does not start.
    pub async fn witnessed(deps: &Deps) -> anyhow::Result<(Self, Witness)> {
        let dir = tempfile::tempdir()?;
        let world = World::build_at(dir.path(), deps.clock.clone()).await?;
        let witness = world.commissioner("127.0.0.1:0").await?;
        world.trust(&witness).await?;
        Ok((Self::of(world, dir, deps).await?, witness))
    }

    /// Starts the servers of a world that was built in `dir`.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn of(world: World, dir: TempDir, deps: &Deps) -> anyhow::Result<Self> {
        let source = world.serve_source().await?;
        Ok(Self {
            provider: world.start(&world.provider, deps.clone()).await?,
            consumer: world.start(&world.consumer, deps.clone()).await?,
            system: Consumer::of(&world.consumer),
            source,
            world,
            dir,
        })
    }

    /// The consumer's system asks about one person.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn ask(&self) -> Result<Response<Bytes>, Status> {
        self.system.look_up().await
    }

    /// Stops the servers; what they wrote is there until the folder is dropped.
    pub async fn stop(self) -> (World, TempDir) {
        self.consumer.shutdown().await;
        self.provider.shutdown().await;
        (self.world, self.dir)
    }
}

/// The real machine, but for a clock that only the test moves.
pub fn at(clock: &ManualClock) -> Deps {
    Deps {
        clock: Arc::new(clock.clone()),
        ..Deps::real()
    }
}
