//! The keys of one sidecar: one for each retention and day of records, and for each retention, month
//! and notice class of subject tags.
//!
//! All lie in one table, wrapped under a master key beside it. Destroying some of them means wrapping
//! the others anew under another master key and overwriting the old one: then no copy of the old table
//! opens any more, whatever the file system kept. That holds where the master key itself was never
//! copied and its file is overwritten in place. The folder is outside the data folder and outside
//! ordinary backups.

mod folder;
mod table;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use entente_clock::Timestamp;
use entente_ledger::disk::{Disk, DiskLock};
use zeroize::Zeroizing;

use crate::SidecarError;
use crate::again::again;
use crate::retention::{KeyName, Period};
use folder::Generation;

/// A key that wraps others, or tags subjects.
pub(crate) type Kek = Arc<Zeroizing<[u8; 32]>>;

/// The keys of one sidecar.
pub(crate) struct Keks {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// None after a failure: what is in force is then read from the disk again.
    state: Mutex<Option<State>>,
    /// Held as long as these keys are: two owners would each overwrite what the other is writing.
    _lock: Box<dyn DiskLock>,
}

/// What is in force, and the keys used so far.
struct State {
    generation: Generation,
    loaded: HashMap<KeyName, Kek>,
}

/// Keys kept open in memory; beyond that they are unwrapped again.
const MOST: usize = 1_024;

// === impl Keks ===

impl Keks {
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> Result<Self, SidecarError> {
        disk.create_dir_all(&dir)?;
        let lock = disk.lock(&dir.join("lock"))?;
        let state = State::open(&*disk, &dir)?;
        Ok(Self {
            disk,
            dir,
            state: Mutex::new(Some(state)),
            _lock: lock,
        })
    }

    /// The folder, and what it is on.
    pub(crate) fn place(&self) -> (&dyn Disk, &Path) {
        (&*self.disk, &self.dir)
    }

    /// The keys of a period, the newest first; none when they were destroyed, or never made.
    pub(crate) fn of(&self, period: &Period) -> Result<Vec<Kek>, SidecarError> {
        self.with(|state| {
            let names: Vec<KeyName> = state.generation.table.of(period).cloned().collect();
            let keys = names.into_iter().map(|name| state.load(&name));
            keys.collect()
        })
    }

    /// The newest key of a period, made and durable before it comes back the first time.
    ///
    /// # Errors
    /// [`SidecarError::Shredded`] when the period was destroyed, or an earlier one of its kind.
    pub(crate) fn load_or_make(&self, period: &Period) -> Result<Kek, SidecarError> {
        self.with(|state| {
            let newest = state.generation.table.of(period).next().cloned();
            match newest {
                Some(name) => state.load(&name),
                None => self.make(state, period, 1),
            }
        })
    }

    /// Makes sure that a period has a second key, for what stays when its first goes.
    pub(crate) fn renew(&self, period: &Period) -> Result<(), SidecarError> {
        self.with(|state| {
            let names: Vec<u32> = state
                .generation
                .table
                .of(period)
                .map(|n| n.number)
                .collect();
            match names[..] {
                [newest] => self.make(state, period, newest + 1).map(|_| ()),
                _ => Ok(()),
            }
        })
    }

    /// Destroys all keys of a period but the newest.
    pub(crate) fn retire(&self, period: &Period) -> Result<(), SidecarError> {
        self.with(|state| {
            let mut names = state.generation.table.of(period).cloned();
            let (Some(newest), Some(_)) = (names.next(), names.next()) else {
                return Ok(());
            };
            drop(names);
            self.rewrap(state, &[], |name| {
                name.period == newest.period && *name != newest
            })
        })
    }

    /// Destroys the keys of whole periods, all in one change, and makes sure that none of them gets a
    /// key again.
    pub(crate) fn destroy(&self, periods: &BTreeSet<Period>) -> Result<(), SidecarError> {
        self.with(|state| {
            let table = &state.generation.table;
            if periods
                .iter()
                .all(|p| table.of(p).next().is_none() && table.is_ended(p))
            {
                return Ok(());
            }
            let ended: Vec<&Period> = periods.iter().collect();
            self.rewrap(state, &ended, |name| periods.contains(&name.period))
        })
    }

    /// The keys whose term is over, in order; at most `most`.
    pub(crate) fn due(&self, now: Timestamp, most: usize) -> Result<Vec<KeyName>, SidecarError> {
        self.with(|state| {
            let names = state.generation.table.names();
            let due = names.filter(|name| name.period.due() <= now);
            Ok(due.take(most).cloned().collect())
        })
    }

    fn make(&self, state: &mut State, period: &Period, number: u32) -> Result<Kek, SidecarError> {
        let key = random()?;
        let name = KeyName {
            period: period.clone(),
            number,
        };
        let generation = &mut state.generation;
        let mut table = generation.table.clone();
        table.add(&generation.master, name.clone(), &key)?;
        // If we crash here, the key sealed nothing yet and the next record makes another.
        generation.replace(&*self.disk, &self.dir, &table)?;
        generation.table = table;
        let key = Arc::new(key);
        state.keep(name, &key);
        Ok(key)
    }

    fn rewrap(
        &self,
        state: &mut State,
        ended: &[&Period],
        goes: impl Fn(&KeyName) -> bool,
    ) -> Result<(), SidecarError> {
        let old = &state.generation;
        let master = random()?;
        let mut table = old.table.rewrapped(&old.master, &master, &goes)?;
        for period in ended {
            table.end(period);
        }
        let next = Generation {
            number: old.number + 1,
            master,
            table,
        };
        old.succeed(&*self.disk, &self.dir, &next)?;
        state.generation = next;
        state.loaded.retain(|name, _| !goes(name));
        Ok(())
    }

    /// Works on what is in force. After a failure nobody knows what is, so it is read again.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, SidecarError>,
    ) -> Result<T, SidecarError> {
        let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = match held.take() {
            Some(state) => state,
            None => State::open(&*self.disk, &self.dir)?,
        };
        let done = work(&mut state);
        if !matches!(done, Err(SidecarError::Disk(_))) {
            *held = Some(state);
        }
        done
    }
}

impl std::fmt::Debug for Keks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keks")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

// === impl State ===

impl State {
    fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, SidecarError> {
        Ok(Self {
            generation: Generation::open(disk, dir)?,
            loaded: HashMap::new(),
        })
    }

    fn load(&mut self, name: &KeyName) -> Result<Kek, SidecarError> {
        if let Some(key) = self.loaded.get(name) {
            return Ok(Arc::clone(key));
        }
        let generation = &self.generation;
        let key = generation.table.unwrap(&generation.master, name)?;
        let key = Arc::new(key.ok_or(SidecarError::Shredded)?);
        self.keep(name.clone(), &key);
        Ok(key)
    }

    fn keep(&mut self, name: KeyName, key: &Kek) {
        if self.loaded.len() >= MOST {
            self.loaded.clear();
        }
        self.loaded.insert(name, Arc::clone(key));
    }
}

pub(crate) fn random() -> Result<Zeroizing<[u8; 32]>, SidecarError> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| SidecarError::Seal)?;
    Ok(bytes)
}

/// What a key folder holds, read without changing anything.
pub(crate) struct Reading {
    pub(crate) names: BTreeSet<KeyName>,
    /// The keys that were wanted.
    pub(crate) keys: Vec<(KeyName, Zeroizing<[u8; 32]>)>,
}

/// Reads a key folder; none when it is not there.
pub(crate) fn read(
    disk: &dyn Disk,
    dir: &Path,
    wanted: impl Fn(&KeyName) -> bool,
) -> Result<Option<Reading>, SidecarError> {
    if !disk.exists(dir)? {
        return Ok(None);
    }
    let generation = again(|| Generation::load(disk, dir))?;
    let Some(Generation { master, table, .. }) = generation else {
        // A folder without keys: they are gone, and that is what it says.
        return Ok(Some(Reading {
            names: BTreeSet::new(),
            keys: Vec::new(),
        }));
    };
    let names: BTreeSet<KeyName> = table.names().cloned().collect();
    let mut keys = Vec::new();
    for name in names.iter().filter(|name| wanted(name)) {
        if let Some(key) = table.unwrap(&master, name)? {
            keys.push((name.clone(), key));
        }
    }
    Ok(Some(Reading { names, keys }))
}
