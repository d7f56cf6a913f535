//! Putting a backup back: into folders that are not there, never over anything.

use std::fs;
use std::path::{Path, PathBuf};

use entente_ledger::disk::RealDisk;

use super::copy::{make_folder, make_private, put, sync_folder};
use super::manifest::Manifest;
use super::restored::Restored;
use super::{BackupError, Shard, failed, occupied};
use crate::config::Config;

/// What to put back.
#[derive(Clone, Copy, Debug)]
pub struct Restore<'a> {
    /// The backup's folder.
    pub from: &'a Path,
    /// The server's configuration; when there is no such file, the backup's is put there.
    pub file: &'a Path,
    /// Whether private keys are put back as well, those that are not there.
    pub with_keys: bool,
}

/// What was put back.
#[derive(Clone, Debug)]
pub struct PutBack {
    /// Whose it is.
    pub server: String,
    /// When the backup was made.
    pub made_at: String,
    /// Its shards, none of which is written to again unless nothing can have been written since.
    pub shards: Vec<Shard>,
    /// Where the data is now.
    pub data: PathBuf,
    /// Files of keys that were put back.
    pub keys: usize,
    /// Whether the configuration came from the backup.
    pub with_config: bool,
}

/// Puts a backup back, durably.
///
/// Blocks. The server must be down; its data folder must be missing or empty.
///
/// # Errors
/// When the backup is not whole, is of another server, or something is in its place already. The data is
/// put in its place as the last act: until then there is none.
pub fn restore(restore: &Restore<'_>) -> Result<PutBack, BackupError> {
    let Restore {
        from,
        file,
        with_keys,
    } = *restore;
    let manifest = Manifest::check(from)?;
    if with_keys && !manifest.with_keys {
        return Err(BackupError::NoKeys);
    }
    let with_config = !file.exists();
    if with_config {
        put_file(&from.join("config/security-server.yaml"), file)?;
    }
    let config = Config::load(file).map_err(|error| BackupError::Config(Box::new(error)))?;
    if config.server.to_string() != manifest.server {
        return Err(BackupError::OtherServer {
            found: manifest.server,
            expected: config.server.to_string(),
        });
    }
    let data = config.data.as_path();
    occupied(data)?;
    put_missing(&from.join("config/anchor.yaml"), config.anchor.as_path())?;
    if let Some(timestamp) = &config.timestamp {
        put_missing(&from.join("config/roots.pem"), timestamp.roots.as_path())?;
    }
    let keys = match with_keys {
        true => put_keys(from, &manifest, config.keys.as_path())?,
        false => 0,
    };
    put_data(from, &manifest, data)?;
    Ok(PutBack {
        server: manifest.server,
        made_at: manifest.made_at,
        shards: manifest.shards.into_iter().map(Shard::from).collect(),
        data: data.to_owned(),
        keys,
        with_config,
    })
}

/// The data, with the note that it was put back, under another name until all of it is durable.
fn put_data(from: &Path, manifest: &Manifest, data: &Path) -> Result<(), BackupError> {
    let name = data.file_name().unwrap_or_default().to_string_lossy();
    let aside = data.with_file_name(format!("{name}.restoring"));
    if aside.exists() {
        // Of an attempt that was cut short; ours by its name, and never used.
        fs::remove_dir_all(&aside).map_err(|source| failed(&aside, source))?;
    }
    make_folder(&aside)?;
    for (path, below) in manifest.below("data") {
        let target = aside.join(below);
        put_file(&from.join(path), &target)?;
        if let Some(folder) = target.parent() {
            sync_folder(folder)?;
        }
    }
    let restored = Restored::of(manifest);
    // Before the data has its name: a server never finds it without the note.
    restored.keep(&RealDisk, &aside)?;
    sync_folder(&aside)?;
    if data.exists() {
        fs::remove_dir(data).map_err(|source| failed(data, source))?;
    }
    // If we crash here, there is no data folder; putting it back again starts over.
    fs::rename(&aside, data).map_err(|source| failed(data, source))?;
    match data.parent() {
        Some(parent) if parent != Path::new("") => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// Those that are not there.
fn put_keys(from: &Path, manifest: &Manifest, keys: &Path) -> Result<usize, BackupError> {
    if !keys.exists() {
        make_folder(keys)?;
        make_private(keys)?;
    }
    let mut count = 0;
    for (path, below) in manifest.below("keys") {
        count += usize::from(put_missing(&from.join(path), &keys.join(below))?);
    }
    sync_folder(keys)?;
    Ok(count)
}

fn put_missing(from: &Path, to: &Path) -> Result<bool, BackupError> {
    if to.exists() || !from.exists() {
        return Ok(false);
    }
    put_file(from, to)?;
    Ok(true)
}

fn put_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    if let Some(folder) = to.parent().filter(|folder| *folder != Path::new("")) {
        make_folder(folder)?;
    }
    let bytes = fs::read(from).map_err(|source| failed(from, source))?;
    put(to, &bytes)
}
