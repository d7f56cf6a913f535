//! The files of a key folder: `keys.<n>` and `master.<n>`, where the highest `keys.<n>` is in force.
//!
//! A generation counts from the moment its `keys.<n>` has its name, which it gets when both files are
//! durable. Whatever else lies here is the rest of a change that a stop cut short, and is overwritten.

use std::path::{Path, PathBuf};

use entente_ledger::disk::{Disk, DiskError, durable};
use zeroize::Zeroizing;

use super::table::{Master, Table};
use crate::SidecarError;

/// The generation in force.
pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) master: Master,
    pub(crate) table: Table,
}

// === impl Generation ===

impl Generation {
    /// Opens a key folder, which may be empty, and finishes what a stop cut short.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, SidecarError> {
        // What the last process named it may not have synced: if a generation's name is there now and
        // were lost with the power, the one before it would have been overwritten in vain.
        durable::settle(disk, dir)?;
        let is_format = durable::is_format(disk, dir, FORMAT)?;
        if is_format == Some(false) {
            let path = dir.to_owned();
            return Err(SidecarError::Format { path });
        }
        let has_format = is_format.is_some();
        let generation = match Self::load(disk, dir)? {
            Some(generation) => generation,
            // Keys that are gone are not replaced by none: everything sealed under them would look
            // destroyed, and nobody would have noticed.
            None if has_format => {
                return Err(damaged(dir, "its keys are gone"));
            }
            None => {
                sweep(disk, dir, 0)?;
                let first = Self {
                    number: 1,
                    master: super::random()?,
                    table: Table::default(),
                };
                first.write(disk, dir)?;
                first
            }
        };
        sweep(disk, dir, generation.number)?;
        // If we crash before this, the folder is found without a format, and with its keys.
        if !has_format {
            durable::replace(disk, &dir.join("FORMAT"), FORMAT.as_bytes())?;
        }
        Ok(generation)
    }

    /// Reads the generation in force; changes nothing.
    pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, SidecarError> {
        let items = disk.list(dir)?;
        let Some(number) = items
            .iter()
            .filter_map(|item| numbered(&item.name, KEYS))
            .max()
        else {
            return Ok(None);
        };
        let path = keys_path(dir, number);
        let table = Table::decode(&disk.read(&path)?, number);
        let table = table.ok_or_else(|| damaged(&path, "it is not a table of keys"))?;
        let path = master_path(dir, number);
        let bytes = durable::read(disk, &path)?.map(Zeroizing::new);
        let bytes = bytes.ok_or_else(|| damaged(&path, "it is gone"))?;
        let master = bytes.as_slice().try_into();
        let master = master.map_err(|_| damaged(&path, "a master key is 32 bytes"))?;
        Ok(Some(Self {
            number,
            master: Zeroizing::new(master),
            table,
        }))
    }

    /// Writes a generation that is new, and puts it in force.
    fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), SidecarError> {
        durable::replace(disk, &master_path(dir, self.number), &*self.master)?;
        // If we crash here, a master key is there under which nothing is wrapped; the next open
        // overwrites it.
        self.replace(disk, dir, &self.table)
    }

    /// Puts a table in force in the place of this one, under the same master key.
    pub(crate) fn replace(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        table: &Table,
    ) -> Result<(), SidecarError> {
        let path = keys_path(dir, self.number);
        Ok(durable::replace(disk, &path, &table.encode(self.number)?)?)
    }

    /// Puts the next generation in force and destroys this one.
    pub(crate) fn succeed(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        next: &Self,
    ) -> Result<(), SidecarError> {
        // What an attempt that failed left must not survive: it holds every key, the one that goes too.
        sweep(disk, dir, self.number)?;
        next.write(disk, dir)?;
        // If we crash here, the next generation is in force, and the next open destroys the old one.
        sweep(disk, dir, next.number)
    }
}

/// Destroys every key file but those of the generation in force. The master keys first: once they are
/// overwritten, nothing that was wrapped under them opens, whatever the file system kept of it.
fn sweep(disk: &dyn Disk, dir: &Path, current: u64) -> Result<(), SidecarError> {
    let items = disk.list(dir)?;
    let mut any = false;
    for kind in [MASTER, KEYS] {
        for item in &items {
            let ours = item.name.split('.').next() == Some(kind);
            if !ours || numbered(&item.name, kind) == Some(current) {
                continue;
            }
            wipe(disk, &dir.join(&item.name))?;
            any = true;
        }
    }
    if any {
        disk.sync_dir(dir)?;
    }
    Ok(())
}

/// Overwrites a file in place, and removes it.
fn wipe(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    let file = disk.open(path)?;
    let len = file.len()?;
    let zeros = [0; 4096];
    let mut at = 0;
    while at < len {
        let part = zeros
            .len()
            .min(usize::try_from(len - at).unwrap_or(zeros.len()));
        file.write_at(at, &zeros[..part])?;
        at += part as u64;
    }
    file.sync_data()?;
    // If we crash here, the file holds nothing any more; the next open removes its name.
    disk.remove(path)
}

/// The number of a name `<kind>.<number>`.
fn numbered(name: &str, kind: &str) -> Option<u64> {
    let number = name.strip_prefix(kind)?.strip_prefix('.')?;
    let parsed: u64 = number.parse().ok()?;
    (parsed > 0 && parsed.to_string() == number).then_some(parsed)
}

fn keys_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{KEYS}.{number}"))
}

fn master_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{MASTER}.{number}"))
}

fn damaged(path: &Path, what: &'static str) -> SidecarError {
    SidecarError::Damaged {
        path: path.to_owned(),
        what,
    }
}

const KEYS: &str = "keys";
const MASTER: &str = "master";
const FORMAT: &str = "entente-keks 2\n";
