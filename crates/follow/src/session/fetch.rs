//! The blobs that entries rest on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use entente_signing::Digest;
use tokio::time::timeout;

use super::{Broken, Pending, Session};
use crate::client::{MAX_BLOBS_ASKED, RegistryClient};
use crate::directory::Shared;
use crate::mirror::Mirror;
use crate::pack::BlobPack;

/// Where blobs come from and go to.
pub(super) struct Fetching {
    client: RegistryClient,
    mirror: Option<Arc<Mirror>>,
    blobs: Arc<BlobPack>,
    shared: Arc<Shared>,
}

impl Session {
    /// The blobs that entries rest on and that are not held yet.
    pub(super) fn missing_blobs(&self, entries: &[Pending]) -> Vec<Digest> {
        let named = entries.iter().filter_map(|pending| {
            let hash = pending.entry.as_ref()?.change.blob()?;
            (!self.replica.blobs.names(&hash)).then_some(hash)
        });
        // Many offer the same contract.
        let named: BTreeSet<Digest> = named.collect();
        named.into_iter().collect()
    }

    /// What fetches blobs, borrowing nothing: the stream is heard meanwhile.
    pub(super) fn fetching(&self) -> Fetching {
        Fetching {
            client: self.client.clone(),
            mirror: self.mirror.clone(),
            blobs: self.replica.blobs.clone(),
            shared: self.shared.clone(),
        }
    }
}

// === impl Fetching ===

impl Fetching {
    /// Fetches blobs, and writes them down as they come.
    pub(super) async fn blobs(self, named: Vec<Digest>) -> Result<(), Broken> {
        for some in named.chunks(MAX_BLOBS_ASKED) {
            match &self.mirror {
                Some(mirror) => self.ask_mirror(mirror, some).await?,
                None => self.ask_registry(some).await?,
            }
        }
        Ok(())
    }

    async fn ask_mirror(&self, mirror: &Mirror, named: &[Digest]) -> Result<(), Broken> {
        for hash in named {
            let blob = mirror.blob(hash).await.map_err(Broken::Mirror)?;
            let some = [(*hash, blob)];
            self.blobs.append(&some).map_err(Broken::BlobKept)?;
        }
        Ok(())
    }

    async fn ask_registry(&self, named: &[Digest]) -> Result<(), Broken> {
        let mut stream = timeout(ANSWERED, self.client.fetch_blobs(named))
            .await
            .map_err(|_| Broken::Silent)?
            .map_err(Broken::Blob)?;
        let (mut some, mut held) = (Vec::new(), 0);
        for hash in named {
            let blob = timeout(ONE_BLOB, stream.next(hash)).await;
            let blob = blob.map_err(|_| Broken::Silent)?.map_err(Broken::Blob)?;
            self.shared.heard();
            held += blob.len();
            some.push((*hash, blob));
            if held >= MOST_HELD {
                self.blobs.append(&some).map_err(Broken::BlobKept)?;
                (some, held) = (Vec::new(), 0);
            }
        }
        self.blobs.append(&some).map_err(Broken::BlobKept)
    }
}

/// Until the first of them is on its way.
const ANSWERED: Duration = Duration::from_secs(10);
/// One may be 4 MiB, and the line slow.
const ONE_BLOB: Duration = Duration::from_secs(60);
/// Bytes of blobs after which they are written down.
const MOST_HELD: usize = 4 << 20;
