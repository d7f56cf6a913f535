//! A registry's ledger as static files on any web server: what is fetched of it, and how little.
//!
//! ```text
//! checkpoint                the newest, a signed note with its cosignatures
//! tile/entries/…            bundles of 256 entries (C2SP tlog-tiles)
//! blob/<hex>                descriptor sets and agreements by SHA-256
//! ```
//!
//! Nothing here is believed: what comes back is as good as anybody's word until it is verified.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_directory::MAX_BLOB;
use entente_ledger::MAX_ENTRY;
use entente_ledger::tile::{Level, TileError, TileId, WIDTH, decode_bundle};
use entente_signing::Digest;
use entente_tls::http::{self as plain, HttpError, HttpUrl, InvalidHttpUrl};
use entente_tls::net::Net;
use http::{Request, StatusCode};
use tokio::time::timeout;

/// One of them.
#[derive(Debug)]
pub(crate) struct Mirror {
    net: Arc<dyn Net>,
    at: HttpUrl,
}

/// Why a mirror gave nothing of use. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MirrorError {
    #[error("forming an address on the mirror")]
    Address(#[from] InvalidHttpUrl),
    #[error("the mirror's blob is not what its name says")]
    Blob,
    #[error("reading a bundle of entries")]
    Bundle(#[from] TileError),
    #[error("asking the mirror")]
    Http(#[from] HttpError),
    #[error("the mirror has no {0}")]
    Missing(String),
    #[error("waiting for the mirror")]
    Slow,
    #[error("the mirror answered {0}")]
    Status(StatusCode),
}

// === impl Mirror ===

impl Mirror {
    pub(crate) const fn new(net: Arc<dyn Net>, at: HttpUrl) -> Self {
        Self { net, at }
    }

    pub(crate) const fn at(&self) -> &HttpUrl {
        &self.at
    }

    /// The newest checkpoint there.
    pub(crate) async fn checkpoint(&self) -> Result<Bytes, MirrorError> {
        self.get("/checkpoint", MAX_NOTE).await
    }

    /// The entries of one bundle of a tree of `size`, the index of the first among them.
    pub(crate) async fn bundle(
        &self,
        index: u64,
        size: u64,
    ) -> Result<(u64, Vec<Bytes>), MirrorError> {
        let missing = || MirrorError::Missing(format!("bundle {index} of {size} entries"));
        let id = TileId::in_tree(Level::Entries, index, size).ok_or_else(missing)?;
        let longest = usize::from(id.width) * (MAX_ENTRY + 2);
        let (bytes, width) = match self.get(&format!("/{id}"), longest).await {
            // Grown since, and only the full one kept: it begins with what was asked for.
            Err(MirrorError::Missing(_)) if !id.is_full() => {
                let longest = WIDTH as usize * (MAX_ENTRY + 2);
                let full = id.full();
                (self.get(&format!("/{full}"), longest).await?, full.width)
            }
            other => (other?, id.width),
        };
        let mut entries = decode_bundle(&bytes, width)?;
        entries.truncate(id.width.into());
        Ok((index * WIDTH, entries))
    }

    /// A blob; it is what its digest says.
    pub(crate) async fn blob(&self, hash: &Digest) -> Result<Bytes, MirrorError> {
        let blob = self.get(&format!("/blob/{hash}"), MAX_BLOB).await?;
        match Digest::of(&blob) == *hash {
            true => Ok(blob),
            false => Err(MirrorError::Blob),
        }
    }

    async fn get(&self, path: &str, longest: usize) -> Result<Bytes, MirrorError> {
        // The registry is not tried meanwhile: a mirror behind a dead line must not keep it waiting.
        let wait = if longest <= MAX_NOTE { NOTE_WAIT } else { WAIT };
        let at = self.at.beneath(path)?;
        let request = Request::new(Bytes::new());
        let answer = timeout(wait, plain::send(&*self.net, &at, request, longest));
        let answer = answer.await.map_err(|_| MirrorError::Slow)??;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            StatusCode::NOT_FOUND => Err(MirrorError::Missing(path.to_owned())),
            status => Err(MirrorError::Status(status)),
        }
    }
}

/// The longest note read, in bytes.
const MAX_NOTE: usize = 64 * 1024;
/// For a note.
const NOTE_WAIT: Duration = Duration::from_secs(2);
/// For any other file.
const WAIT: Duration = Duration::from_secs(30);
