//! Standing by: a second server of a registry that follows the first and serves nobody; and a copy of a
//! registry on demand, which is the same without staying.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::{Clock, Timestamp};
use entente_directory::Keep;
use entente_follow::{Anchor, Directory, Follower, FollowerConfig, RegistryClient, RegistryError};
use entente_keys::{KeyStore, KeyUse};
use entente_ledger::disk::durable;
use entente_tls::Identity;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::applications::Applications;
use crate::config::{Config, FORMAT, TLS_KEY};
use crate::role::{Deps, StartError};

/// A server that stands by for a registry. Dropping it stops it.
#[derive(Debug)]
pub struct Standby {
    follower: Follower,
    copying: JoinSet<()>,
}

// === impl Standby ===

impl Standby {
    /// Whether a configuration is that of a standby which has not taken over.
    ///
    /// # Errors
    /// When the data folder cannot be read.
    pub fn is_meant(config: &Config, deps: &Deps) -> Result<bool, StartError> {
        let is_registry = deps.disk.exists(&config.ledger())?;
        Ok(config.standby_of.is_some() && !is_registry)
    }

    /// Follows the registry that `standby_of` names: its ledger, its blobs and the applications that await
    /// a registrar. Call it within a runtime.
    ///
    /// # Errors
    /// When the anchor, the keys or the data folder cannot be used. That the registry does not answer is no
    /// such reason.
    pub async fn start(config: &Config, deps: Deps) -> Result<Self, StartError> {
        let anchor = load_anchor(config.standby_of.as_ref().map(AsRef::as_ref))?;
        if !durable::claim(&*deps.disk, config.data.as_path(), FORMAT)? {
            return Err(StartError::Format);
        }
        let (limit, dir) = (config.limits.applications, config.applications());
        let applications = Applications::open(deps.disk.clone(), &dir, limit)?;
        let follower = follow(config, anchor, &config.standby(), &deps).await?;
        let client = follower.client();
        let mut copying = JoinSet::new();
        copying.spawn(async move {
            let mut tick = interval(COPY_EVERY);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                if let Err(error) = copy_applications(&client, &applications).await {
                    tracing::debug!(event = "standby.applications", %error);
                }
            }
        });
        tracing::info!(
            event = "standby.started",
            origin = follower.directory().anchor().origin()
        );
        Ok(Self { follower, copying })
    }

    /// What it has of the registry.
    pub fn directory(&self) -> Directory {
        self.follower.directory()
    }

    /// Stops following, and closes the copy.
    pub async fn shutdown(mut self) {
        self.copying.shutdown().await;
        self.follower.shutdown().await;
    }
}

/// Copies a running registry into a folder: whole the first time, later what is new. Answers how many
/// changes the copy holds.
///
/// # Errors
/// When the registry does not show all it has within `within`, or the folder cannot be used.
pub async fn backup(
    config: &Config,
    to: &Path,
    within: Duration,
    deps: Deps,
) -> Result<u64, StartError> {
    let anchor = load_anchor(Some(config.anchor.as_path()))?;
    deps.disk.create_dir_all(to)?;
    let (limit, dir) = (config.limits.applications, to.join(APPLICATIONS));
    let applications = Applications::open(deps.disk.clone(), &dir, limit)?;
    let follower = follow(config, anchor, &to.join(COPY), &deps).await?;
    let directory = follower.directory();
    let mut tick = interval(LOOK_EVERY);
    let whole = async {
        while !directory.is_confirmed() || directory.view().size == 0 {
            tick.tick().await;
        }
    };
    let whole = timeout(within, whole).await;
    let copied = copy_applications(&follower.client(), &applications).await;
    let size = directory.view().size;
    follower.shutdown().await;
    match (whole, copied) {
        (Ok(()), Ok(())) => Ok(size),
        _ => Err(StartError::NotCopied),
    }
}

/// Below the folder of a backup: a follower's copy, and the applications.
pub(crate) const COPY: &str = "copy";
pub(crate) const APPLICATIONS: &str = "applications";

pub(crate) fn load_anchor(file: Option<&Path>) -> Result<Anchor, StartError> {
    let file = file.ok_or(StartError::Uninitialised)?;
    Anchor::load(file).map_err(|error| StartError::Anchor(Box::new(error)))
}

async fn follow(
    config: &Config,
    anchor: Anchor,
    dir: &Path,
    deps: &Deps,
) -> Result<Follower, StartError> {
    let keys = KeyStore::open(config.keys.as_path())?;
    let tls = keys.load(KeyUse::Tls, TLS_KEY)?;
    let following = Follower::open(FollowerConfig {
        anchor,
        dir: dir.to_owned(),
        keep: Keep::None,
        net: Arc::clone(&deps.net),
        identity: Identity::self_signed(tls, &[])?.into(),
        clock: Arc::clone(&deps.clock) as Arc<dyn Clock>,
        disk: Arc::clone(&deps.disk),
    });
    following.await.map_err(StartError::Follow)
}

/// Takes over the applications that the registry lists.
async fn copy_applications(
    client: &RegistryClient,
    applications: &Applications,
) -> Result<(), RegistryError> {
    let mut all: Vec<(Bytes, Timestamp)> = Vec::new();
    let mut after = None;
    loop {
        let page = client.applications(after.as_ref()).await?;
        let Some(last) = page.last() else { break };
        // Each page goes on where the one before ended, or it is no list.
        if after.is_some_and(|after| last.id <= after) || all.len() > MAX_APPLICATIONS {
            return Err(RegistryError::Answer);
        }
        after = Some(last.id);
        all.extend(page.into_iter().map(|held| (held.bytes, held.received_at)));
    }
    if let Err(error) = applications.adopt(all) {
        tracing::warn!(event = "standby.applications_not_kept", %error);
    }
    Ok(())
}

/// Between looks at the applications.
const COPY_EVERY: Duration = Duration::from_secs(10);
/// Between looks at whether a copy is whole.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Applications taken over; a registry holds 1,000 by default.
const MAX_APPLICATIONS: usize = 100_000;
