//! Whose key signs a log's checkpoints: one for all of them, or one after the other, each from a size on.
//!
//! A log of one key is the rule. Of a log whose key may be replaced somebody has to say which key signs a
//! tree of which size; here that is only asked, and two keys are never taken for one size.

use std::fmt;
use std::sync::Arc;

use entente_signing::Signer;

use crate::note::NoteKey;

/// The keys that a log's checkpoints are verified with.
pub trait LogKeys: fmt::Debug + Send + Sync {
    /// The key that signs a tree of this size, named by the log's origin. None: nobody here knows.
    fn at(&self, size: u64) -> Option<NoteKey>;
}

/// The keys that a log's checkpoints are signed with.
pub trait Signatory: LogKeys {
    /// What signs a tree of this size. None: the key is not at hand, or it is not known yet which one it is.
    /// Then nothing is signed, and asked again later.
    fn signer(&self, size: u64) -> Option<Arc<dyn Signer>>;
}

/// One key for every checkpoint.
#[derive(Debug)]
pub struct OneKey {
    origin: String,
    signer: Arc<dyn Signer>,
}

// === impl NoteKey ===

impl LogKeys for NoteKey {
    fn at(&self, _size: u64) -> Option<NoteKey> {
        Some(self.clone())
    }
}

// === impl OneKey ===

impl OneKey {
    /// Of the log of this origin.
    pub fn new(origin: &str, signer: Arc<dyn Signer>) -> Self {
        let origin = origin.to_owned();
        Self { origin, signer }
    }
}

impl LogKeys for OneKey {
    fn at(&self, _size: u64) -> Option<NoteKey> {
        NoteKey::new(&self.origin, self.signer.verifying_key().clone()).ok()
    }
}

impl Signatory for OneKey {
    fn signer(&self, _size: u64) -> Option<Arc<dyn Signer>> {
        Some(Arc::clone(&self.signer))
    }
}
