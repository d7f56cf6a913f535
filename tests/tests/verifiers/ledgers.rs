//! Ledgers that our code writes to a real disk, as they are served.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use entente_clock::{ManualClock, Timestamp};
use entente_ledger::checkpoint::SignedCheckpoint;
use entente_ledger::cosignature::cosign;
use entente_ledger::disk::RealDisk;
use entente_ledger::log::Log;
use entente_ledger::note::{NoteKey, NoteSignature, WitnessKey};
use entente_ledger::proof::{InclusionProof, TlogProof};
use entente_ledger::{Append, LedgerConfig, NoCompanion, Reader};
use entente_signing::{Ed25519Key, Signer};
use entente_testkit::entries::samples;
use tempfile::TempDir;

/// A ledger that was closed, with the checkpoints it had on the way.
pub(crate) struct Written {
    folder: TempDir,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) key: NoteKey,
    pub(crate) size: u64,
    /// Files that hold earlier checkpoints.
    pub(crate) older: Vec<PathBuf>,
    /// Keys of the witnesses that cosigned the newest checkpoint.
    pub(crate) witnesses: Vec<String>,
}

// === impl Written ===

impl Written {
    /// Publishes at each of `sizes`, ascending.
    pub(crate) fn new(sizes: &[u64]) -> Self {
        Self::watched(sizes, |_| {})
    }

    /// As [`Written::new`]; `watch` sees it after each publication.
    pub(crate) fn watched(sizes: &[u64], mut watch: impl FnMut(&Self)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signer: Arc<dyn Signer> = Arc::new(Ed25519Key::from_seed(&[7; 32]).unwrap());
        let key = NoteKey::new(ORIGIN, signer.verifying_key().clone()).unwrap();
        let mut written = Self {
            folder,
            signer,
            key,
            size: 0,
            older: Vec::new(),
            witnesses: Vec::new(),
        };
        for size in sizes {
            if written.size > 0 || !written.older.is_empty() {
                let name = format!("checkpoint-{}", written.size);
                let older = written.folder.path().join(name);
                std::fs::copy(written.served().join("checkpoint"), &older).unwrap();
                written.older.push(older);
            }
            written.grow(*size);
            watch(&written);
        }
        written
    }

    /// Adds entries up to `size` and publishes.
    fn grow(&mut self, size: u64) {
        let mut log = Log::open(LedgerConfig {
            preallocate: false,
            ..LedgerConfig::new(
                self.dir(),
                ORIGIN,
                Arc::clone(&self.signer),
                Arc::new(RealDisk),
                Box::new(NoCompanion),
                Arc::new(ManualClock::at(Timestamp::from_millis(1_795_305_700_000))),
            )
        })
        .unwrap();
        let appends: Vec<_> = (self.size..size)
            .map(|index| Append {
                entry: entry(index),
                attachment: None,
            })
            .collect();
        for some in appends.chunks(1_000) {
            log.appender.append_batch(some).unwrap();
            log.integrator.integrate().unwrap();
        }
        log.close().unwrap();
        self.size = size;
    }

    /// Has the newest checkpoint cosigned, by two witnesses and by one of a kind that is not known.
    pub(crate) fn cosigned(mut self) -> Self {
        let path = self.served().join("checkpoint");
        let bytes = std::fs::read(&path).unwrap();
        let mut checkpoint = SignedCheckpoint::verify(&bytes, &self.key).unwrap();
        for (seed, name) in [(21, "w1.registry.ca-demo"), (22, "w1.oversight.ca-demo")] {
            let signer = Ed25519Key::from_seed(&[seed; 32]).unwrap();
            let at = Timestamp::from_millis(COSIGNED_AT);
            let line = cosign(&checkpoint, at, name, &signer).unwrap();
            checkpoint.add(line);
            let key = WitnessKey::new(name, signer.verifying_key().clone()).unwrap();
            self.witnesses.push(key.to_string());
        }
        checkpoint.add(NoteSignature {
            name: "w1.example".to_owned(),
            key_id: [1, 2, 3, 4],
            bytes: vec![5; 200],
        });
        std::fs::write(&path, checkpoint.note().to_string()).unwrap();
        self
    }

    /// The ledger's own folder.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    /// The part of it that is served.
    pub(crate) fn served(&self) -> PathBuf {
        self.dir().join("log")
    }

    /// Keeps a file beside the ledger.
    pub(crate) fn keep(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn checkpoint(&self) -> SignedCheckpoint {
        let bytes = std::fs::read(self.served().join("checkpoint")).unwrap();
        SignedCheckpoint::verify(&bytes, &self.key).unwrap()
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::open(Arc::new(RealDisk), self.dir()).unwrap()
    }

    pub(crate) fn inclusion(&self, index: u64) -> InclusionProof {
        self.reader().inclusion(index, self.size).unwrap().unwrap()
    }

    /// A `.tlog-proof` of one entry.
    pub(crate) fn proof(&self, index: u64) -> TlogProof {
        let InclusionProof { index, path, .. } = self.inclusion(index);
        TlogProof {
            extra: None,
            index,
            path,
            checkpoint: self.checkpoint().note().to_string(),
        }
    }
}

/// Every kind of entry first, then bytes of many lengths.
pub(crate) fn entry(index: u64) -> Bytes {
    let mut samples = samples().into_iter();
    match samples.nth(usize::try_from(index).unwrap()) {
        Some((_, entry)) => entry.encode().unwrap(),
        None => vec![index.to_le_bytes()[0]; 1 + (index % 61) as usize].into(),
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub(crate) fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

/// A public key as openssl and others read it.
pub(crate) fn pem(signer: &dyn Signer) -> String {
    let der = base64(signer.verifying_key().spki_der());
    format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")
}

/// All files below a folder, with their paths in it.
pub(crate) fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.push((path.strip_prefix(dir).unwrap().to_owned(), bytes));
            }
        }
    }
    found.sort();
    found
}

pub(crate) const ORIGIN: &str = "ss1.vital-events.ca-demo/access/2026h2.1";
const COSIGNED_AT: u64 = 1_795_305_661_000;
