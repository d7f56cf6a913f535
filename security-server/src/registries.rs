//! The registries a server follows: its own, and those that its own recognises.

use std::sync::Arc;

use entente_follow::{Abroad, AbroadConfig, Anchor, Follower, FollowerConfig, Keep, OpenError};
use entente_tls::IdentitySlot;

use crate::config::Config;
use crate::start::Deps;

/// What follows them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Registries {
    pub(crate) follower: Follower,
    pub(crate) abroad: Abroad,
}

impl Registries {
    /// Opens the own copies, and begins to follow.
    pub(crate) async fn open(
        config: &Config,
        deps: &Deps,
        anchor: Anchor,
        identity: &IdentitySlot,
    ) -> Result<Self, OpenError> {
        let follower = Follower::open(FollowerConfig {
            anchor,
            dir: config.data.as_path().join("directory"),
            net: Arc::clone(&deps.net),
            identity: identity.clone(),
            keep: Keep::OfParty(config.server.member()),
            clock: Arc::clone(&deps.clock),
            disk: Arc::clone(&deps.disk),
        })
        .await?;
        let abroad = Abroad::open(AbroadConfig {
            home: follower.directory(),
            dir: config.data.as_path().join("abroad"),
            net: Arc::clone(&deps.net),
            identity: identity.clone(),
            clock: Arc::clone(&deps.clock),
            disk: Arc::clone(&deps.disk),
        })
        .await;
        Ok(Self { follower, abroad })
    }

    /// Follows them no more, and waits until their copies are closed.
    pub(crate) async fn shutdown(self) {
        self.abroad.shutdown().await;
        self.follower.shutdown().await;
    }
}
