//! Copying files, durably, in an order in which what a later one claims is in an earlier or later one.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use entente_ledger::fsck::{Fault, Report};
use entente_signing::Digest;

use super::manifest::{Manifest, NAME};
use super::{BackupError, failed};

/// A backup that is being written.
#[derive(Debug)]
pub(super) struct Copying {
    to: PathBuf,
    /// By the path within the backup.
    files: BTreeMap<PathBuf, (u64, Digest)>,
}

// === impl Copying ===

impl Copying {
    /// In a folder that nobody else may enter.
    pub(super) fn begin(to: &Path) -> Result<Self, BackupError> {
        make_folder(to)?;
        Ok(Self {
            to: to.to_owned(),
            files: BTreeMap::new(),
        })
    }

    /// One file. What vanished meanwhile is passed over: its owner moved it.
    pub(super) fn file(&mut self, from: &Path, below: &Path) -> Result<(), BackupError> {
        let bytes = match fs::read(from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            bytes => bytes.map_err(|source| failed(from, source))?,
        };
        let target = self.to.join(below);
        if let Some(folder) = target.parent() {
            make_folder(folder)?;
        }
        put(&target, &bytes)?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.files
            .insert(below.to_owned(), (size, Digest::of(&bytes)));
        Ok(())
    }

    /// A folder with all its files, but for what is not `wanted` by its name at the top. Sockets and links
    /// are no data. Backwards by name: the sidecar's `wrapped` names what is in segments `000.seg`, and is
    /// written after it, so it is copied before.
    pub(super) fn tree(
        &mut self,
        from: &Path,
        below: &Path,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<(), BackupError> {
        for item in list(from)?.into_iter().rev() {
            let name = item.file_name();
            let Some(text) = name.to_str() else { continue };
            if !wanted(text) {
                continue;
            }
            let (path, below) = (item.path(), below.join(&name));
            match item.file_type() {
                Ok(kind) if kind.is_dir() => self.tree(&path, &below, &|_| true)?,
                Ok(kind) if kind.is_file() => self.file(&path, &below)?,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed(&path, source)),
            }
        }
        Ok(())
    }

    /// A ledger that may be written to. Its files are written tiles first, then the tree's state, the signed
    /// state, the checkpoint; entries leave the write-ahead log once they are in tiles. So they are copied the
    /// other way round: checkpoint, signed, tree, log, tiles. Returns where the copy is.
    pub(super) fn ledger(&mut self, from: &Path, below: &Path) -> Result<PathBuf, BackupError> {
        let copied = self.to.join(below);
        // Full tiles never change, and are kept from one attempt to the next.
        let is_kept = |path: &Path| is_full_tile(path);
        self.forget(below, &is_kept)?;
        for name in STATES {
            self.file(&from.join(name), &below.join(name))?;
        }
        self.tree(&from.join("wal"), &below.join("wal"), &|name| {
            name != "spare"
        })?;
        let tiles = below.join(TILES);
        self.tiles(&from.join(TILES), &tiles)?;
        make_folder(&copied.join("wal"))?;
        Ok(copied)
    }

    fn tiles(&mut self, from: &Path, below: &Path) -> Result<(), BackupError> {
        for item in list(from)? {
            let (path, below) = (item.path(), below.join(item.file_name()));
            match item.file_type() {
                Ok(kind) if kind.is_dir() => self.tiles(&path, &below)?,
                Ok(_) if self.files.contains_key(&below) => {}
                Ok(_) => self.file(&path, &below)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed(&path, source)),
            }
        }
        Ok(())
    }

    /// Takes away what a check found that no entry of the copy gives.
    pub(super) fn prune(&mut self, below: &Path, report: &Report) -> Result<(), BackupError> {
        let beyond = report.findings.iter();
        let beyond = beyond.filter(|finding| finding.fault == Fault::Unexpected);
        for finding in beyond {
            let below = below.join(&finding.path);
            if below.components().all(is_plain) && self.files.remove(&below).is_some() {
                let path = self.to.join(&below);
                fs::remove_file(&path).map_err(|source| failed(&path, source))?;
            }
        }
        Ok(())
    }

    fn forget(&mut self, below: &Path, kept: &dyn Fn(&Path) -> bool) -> Result<(), BackupError> {
        let held = self.files.keys();
        let gone: Vec<PathBuf> = held
            .filter(|path| path.starts_with(below) && !kept(path))
            .cloned()
            .collect();
        for below in gone {
            let path = self.to.join(&below);
            fs::remove_file(&path).map_err(|source| failed(&path, source))?;
            self.files.remove(&below);
        }
        Ok(())
    }

    /// Makes all of it durable, and says last that it is whole.
    pub(super) fn end(&self, manifest: &Manifest) -> Result<(), BackupError> {
        let mut folders: Vec<&Path> = self.files.keys().filter_map(|path| path.parent()).collect();
        folders.dedup();
        for folder in folders.into_iter().flat_map(Path::ancestors) {
            sync_folder(&self.to.join(folder))?;
        }
        put(&self.to.join(NAME), manifest.to_json().as_bytes())?;
        sync_folder(&self.to)?;
        match self.to.parent() {
            Some(parent) if parent != Path::new("") => sync_folder(parent),
            _ => sync_folder(Path::new(".")),
        }
    }

    pub(super) const fn files(&self) -> &BTreeMap<PathBuf, (u64, Digest)> {
        &self.files
    }

    pub(super) fn count(&self) -> usize {
        self.files.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|(size, _)| size).sum()
    }
}

/// What is in a folder, by name; nothing of one that is not there.
fn list(folder: &Path) -> Result<Vec<DirEntry>, BackupError> {
    let items = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        items => items.map_err(|source| failed(folder, source))?,
    };
    let items: io::Result<Vec<DirEntry>> = items.collect();
    let mut items = items.map_err(|source| failed(folder, source))?;
    items.sort_by_key(DirEntry::file_name);
    Ok(items)
}

/// Whether a path stays where it is said to be.
pub(super) fn is_plain(part: Component<'_>) -> bool {
    matches!(part, Component::Normal(_))
}

/// Writes a new file that only this user may read, durably but for its name.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let written = || {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    written().map_err(|source| failed(path, source))
}

pub(super) fn make_folder(path: &Path) -> Result<(), BackupError> {
    let mut made = DirBuilder::new();
    let made = made.recursive(true).mode(0o700).create(path);
    made.map_err(|source| failed(path, source))
}

pub(super) fn sync_folder(path: &Path) -> Result<(), BackupError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|source| failed(path, source))
}

/// Whether a folder is open to nobody else.
pub(super) fn make_private(path: &Path) -> Result<(), BackupError> {
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(path, private).map_err(|source| failed(path, source))
}

/// A tile or bundle with all its 256: never of a folder `….p`.
fn is_full_tile(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("/log/tile/") && !text.contains(".p/")
}

/// In the order in which they are copied.
const STATES: [&str; 6] = [
    "FORMAT",
    "log/.state/final",
    "log/checkpoint",
    "log/.state/signed",
    "log/.state/tree",
    "lock",
];
const TILES: &str = "log/tile";
