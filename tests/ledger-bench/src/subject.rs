//! What is measured: a ledger on the real disk, and the entries it gets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::{Clock as _, SystemClock};
use entente_ledger::disk::Disk;
use entente_ledger::note::NoteKey;
use entente_ledger::{Append, LedgerConfig};
use entente_signing::{Ed25519Key, InvalidKey, Signer as _};

use crate::beside::Beside;

/// The measured ledger's folder: the ledger itself, and what its attachments become.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    folder: PathBuf,
    segment_bytes: u64,
}

/// Makes entries like those of an exchange: 560 bytes, with an attachment of 400, as every request and
/// answer has that is logged.
#[derive(Debug)]
pub(crate) struct Source {
    noise: Vec<u8>,
}

// === impl Subject ===

impl Subject {
    pub(crate) fn new(folder: &Path, segment_bytes: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            segment_bytes,
        }
    }

    /// The ledger's own folder.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.join("ledger")
    }

    /// Where the bare file is written.
    pub(crate) fn bare(&self) -> PathBuf {
        self.folder.join("bare")
    }

    pub(crate) const fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// As a server opens it.
    pub(crate) fn config(&self, disk: Arc<dyn Disk>) -> anyhow::Result<LedgerConfig> {
        let companion = Beside::open(self.folder.join("attachments"))?;
        let mut config = LedgerConfig::new(
            self.dir(),
            ORIGIN,
            Arc::new(signing_key()?),
            disk,
            Box::new(companion),
            Arc::new(SystemClock),
        );
        config.segment_bytes = self.segment_bytes;
        Ok(config)
    }

    /// The same, doing nothing unasked: entries stay in the write-ahead log.
    pub(crate) fn idle_config(&self, disk: Arc<dyn Disk>) -> anyhow::Result<LedgerConfig> {
        let mut config = self.config(disk)?;
        config.integrate_every = NEVER;
        config.checkpoint_every = NEVER;
        Ok(config)
    }
}

/// The ledger's key: always the same, so that each process knows it.
pub(crate) fn signing_key() -> Result<Ed25519Key, InvalidKey> {
    Ed25519Key::from_seed(&[7; 32])
}

/// The key that its checkpoints are verified with.
pub(crate) fn note_key() -> anyhow::Result<NoteKey> {
    Ok(NoteKey::new(
        ORIGIN,
        signing_key()?.verifying_key().clone(),
    )?)
}

// === impl Source ===

impl Source {
    pub(crate) fn new() -> Self {
        let mut state = 1_u64;
        let noise = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        });
        Self {
            noise: noise.take(NOISE).collect(),
        }
    }

    /// Bytes of no pattern, at most 32 MiB at once.
    pub(crate) fn noise(&self, len: usize) -> impl Iterator<Item = &[u8]> {
        let whole = len / NOISE;
        let parts = std::iter::repeat_n(self.noise.as_slice(), whole);
        parts.chain([&self.noise[..len % NOISE]])
    }

    /// The `number`th entry, which says when it was made, as each does.
    pub(crate) fn append(&self, number: u64) -> Append {
        let mut entry = Vec::with_capacity(ENTRY);
        // [1, 1, time, bytes]: what the ledger reads of an entry is its time alone.
        entry.extend([0x84, 0x01, 0x01, 0x1b]);
        entry.extend(SystemClock.now().as_millis().to_be_bytes());
        let rest = ENTRY - entry.len() - 3;
        entry.push(0x59);
        entry.extend((rest as u16).to_be_bytes());
        entry.extend(number.to_be_bytes());
        let at = (number as usize).wrapping_mul(61) % (NOISE - ENTRY);
        entry.extend(&self.noise[at..at + rest - 8]);
        Append {
            entry: entry.into(),
            attachment: Some(Bytes::copy_from_slice(&self.noise[at..at + ATTACHMENT])),
        }
    }
}

const ORIGIN: &str = "ss1.bench.ca-on/access/2026h2.1";
/// Bytes of an entry: a signed statement under a shared root.
const ENTRY: usize = 560;
/// Bytes of an attachment: encrypted openings with their wrapped key.
pub(crate) const ATTACHMENT: usize = 400;
const NOISE: usize = 1024 * 1024;
const NEVER: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use entente_ledger::Entry;

    use super::*;

    #[test]
    fn an_entry_says_when_it_was_made() {
        let source = Source::new();
        let before = SystemClock.now();
        let append = source.append(3);
        assert_eq!(append.entry.len(), ENTRY);
        assert!(Entry::time_of(&append.entry).unwrap() >= before);
        assert_ne!(source.append(4).entry, append.entry);
    }

    #[test]
    fn noise_is_as_long_as_asked_for() {
        let source = Source::new();
        for len in [0, 1, NOISE, 3 * NOISE + 7] {
            assert_eq!(source.noise(len).map(<[u8]>::len).sum::<usize>(), len);
        }
    }
}
