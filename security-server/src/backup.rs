//! A copy of a server's data that can be put back, made while the server runs or is down.
//!
//! A ledger that was put back is older than what was written, or may be, so a server never goes on in it
//! unless nothing can have been written since (`restored`): it opens a new shard that says so.
//! KEKs are left out, so that what is destroyed stays destroyed; so is the mark of the newest checkpoint, which
//! would make an old copy look new; and what is rebuilt or fetched again.

mod copy;
mod manifest;
mod put_back;
pub(crate) mod restored;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use entente_clock::Timestamp;
use entente_config::ConfigError;
use entente_ledger::disk::{DiskError, RealDisk};
use entente_ledger::layout::Layout;
use entente_ledger::log::LogError;
use entente_ledger::{Checkpoint, Reader, fsck};
use entente_signing::VerifyingKey;

use crate::config::Config;
use copy::Copying;
use manifest::{Manifest, ShardIn};

pub use put_back::{PutBack, Restore, restore};

/// What to copy.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The server's configuration.
    pub config: &'a Config,
    /// Its file, which is copied too.
    pub file: &'a Path,
    /// The new folder.
    pub to: &'a Path,
    /// Whether the server's private keys are copied as well, without KEKs.
    pub with_keys: bool,
}

/// A backup that was written and verified.
#[derive(Clone, Debug)]
pub struct Made {
    /// The ledger's shards, and how far each reaches.
    pub shards: Vec<Shard>,
    /// How many files there are.
    pub files: usize,
    /// How many bytes.
    pub bytes: u64,
    /// Whether the server was down all the while, so that nothing was written after it.
    pub was_down: bool,
    /// Whether private keys are in it.
    pub with_keys: bool,
}

/// One shard of the ledger.
#[derive(Clone, Debug)]
pub struct Shard {
    /// The folder's name: `2026h2.1`.
    pub name: String,
    /// Its origin; none before its first checkpoint.
    pub origin: Option<String>,
    /// How many entries it holds.
    pub entries: u64,
    /// How many of them its newest checkpoint covers.
    pub signed: u64,
}

/// Why there is no backup, or nothing was put back. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The ledger changed whenever it was copied.
    #[error("copying {shard} while it is written to: every attempt was torn")]
    Busy {
        /// The shard.
        shard: String,
    },
    /// A file of the configuration cannot be read.
    #[error("reading the configuration")]
    Config(#[source] Box<ConfigError>),
    /// What is in the ledger is not what was written.
    #[error("{shard} is damaged: {file}")]
    Damaged {
        /// The shard.
        shard: String,
        /// The first file that is not as it must be.
        file: String,
    },
    /// A file of the backup is not what was copied.
    #[error("{} is missing from the backup, or altered", path.display())]
    Differs {
        /// The file, within the backup.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("using {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A ledger cannot be read.
    #[error("reading {shard}")]
    Ledger {
        /// The shard.
        shard: String,
        /// Why.
        #[source]
        source: LogError,
    },
    /// The mark of what was put back.
    #[error("noting that it was put back")]
    Mark(#[from] DiskError),
    /// It is no backup, is not complete, or is of a newer version.
    #[error("{} is no whole backup that this version reads", path.display())]
    NoBackup {
        /// The folder.
        path: PathBuf,
    },
    /// Keys are asked for, and are not in it.
    #[error("the backup holds no keys")]
    NoKeys,
    /// Something is there already, which is never replaced.
    #[error("{} is there already, and is not replaced", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// It is of another server.
    #[error("the backup is of {found}, not of {expected}")]
    OtherServer {
        /// Whose it is.
        found: String,
        /// Whose data was to be put back.
        expected: String,
    },
    /// Nobody says by which key a shard is signed, so that it could not be verified.
    #[error("no key is known for {shard}")]
    Unknown {
        /// The shard.
        shard: String,
    },
}

/// Copies the data of a server and verifies the copy. `key_of` says by which key the shard in a folder of
/// this name is signed.
///
/// Blocks. Files are read whole: the largest is a segment of 256 MiB.
///
/// # Errors
/// When something cannot be read, written or verified. What was written by then is no backup: it
/// lacks its manifest.
pub fn make(
    wanted: &Wanted<'_>,
    key_of: &dyn Fn(&str) -> Option<VerifyingKey>,
    now: Timestamp,
) -> Result<Made, BackupError> {
    let Wanted { config, to, .. } = *wanted;
    occupied(to)?;
    let data = config.data.as_path();
    let mut copying = Copying::begin(to)?;
    // Held to the end: nothing can have been written to it meanwhile.
    let held = hold_ledgers(data)?;
    let mut shards = Vec::new();
    for folder in shard_folders(data)? {
        if held.is_none() {
            await_signed(&folder);
        }
        shards.push(copy_shard(&folder, &mut copying, key_of)?);
    }
    // After the ledger: what its entries name is there by then, in the sidecar or in the copied log.
    copying.tree(data, Path::new("data"), &|name| !LEFT_OUT.contains(&name))?;
    copying.file(wanted.file, Path::new("config/security-server.yaml"))?;
    copying.file(config.anchor.as_path(), Path::new("config/anchor.yaml"))?;
    if let Some(timestamp) = &config.timestamp {
        copying.file(timestamp.roots.as_path(), Path::new("config/roots.pem"))?;
    }
    if wanted.with_keys {
        let is_copied = |name: &str| !KEYS_LEFT_OUT.contains(&name) && !name.starts_with('.');
        copying.tree(config.keys.as_path(), Path::new("keys"), &is_copied)?;
    }
    let was_down = held.is_some();
    let manifest = Manifest::of(config, wanted.with_keys, was_down, now, &shards, &copying);
    // If we crash before this, the folder lacks its manifest, and nobody takes it for a backup.
    copying.end(&manifest)?;
    // What was written is read again: a disk that lost some of it is not found out when it is needed.
    Manifest::check(to)?;
    Ok(Made {
        files: copying.count(),
        bytes: copying.bytes(),
        shards: shards.into_iter().map(Shard::from).collect(),
        was_down,
        with_keys: wanted.with_keys,
    })
}

/// Locks of every shard, so that the server cannot start meanwhile; none when it runs.
fn hold_ledgers(data: &Path) -> Result<Option<Vec<File>>, BackupError> {
    let mut held = Vec::new();
    for folder in shard_folders(data)? {
        let path = Layout::new(&folder).lock();
        let file = match File::open(&path) {
            // Never written to.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file.map_err(|source| failed(&path, source))?,
        };
        match file.try_lock_shared() {
            Ok(()) => held.push(file),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(failed(&path, source)),
        }
    }
    Ok(Some(held))
}

/// Waits a while until what a running server wrote so far is signed: only that is evidence once the shard
/// is never written to again. What is not signed by then is copied all the same.
fn await_signed(folder: &Path) {
    let look = || {
        let reader = Reader::open(Arc::new(RealDisk), folder).ok()?;
        let newest = reader.unverified_checkpoint().ok().flatten();
        let newest = newest.and_then(|note| note.text().parse::<Checkpoint>().ok());
        Some((reader.size(), newest.map_or(0, |newest| newest.size)))
    };
    let Some((size, mut signed)) = look() else {
        return;
    };
    for _ in 0..LOOKS {
        if signed >= size {
            return;
        }
        std::thread::park_timeout(LOOK);
        signed = look().map_or(signed, |(_, signed)| signed);
    }
}

/// The folders of shards, by name.
fn shard_folders(data: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let ledgers = data.join("ledger");
    let items = match fs::read_dir(&ledgers) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        items => items.map_err(|source| failed(&ledgers, source))?,
    };
    let mut folders = Vec::new();
    for item in items {
        let path = item.map_err(|source| failed(&ledgers, source))?.path();
        if path.join("FORMAT").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Copies one shard until the copy holds together, which is verified byte by byte.
fn copy_shard(
    folder: &Path,
    copying: &mut Copying,
    key_of: &dyn Fn(&str) -> Option<VerifyingKey>,
) -> Result<ShardIn, BackupError> {
    let shard = folder.file_name().unwrap_or_default();
    let shard = shard.to_string_lossy().into_owned();
    let key = key_of(&shard).ok_or_else(|| BackupError::Unknown {
        shard: shard.clone(),
    })?;
    let ledger = |source| BackupError::Ledger {
        shard: shard.clone(),
        source,
    };
    let below = Path::new("data/ledger").join(&shard);
    let check =
        |path: &Path| fsck::fsck(Arc::new(RealDisk), path, &key, &mut |_, _| {}).map_err(ledger);
    let mut findings = Vec::new();
    for attempt in 0..ATTEMPTS {
        let copied = copying.ledger(folder, &below)?;
        let report = check(&copied)?;
        let report = if report.is_sound() {
            report
        } else {
            // Tiles that were written after the state was copied are of entries beyond the copy.
            copying.prune(&below, &report)?;
            check(&copied)?
        };
        if report.is_sound() {
            let opened = Reader::open(Arc::new(RealDisk), &copied).map_err(ledger)?;
            return Ok(ShardIn {
                origin: opened.origin().map(str::to_owned),
                entries: report.size + report.waiting,
                signed: report.checkpoint.unwrap_or_default(),
                root: report.root,
                name: shard,
            });
        }
        // What every copy shows is damage; the rest moved while we looked.
        let seen = report.findings;
        findings = match attempt {
            0 => seen,
            _ => findings.into_iter().filter(|f| seen.contains(f)).collect(),
        };
    }
    match findings.into_iter().next() {
        Some(finding) => Err(BackupError::Damaged {
            shard,
            file: finding.path,
        }),
        None => Err(BackupError::Busy { shard }),
    }
}

/// A folder to write to must not be there yet, or be empty.
fn occupied(path: &Path) -> Result<(), BackupError> {
    match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(failed(path, source)),
        Ok(mut items) => match items.next() {
            None => Ok(()),
            Some(_) => Err(BackupError::Occupied {
                path: path.to_owned(),
            }),
        },
    }
}

fn failed(path: &Path, source: io::Error) -> BackupError {
    BackupError::File {
        path: path.to_owned(),
        source,
    }
}

// === impl Shard ===

impl From<ShardIn> for Shard {
    fn from(shard: ShardIn) -> Self {
        Self {
            name: shard.name,
            origin: shard.origin,
            entries: shard.entries,
            signed: shard.signed,
        }
    }
}

/// Of the data: the ledger is copied apart, the rest is rebuilt or fetched again, and what was put back
/// before says nothing about the next time.
const LEFT_OUT: [&str; 5] = ["abroad", "directory", "ledger", restored::NAME, "store"];
/// Of the keys: KEKs, so that destruction holds, and the mark, which must not grow older.
const KEYS_LEFT_OUT: [&str; 2] = ["kek", crate::mark::NAME];
/// How often and how long it is waited for a checkpoint, which comes every ten seconds.
const LOOKS: u32 = 80;
const LOOK: Duration = Duration::from_millis(250);
/// How often a ledger that is written to is copied.
const ATTEMPTS: usize = 8;
