//! What these tests share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use entente_clock::{ManualClock, Timestamp};
use entente_ledger::checkpoint::Checkpoint;
use entente_ledger::companion::CompanionError;
use entente_ledger::disk::Disk;
use entente_ledger::fsck::{Report, fsck};
use entente_ledger::log::{Log, LogError};
use entente_ledger::tree::{Frontier, leaf_hash};
use entente_ledger::witness::WitnessPolicy;
use entente_ledger::{
    Append, Companion, Cosigner, CosignerFuture, LedgerConfig, SignedCheckpoint, SignedTree,
    Witnessed,
};
use entente_signing::{Digest, Ed25519Key, SignError, Signer, VerifyingKey};
use entente_testkit::MemDisk;

pub(crate) const DIR: &str = "/ledger";
pub(crate) const ORIGIN: &str = "ss1.service-ontario.ca-on/access/2026h2.1";

/// Signs, and remembers what.
#[derive(Clone, Debug)]
pub(crate) struct RecordingSigner {
    key: Arc<Ed25519Key>,
    signed: Arc<Mutex<BTreeMap<u64, Digest>>>,
}

/// Keeps each attachment in a file of its own, on the same disk.
#[derive(Debug)]
pub(crate) struct FileCompanion {
    disk: Arc<dyn Disk>,
    unsynced: Vec<PathBuf>,
}

/// A quorum of none, which always agrees.
#[derive(Debug)]
struct Agrees;

/// Random numbers from a seed.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

// === impl RecordingSigner ===

impl RecordingSigner {
    pub(crate) fn new() -> Self {
        Self {
            key: Arc::new(Ed25519Key::from_seed(&[7; 32]).unwrap()),
            signed: Arc::default(),
        }
    }

    /// Fails when a root was signed that is not the entries'. That no size was ever signed with two
    /// roots is checked at each signature.
    pub(crate) fn check(&self) {
        for (size, root) in self.signed.lock().unwrap().iter() {
            assert_eq!(*root, root_at(*size), "size {size}");
        }
    }
}

impl Signer for RecordingSigner {
    fn verifying_key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let text = std::str::from_utf8(message).unwrap();
        let checkpoint: Checkpoint = text.parse().unwrap();
        let mut signed = self.signed.lock().unwrap();
        let root = signed.entry(checkpoint.size).or_insert(checkpoint.root);
        assert_eq!(*root, checkpoint.root, "two roots for one size");
        self.key.sign(message)
    }
}

// === impl FileCompanion ===

impl FileCompanion {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            unsynced: Vec::new(),
        }
    }

    pub(crate) fn path(index: u64) -> PathBuf {
        Path::new("/attachments").join(index.to_string())
    }
}

impl Companion for FileCompanion {
    fn store(&mut self, index: u64, attachment: &Bytes) -> Result<(), CompanionError> {
        let path = Self::path(index);
        self.disk.create_dir_all(Path::new("/attachments"))?;
        let file = if self.disk.exists(&path)? {
            self.disk.open(&path)?
        } else {
            self.disk.create(&path)?
        };
        file.write_at(0, attachment)?;
        self.unsynced.push(path);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), CompanionError> {
        for path in self.unsynced.drain(..) {
            self.disk.open(&path)?.sync_data()?;
        }
        Ok(self.disk.sync_dir(Path::new("/attachments"))?)
    }
}

// === impl Agrees ===

impl Cosigner for Agrees {
    fn cosign(&self, signed: SignedTree) -> CosignerFuture<'_> {
        Box::pin(async move { agreed(signed.checkpoint()) })
    }

    fn is_settled(&self, _: &Arc<SignedCheckpoint>) -> bool {
        true
    }
}

fn agreed(checkpoint: &Arc<SignedCheckpoint>) -> Witnessed {
    let now = Timestamp::from_millis(1_795_305_600_000);
    Witnessed::Final(WitnessPolicy::default().judge(checkpoint, now).unwrap())
}

// === impl Random ===

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A configuration on `disk`, with small segments.
pub(crate) fn config(disk: &MemDisk, signer: &RecordingSigner) -> LedgerConfig {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let companion = Box::new(FileCompanion::new(Arc::clone(&disk)));
    let clock = ManualClock::at(Timestamp::from_millis(1_795_305_600_000));
    let signer = Arc::new(signer.clone());
    LedgerConfig {
        cosigner: Some(Arc::new(Agrees)),
        integrate_every: Duration::from_millis(250),
        checkpoint_every: Duration::from_secs(10),
        segment_bytes: 4096,
        preallocate: false,
        ..LedgerConfig::new(DIR, ORIGIN, signer, disk, companion, Arc::new(clock))
    }
}

/// Entry `index` of a test ledger: its bytes depend on the index alone.
pub(crate) fn entry(index: u64) -> Bytes {
    let len = 8 + (index * 7 % 23) as usize;
    let mut bytes = vec![index as u8; len];
    bytes[..8].copy_from_slice(&index.to_be_bytes());
    bytes.into()
}

/// An append of entry `index`; every fifth has an attachment.
pub(crate) fn append(index: u64) -> Append {
    Append {
        entry: entry(index),
        attachment: index.is_multiple_of(5).then(|| entry(index + 1_000_000)),
    }
}

pub(crate) fn appends(range: std::ops::Range<u64>) -> Vec<Append> {
    range.map(append).collect()
}

pub(crate) fn entries(size: u64) -> Vec<Bytes> {
    (0..size).map(entry).collect()
}

/// The root over the first `size` test entries.
pub(crate) fn root_at(size: u64) -> Digest {
    static ROOTS: LazyLock<Vec<Digest>> = LazyLock::new(|| {
        let mut frontier = Frontier::new();
        let mut roots = vec![frontier.root()];
        for index in 0..6_000 {
            frontier.push(leaf_hash(&entry(index)));
            roots.push(frontier.root());
        }
        roots
    });
    ROOTS[size as usize]
}

/// A log of `size` entries, closed.
pub(crate) fn closed_log(disk: &MemDisk, signer: &RecordingSigner, size: u64) {
    let mut log = Log::open(config(disk, signer)).unwrap();
    let mut at = log.appender.size();
    while at < size {
        let next = size.min(at + 100);
        log.appender.append_batch(&appends(at..next)).unwrap();
        at = next;
    }
    log.close().unwrap();
}

pub(crate) fn publish(log: &mut Log) -> Result<(), LogError> {
    match log.integrator.prepare_checkpoint()? {
        Some(checkpoint) => log.integrator.publish(&agreed(&Arc::new(checkpoint))),
        None => Ok(()),
    }
}

pub(crate) fn check(disk: &MemDisk, signer: &RecordingSigner) -> Report {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    fsck(disk, DIR, signer.verifying_key(), &mut |_, _| {}).unwrap()
}
