//! What these tests share.

use std::sync::Arc;

use entente_clock::{Day, ManualClock, Timestamp};
use entente_ledger::disk::Disk;
use entente_ledger::{Append, LedgerConfig};
use entente_sidecar::{RecordOf, Retention, Sealed, Sidecar};
use entente_signing::{Ed25519Key, Signer};
use entente_testkit::MemDisk;

pub(crate) const ORIGIN: &str = "ss1.service-ontario.ca-on/access/2026h2.1";
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_305_600_000);

pub(crate) fn sidecar(disk: &MemDisk) -> Sidecar {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Sidecar::open(disk, "/data/sidecar", "/keys/kek").unwrap()
}

/// A retention of two years, which most of these records have.
pub(crate) fn standard() -> Retention {
    "standard.730d".parse().unwrap()
}

pub(crate) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// Message id number `index`.
pub(crate) fn message_id(index: u64) -> [u8; 16] {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&index.to_be_bytes());
    id
}

pub(crate) fn of(id: &[u8; 16]) -> RecordOf<'_> {
    RecordOf {
        origin: ORIGIN,
        message_id: id,
        kind: 1,
    }
}

/// What record number `index` says; it holds a value that must never be on a disk.
pub(crate) fn plaintext(index: u64) -> Vec<u8> {
    format!("{CANARY} number {index}").into_bytes()
}

/// An append whose entry names the record, which goes with it.
pub(crate) fn append(sealed: &Sealed) -> Append {
    Append {
        entry: sealed.hash.as_bytes().to_vec().into(),
        attachment: Some(sealed.attachment.clone()),
    }
}

pub(crate) fn ledger(disk: &MemDisk, sidecar: &Sidecar) -> LedgerConfig {
    let key: Arc<dyn Signer> = Arc::new(Ed25519Key::from_seed(&[7; 32]).unwrap());
    let mut config = LedgerConfig::new(
        "/data/ledger",
        ORIGIN,
        key,
        Arc::new(disk.clone()),
        Box::new(sidecar.clone()),
        Arc::new(ManualClock::at(NOW)),
    );
    config.segment_bytes = 4096;
    config.preallocate = false;
    config
}

/// Fails when the canary is in any file.
pub(crate) fn holds_no_canary(disk: &MemDisk) {
    for (path, content) in disk.files() {
        let found = content
            .windows(CANARY.len())
            .any(|w| w == CANARY.as_bytes());
        assert!(!found, "{} holds plaintext", path.display());
    }
}

pub(crate) const CANARY: &str = "Marguerite Canari";
