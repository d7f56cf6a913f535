//! `BACKUP`: what is in a backup, so that it is told from half of one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use entente_clock::Timestamp;
use entente_signing::Digest;
use serde::{Deserialize, Serialize};

use super::BackupError;
use super::copy::{Copying, is_plain};
use crate::config::Config;

/// The manifest, which is written last.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: String,
    pub(super) server: String,
    pub(super) made_at: String,
    version: String,
    /// Whether the server was down all the while.
    pub(super) was_down: bool,
    pub(super) with_keys: bool,
    pub(super) shards: Vec<ShardIn>,
    /// By the path within the backup.
    files: BTreeMap<PathBuf, FileIn>,
}

/// A shard in a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShardIn {
    pub(super) name: String,
    pub(super) origin: Option<String>,
    pub(super) entries: u64,
    pub(super) signed: u64,
    #[serde(with = "hex")]
    pub(super) root: Digest,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileIn {
    bytes: u64,
    #[serde(with = "hex")]
    sha256: Digest,
}

/// A digest as hexadecimal digits.
mod hex {
    use entente_signing::Digest;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(digest)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|_| D::Error::custom("no digest"))
    }
}

// === impl Manifest ===

impl Manifest {
    pub(super) fn of(
        config: &Config,
        with_keys: bool,
        was_down: bool,
        now: Timestamp,
        shards: &[ShardIn],
        copying: &Copying,
    ) -> Self {
        let files = copying.files().iter().map(|(path, (bytes, sha256))| {
            let file = FileIn {
                bytes: *bytes,
                sha256: *sha256,
            };
            (path.clone(), file)
        });
        Self {
            format: FORMAT.to_owned(),
            server: config.server.to_string(),
            made_at: now.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            was_down,
            with_keys,
            shards: shards.to_vec(),
            files: files.collect(),
        }
    }

    /// Reads a backup's manifest, and holds every file against it.
    pub(super) fn check(dir: &Path) -> Result<Self, BackupError> {
        let none = || BackupError::NoBackup {
            path: dir.to_owned(),
        };
        let path = dir.join(NAME);
        let length = fs::metadata(&path).map_err(|_| none())?.len();
        if length > LONGEST {
            return Err(none());
        }
        let bytes = fs::read(&path).map_err(|_| none())?;
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|_| none())?;
        if manifest.format != FORMAT {
            return Err(none());
        }
        for (below, file) in &manifest.files {
            let differs = || BackupError::Differs {
                path: below.clone(),
            };
            if !below.components().all(is_plain) {
                return Err(none());
            }
            let bytes = fs::read(dir.join(below)).map_err(|_| differs())?;
            if bytes.len() as u64 != file.bytes || Digest::of(&bytes) != file.sha256 {
                return Err(differs());
            }
        }
        Ok(manifest)
    }

    /// The files below a folder of the backup, and what follows its name.
    pub(super) fn below<'a>(
        &'a self,
        folder: &'a str,
    ) -> impl Iterator<Item = (&'a Path, &'a Path)> {
        let files = self.files.keys();
        files.filter_map(move |path| Some((path.as_path(), path.strip_prefix(folder).ok()?)))
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// The file's name.
pub(super) const NAME: &str = "BACKUP";
const FORMAT: &str = "entente-backup 1";
/// A million files are about this many bytes.
const LONGEST: u64 = 256 * 1024 * 1024;
