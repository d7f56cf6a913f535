//! Key-encryption keys: one for each retention class and day, each in a file of its own.
//!
//! A key file holds the key wrapped (AES-KW, RFC 3394) under a master key that lies beside it.
//! Destroying one class and day means writing every other key file anew under another master key
//! and removing the old one: then no copy of the destroyed file can be opened any more, whatever
//! the file system kept. The folder is outside the data folder and outside ordinary backups.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use entente_ledger::disk::Disk;
use zeroize::Zeroizing;

use crate::{Period, SidecarError, durable};

/// A key-encryption key.
pub(crate) type Kek = Arc<Zeroizing<[u8; 32]>>;

/// The keys of one sidecar.
pub(crate) struct Keks {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    master: Zeroizing<[u8; 32]>,
    loaded: Mutex<HashMap<Period, Kek>>,
}

/// Keys kept in memory; beyond that they are read again.
const MOST: usize = 1_024;

const MASTER: &str = "master";

// === impl Keks ===

impl Keks {
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> Result<Self, SidecarError> {
        let path = dir.join(MASTER);
        let master =
            match disk.read(&path) {
                Ok(bytes) => {
                    let bytes = Zeroizing::new(bytes);
                    Zeroizing::new(bytes.as_slice().try_into().map_err(|_| {
                        SidecarError::Damaged {
                            path,
                            what: "a master key is 32 bytes",
                        }
                    })?)
                }
                Err(error) if error.is_missing() => {
                    let master = random()?;
                    // If we crash before this is durable, no key was wrapped under it yet.
                    durable::put(&*disk, &dir, MASTER, &*master)?;
                    master
                }
                Err(error) => return Err(error.into()),
            };
        Ok(Self {
            disk,
            dir,
            master,
            loaded: Mutex::default(),
        })
    }

    /// The key of a class and day; none when it was destroyed, or never made.
    pub(crate) fn get(&self, period: &Period) -> Result<Option<Kek>, SidecarError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        self.load(&mut loaded, period)
    }

    /// The key of a class and day, made and durable before it comes back the first time.
    pub(crate) fn load_or_make(&self, period: &Period) -> Result<Kek, SidecarError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kek) = self.load(&mut loaded, period)? {
            return Ok(kek);
        }
        let kek = random()?;
        let mut wrapped = [0; 40];
        let master = AesKek::new(&AES_256, &*self.master).map_err(|_| SidecarError::Seal)?;
        master
            .wrap(&*kek, &mut wrapped)
            .map_err(|_| SidecarError::Seal)?;
        // If we crash here, the key sealed nothing yet and the next record makes another.
        let name = file_name(period);
        if let Err(error) = durable::put(&*self.disk, &self.dir, &name, &wrapped) {
            // It may be there and yet not durable, which nobody could tell later. Nothing is sealed under
            // it, so it goes, and the next record makes another.
            let _ = self.disk.remove(&self.dir.join(name));
            return Err(error.into());
        }
        let kek = Arc::new(kek);
        loaded.insert(period.clone(), Arc::clone(&kek));
        Ok(kek)
    }

    fn load(
        &self,
        loaded: &mut HashMap<Period, Kek>,
        period: &Period,
    ) -> Result<Option<Kek>, SidecarError> {
        if let Some(kek) = loaded.get(period) {
            return Ok(Some(Arc::clone(kek)));
        }
        let path = self.dir.join(file_name(period));
        let wrapped = match self.disk.read(&path) {
            Ok(wrapped) => wrapped,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let damaged = || SidecarError::Damaged {
            path: path.clone(),
            what: "the key does not open under its master key",
        };
        if wrapped.len() != 40 {
            return Err(damaged());
        }
        let mut kek = Zeroizing::new([0; 32]);
        let master = AesKek::new(&AES_256, &*self.master).map_err(|_| SidecarError::Seal)?;
        master.unwrap(&wrapped, &mut *kek).map_err(|_| damaged())?;
        if loaded.len() >= MOST {
            loaded.clear();
        }
        let kek = Arc::new(kek);
        loaded.insert(period.clone(), Arc::clone(&kek));
        Ok(Some(kek))
    }
}

impl std::fmt::Debug for Keks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keks")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

fn file_name(period: &Period) -> String {
    format!("{}.{}.kek", period.class, period.day)
}

pub(crate) fn random() -> Result<Zeroizing<[u8; 32]>, SidecarError> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| SidecarError::Seal)?;
    Ok(bytes)
}
