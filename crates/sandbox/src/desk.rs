//! A followed registry, and writing to it: what every act of a member or a registrar starts with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_directory::{Author, Change, Federation, Keep, State};
use entente_follow::author::{AuthorError, Pen};
use entente_follow::{
    Abroad, AbroadConfig, Accepted, Anchor, Behind, Directory, Follower, FollowerConfig, OpenError,
    RegistryClient, RegistryError, View,
};
use entente_ledger::checkpoint::CheckpointError;
use entente_ledger::{Checkpoint, SignedCheckpoint};
use entente_reason::{Lang, Reason};
use entente_signing::{P256Key, Signer, VerifyingKey};
use entente_tls::{Identity, IdentityError, IdentitySlot};

use crate::seams::Seams;

/// A registry as this desk verified it, with the means to change it.
#[derive(Debug)]
pub struct Desk {
    follower: Follower,
    client: RegistryClient,
    anchor: Anchor,
    copy: PathBuf,
    identity: IdentitySlot,
    seams: Seams,
}

/// Why the registry could not be followed or changed. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeskError {
    /// A change could not be signed, or was refused.
    #[error("changing the registry")]
    Author(#[from] AuthorError),
    /// The registry accepted more than this desk has verified yet.
    #[error("waiting for the registry")]
    Behind(#[from] Behind),
    /// The newest checkpoint is not the registry's.
    #[error("reading the registry's newest checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// The identity shown in TLS could not be made.
    #[error("preparing to ask the registry")]
    Identity(#[from] IdentityError),
    /// The own copy could not be opened.
    #[error("opening the copy of the registry in {}", copy.display())]
    Open {
        /// Where it is.
        copy: PathBuf,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// The random source failed.
    #[error("preparing to ask the registry")]
    Random,
    /// The registry refused, or did not answer.
    #[error("asking the registry")]
    Registry(#[from] RegistryError),
}

// === impl Desk ===

impl Desk {
    /// Opens this desk's own copy and begins to follow. The view may be old until [`refresh`]ed.
    ///
    /// [`refresh`]: Self::refresh
    ///
    /// # Errors
    /// When the copy cannot be used: damaged, or in use by another command.
    pub async fn open(
        anchor: Anchor,
        copy: &Path,
        seams: &Seams,
        lang: Lang,
    ) -> Result<Self, DeskError> {
        // The registry admits everybody and believes signatures alone, so any key will do.
        let key = P256Key::generate().map_err(|_| DeskError::Random)?;
        let identity = IdentitySlot::new(Identity::self_signed(Arc::new(key), &[])?);
        let config = FollowerConfig {
            anchor: anchor.clone(),
            dir: copy.to_owned(),
            net: seams.net.clone(),
            identity: identity.clone(),
            keep: Keep::None,
            clock: seams.clock.clone(),
            disk: seams.disk.clone(),
        };
        let follower = Follower::open(config)
            .await
            .map_err(|source| DeskError::Open {
                copy: copy.to_owned(),
                source,
            })?;
        let client = follower.client().speaking(lang);
        Ok(Self {
            follower,
            client,
            anchor,
            copy: copy.to_owned(),
            identity,
            seams: seams.clone(),
        })
    }

    /// The newest verified view.
    pub fn view(&self) -> Arc<View> {
        self.directory().view()
    }

    /// The handle on what is followed.
    pub fn directory(&self) -> Directory {
        self.follower.directory()
    }

    /// What time it is here.
    pub(crate) fn now(&self) -> Timestamp {
        self.seams.clock.now()
    }

    /// The registry, to ask things of.
    pub const fn client(&self) -> &RegistryClient {
        &self.client
    }

    /// Which registry.
    pub const fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// Clock, network and disk.
    pub const fn seams(&self) -> &Seams {
        &self.seams
    }

    /// The view as of now: asks the registry how far it is, and waits until this desk has verified
    /// as much.
    ///
    /// # Errors
    /// When the registry does not answer, or what it shows cannot be verified in time.
    pub async fn refresh(&self) -> Result<Arc<View>, DeskError> {
        let note = match self.client.latest().await {
            // It has published nothing, because it cannot sign.
            Err(error) if error.reason() == Reason::LedgerKeyMissing => return Ok(self.view()),
            answered => answered?,
        };
        let newest = Checkpoint::claimed(&note)?;
        let view = self.reach(newest.size).await?;
        // With the key that the changes under it name.
        let key = view.ledger_at(newest.size);
        let key = key.as_ref().unwrap_or(&self.anchor.ledger);
        SignedCheckpoint::verify(&note, key)?;
        Ok(view)
    }

    /// The directory with what the registry has logged and no checkpoint covers yet: what the next change has
    /// to follow. Nothing else may rest on it.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub async fn newest(&self) -> Result<State, DeskError> {
        self.refresh().await?;
        let directory = self.directory();
        let told = async {
            let mut tick = tokio::time::interval(TICK);
            while !directory.is_confirmed() && directory.unproven().is_none() {
                tick.tick().await;
            }
        };
        // A registry that says nothing more has logged nothing more, as far as anybody can tell.
        let _ = tokio::time::timeout(WAIT, told).await;
        Ok(self.known())
    }

    /// The same, as far as it is known here already.
    pub fn known(&self) -> State {
        let directory = self.directory();
        let (view, unproven) = (directory.view(), directory.unproven());
        match unproven.filter(|state| state.size() > view.size) {
            Some(state) => State::clone(&state),
            None => view.state.clone(),
        }
    }

    /// The own registry and those that it recognises, as one directory; see [`Self::everywhere`].
    pub async fn federation(&self) -> Federation {
        let views = self.everywhere().await;
        let mut states = views.iter().map(|view| view.state.clone());
        let home = states.next().unwrap_or_default();
        Federation::new(home, states.collect())
    }

    /// The views of the own registry, first, and of those that it recognises: each as of now where it answers,
    /// and else as this desk last verified it.
    pub async fn everywhere(&self) -> Vec<Arc<View>> {
        let abroad = Abroad::open(AbroadConfig {
            home: self.directory(),
            dir: self.copy.join("abroad"),
            net: self.seams.net.clone(),
            identity: self.identity.clone(),
            clock: self.seams.clock.clone(),
            disk: self.seams.disk.clone(),
        })
        .await;
        let directories = abroad.directories();
        let heard = async {
            let mut tick = tokio::time::interval(TICK);
            while !directories.are_confirmed() {
                tick.tick().await;
            }
        };
        let _ = tokio::time::timeout(WAIT, heard).await;
        let views = directories.views();
        abroad.shutdown().await;
        views
    }

    /// Waits until this desk has verified `size` changes.
    ///
    /// # Errors
    /// When it has not in 10 s.
    pub async fn reach(&self, size: u64) -> Result<Arc<View>, DeskError> {
        let directory = self.directory();
        let mut last = Behind { size };
        for _ in 0..PATIENCE {
            match directory.catch_up(size, WAIT).await {
                Ok(view) => return Ok(view),
                Err(behind) => last = behind,
            }
        }
        Err(last.into())
    }

    /// Signs a change as `author`, after the newest state, submits it with the blobs it names, and
    /// waits until it is verified here. What denies, and what puts another ledger key in office, may be in the
    /// registry before it can sign a checkpoint over it: then it is enough that it is there.
    ///
    /// # Errors
    /// When it cannot be signed, or is refused.
    pub async fn submit(
        &self,
        author: Author,
        signer: &dyn Signer,
        change: &Change,
        blobs: Vec<Bytes>,
    ) -> Result<Accepted, DeskError> {
        let state = self.newest().await?;
        let mut pen = Pen::new(&state, author, signer, self.seams.clock.now())?;
        let accepted = pen.submit(change, blobs, &self.client).await?;
        let may_be_unsigned = change.kind().denies()
            || matches!(
                change,
                Change::LedgerKey(_) | Change::ProposalApprove(_) | Change::ProposalWithdraw(_)
            );
        if may_be_unsigned {
            let directory = self.directory();
            if directory.catch_up(accepted.size, WAIT).await.is_ok()
                || self.known().size() >= accepted.size
            {
                return Ok(accepted);
            }
        }
        self.reach(accepted.size).await?;
        Ok(accepted)
    }

    /// The key of an access ledger or of the registry's own, by its origin; `None` when this view
    /// knows no such ledger.
    pub fn ledger_key(view: &View, anchor: &Anchor, origin: &str) -> Option<VerifyingKey> {
        if origin == anchor.origin() {
            let key = view.ledger_key();
            return Some(key.as_ref().unwrap_or(&anchor.ledger).key().clone());
        }
        let shard = view.state.shard_by_origin(origin)?;
        Some(shard.key.clone())
    }

    /// Stops following.
    pub async fn close(self) {
        self.follower.shutdown().await;
    }
}

// === impl DeskError ===

impl DeskError {
    /// What it amounts to.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Author(error) => error.reason(),
            Self::Behind(error) => error.reason(),
            Self::Checkpoint(_) => Reason::RegistrySplit,
            Self::Identity(error) => error.reason(),
            Self::Open { source, .. } => source.reason(),
            Self::Random => Reason::InternalFault,
            Self::Registry(error) => error.reason(),
        }
    }

    /// The registry's refusal, with what it said.
    pub fn refused(&self) -> Option<&entente_proto::status::Told> {
        let (Self::Author(AuthorError::Registry(error)) | Self::Registry(error)) = self else {
            return None;
        };
        match error {
            RegistryError::Refused { told, .. } => Some(told),
            _ => None,
        }
    }
}

/// Times [`WAIT`] is waited for a registry that is behind.
const PATIENCE: u32 = 5;
const WAIT: Duration = Duration::from_secs(2);
/// How often it is looked whether the others were heard.
const TICK: Duration = Duration::from_millis(50);
