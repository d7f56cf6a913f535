//! The blobs that entries rest on.

use std::collections::BTreeSet;
use std::time::Duration;

use entente_signing::Digest;
use tokio::time::timeout;

use super::{Broken, OPENING, Pending, Session};
use crate::client::MAX_BLOBS_ASKED;

impl Session {
    /// Fetches the blobs that entries rest on and that are not held yet.
    pub(super) async fn fetch_blobs(&self, entries: &[Pending]) -> Result<(), Broken> {
        let named = entries.iter().filter_map(|pending| {
            let hash = pending.entry.as_ref()?.change.blob()?;
            (!self.replica.blobs.names(&hash)).then_some(hash)
        });
        // Many offer the same contract.
        let named: BTreeSet<Digest> = named.collect();
        let named: Vec<Digest> = named.into_iter().collect();
        for some in named.chunks(MAX_BLOBS_ASKED) {
            self.fetch(some).await?;
        }
        Ok(())
    }

    /// Fetches blobs, and writes them down as they come.
    pub(super) async fn fetch(&self, named: &[Digest]) -> Result<(), Broken> {
        if let Some(mirror) = &self.mirror {
            for hash in named {
                let blob = mirror.blob(hash).await.map_err(Broken::Mirror)?;
                let some = [(*hash, blob)];
                self.replica.blobs.append(&some).map_err(Broken::BlobKept)?;
            }
            return Ok(());
        }
        let mut stream = timeout(OPENING, self.client.fetch_blobs(named))
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
                self.replica.blobs.append(&some).map_err(Broken::BlobKept)?;
                (some, held) = (Vec::new(), 0);
            }
        }
        self.replica.blobs.append(&some).map_err(Broken::BlobKept)
    }
}

/// One may be 4 MiB, and the line slow.
const ONE_BLOB: Duration = Duration::from_secs(60);
/// Bytes of blobs after which they are written down.
const MOST_HELD: usize = 4 << 20;
