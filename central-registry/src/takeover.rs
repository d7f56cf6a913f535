//! Taking over: making a copy of a registry the registry. See `docs/decisions/012`.
//!
//! The tree goes on where the copy ends, so nobody may have seen more of it: the witnesses are asked, and
//! the data folder of the registry before gives what it has and is fenced. There is no way to accept a loss
//! that a witness has seen: whoever signs another tree of a size is a forger to everybody who saw the first.

mod course;
mod error;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_directory::{
    Author, Blobs as _, Change, RULES_VERSION, RegistryEntry, State, StateClaim,
};
use entente_follow::author::Pen;
use entente_follow::witness::{Witnesses, WitnessesConfig};
use entente_follow::{BlobStore, VerifiedCopy, demand};
use entente_keys::{KeyStore, KeyUse};
use entente_ledger::disk::durable;
use entente_ledger::witness::WitnessPolicy;
use entente_ledger::{Append, Ledger};
use entente_signing::Signer;

use crate::applications::Applications;
use crate::config::{Config, FORMAT, STATE_KEY};
use crate::desk::Record;
use crate::init::open_ledger;
use crate::office::Office;
use crate::passages::Passages;
use crate::role::{Deps, StartError, own_witnesses};
use crate::standby::{APPLICATIONS, COPY, load_anchor};

use course::{Course, Fenced};

pub use error::TakeoverError;

/// What to take over from.
#[derive(Clone, Debug, Default)]
pub struct Takeover {
    /// The folder of a backup; none: what this server copied standing by.
    pub backup: Option<PathBuf>,
    /// The data folder of the registry before, where it can be reached: it gives what the copy lacks, and
    /// never serves again.
    pub fence: Option<PathBuf>,
    /// Whether changes may be lost that nobody can know of: where neither a witness nor that folder can be
    /// asked.
    pub accepts_loss: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// How many changes the ledger has now, the one that says so included.
    pub size: u64,
    /// How many of them the copy lacked.
    pub recovered: u64,
}

/// Makes the copy the registry in `config`'s data folder, which serves when it is started next. May be called
/// again after it failed, and goes on where it stopped. Call it within a runtime.
///
/// # Errors
/// When somebody has seen, or may have seen, more of the ledger than there is; nothing is signed then.
pub async fn take_over(
    config: &Config,
    takeover: &Takeover,
    deps: Deps,
) -> Result<TakenOver, TakeoverError> {
    let disk = &*deps.disk;
    if !durable::claim(disk, config.data.as_path(), FORMAT)? {
        return Err(Box::new(StartError::Format).into());
    }
    let unfinished = config.unfinished();
    if disk.exists(&config.ledger())? && !disk.exists(&unfinished)? {
        return Err(TakeoverError::Exists);
    }
    let file = config.standby_of.as_ref().unwrap_or(&config.anchor);
    let anchor = load_anchor(Some(file.as_path())).map_err(Box::new)?;
    let keys = KeyStore::open(config.keys.as_path())?;
    let state_key = keys.load(KeyUse::Registrar, STATE_KEY)?;
    let own = own_witnesses(config, disk).map_err(Box::new)?;
    let folder = match &takeover.backup {
        Some(folder) => folder.join(COPY),
        None => config.standby(),
    };
    let copy = VerifiedCopy::open(deps.disk.clone(), &folder, &anchor, &*deps.clock)?;
    if copy.view().size == 0 {
        return Err(TakeoverError::Empty);
    }

    // What the tree goes on from, and whether that is all there was.
    let before = takeover.fence.as_deref();
    let mut fenced = before
        .map(|data| Fenced::open(&deps.disk, data))
        .transpose()?;
    let old_blobs = before
        .map(|data| BlobStore::open(deps.disk.clone(), &data.join("blob"), u64::MAX))
        .transpose()?;
    let mut course = Course::of(&copy, old_blobs.as_ref().map(|blobs| blobs as _));
    if let Some(fenced) = &mut fenced {
        fenced.recover(&mut course)?;
    }
    let recovered = course.size() - copy.view().size;
    let record = Arc::new(Record::of(course.state.clone()));
    let office = Arc::new(Office::open(anchor.origin(), record, keys)?);
    let registry = course.state.registry();
    if !registry.is_some_and(|registry| office.is_staffed(registry)) {
        return Err(TakeoverError::OtherKey);
    }
    let demanded = demand(&own, 0, course.state.policy());
    let log = (anchor.origin(), &*office);
    ask(&demanded, takeover, log, &course, &deps).await?;
    for early in copy.early() {
        // Denied on sight by whoever saw it, under no checkpoint yet: it shall not be forgotten. Refused
        // where the ledger has it.
        course.go_on(early);
    }

    durable::replace(disk, &unfinished, b"")?;
    if let Some(fenced) = &fenced {
        fenced.close(course.size())?;
    }
    // If we crash here, nothing is served from either folder; taking over again goes on.
    keep_blobs(config, &course, &deps)?;
    if let Some(backup) = &takeover.backup {
        keep_applications(config, &backup.join(APPLICATIONS), &deps)?;
    }
    let passages = Passages::open(deps.disk.clone(), &config.passages(), &*office)?;
    let newest = copy.view().checkpoint.as_ref();
    let cosigned = |newest: &&_| demanded.judge(newest, deps.clock.now()).is_some();
    if let Some(newest) = newest.filter(cosigned).filter(|_| demanded.is_demanding()) {
        // Says whom the start has to ask.
        passages.keep(newest)?;
    }
    let (clock, to) = (deps.clock.clone(), deps.disk.clone());
    let opening = open_ledger(
        config,
        anchor.origin(),
        office.clone(),
        None,
        clock,
        to,
        deps.runner,
    );
    let ledger = opening.await?;
    write(&ledger, &course.entries).await?;
    if ledger.size() == course.size() {
        // One more: whoever goes on from the tree before finds that the witnesses have seen a larger one.
        let entry = claim(&course.state, &*state_key, &deps)?;
        let attachment = None;
        ledger.append(Append { entry, attachment }).await?;
    }
    let size = ledger.size();
    if office.can_sign() {
        ledger.publish_now().await?;
    }
    // Otherwise the first checkpoint is signed once the registrars have put the key here in office.
    ledger.shutdown().await?;
    durable::remove(disk, &unfinished)?;
    disk.sync_dir(config.data.as_path())?;
    tracing::info!(event = "takeover.done", size, recovered);
    Ok(TakenOver { size, recovered })
}

/// Asks the witnesses whether the course is all they have seen. Answers of long ago, which anybody on the way
/// can repeat, are found out at the start: there the witnesses have to cosign anew.
async fn ask(
    demanded: &WitnessPolicy,
    takeover: &Takeover,
    (origin, keys): (&str, &Office),
    course: &Course<'_>,
    deps: &Deps,
) -> Result<(), TakeoverError> {
    if demanded.is_demanding() {
        let asking = WitnessesConfig::new(deps.net.clone(), deps.clock.clone());
        let witnesses = Witnesses::new(asking);
        witnesses.set_policy(demanded.clone(), Duration::ZERO);
        return course.judge(&witnesses.survey(origin, keys, None).await);
    }
    match takeover.fence.is_some() || takeover.accepts_loss {
        true => Ok(()),
        false => Err(TakeoverError::Unfenced),
    }
}

fn keep_blobs(config: &Config, course: &Course<'_>, deps: &Deps) -> Result<(), TakeoverError> {
    let blobs = BlobStore::open(deps.disk.clone(), &config.blobs(), u64::MAX)?;
    for entry in &course.entries {
        let named = RegistryEntry::parse(entry).map_or(None, |entry| entry.change.blob());
        let Some(hash) = named else { continue };
        if let Some(blob) = course.blob(&hash) {
            blobs.keep(&hash, &blob)?;
        }
    }
    Ok(())
}

fn keep_applications(
    config: &Config,
    from: &std::path::Path,
    deps: &Deps,
) -> Result<(), TakeoverError> {
    let limit = config.limits.applications;
    let from = Applications::open(deps.disk.clone(), from, limit)?;
    let to = Applications::open(deps.disk.clone(), &config.applications(), limit)?;
    let held = from.list(None, limit).into_iter();
    let held = held.map(|(_, held)| (held.bytes, held.received_at));
    Ok(to.adopt(held.collect())?)
}

/// Appends what an earlier attempt has not.
async fn write(ledger: &Ledger, entries: &[Bytes]) -> Result<(), TakeoverError> {
    let mut at = 0;
    while at < ledger.size().min(entries.len() as u64) {
        let written = ledger.entries(at, AT_ONCE).await?;
        let planned = entries
            .iter()
            .skip(usize::try_from(at).unwrap_or(usize::MAX));
        if written.is_empty()
            || !written
                .iter()
                .zip(planned)
                .all(|(is, planned)| is == planned)
        {
            return Err(TakeoverError::Forked);
        }
        at += written.len() as u64;
    }
    let rest = entries.get(usize::try_from(at).unwrap_or(usize::MAX)..);
    for entries in rest.unwrap_or_default().chunks(AT_ONCE) {
        let append = |entry: &Bytes| Append {
            entry: entry.clone(),
            attachment: None,
        };
        ledger
            .append_all(entries.iter().map(append).collect())
            .await?;
    }
    Ok(())
}

/// The entry that states what all before it adds up to.
fn claim(state: &State, signer: &dyn Signer, deps: &Deps) -> Result<Bytes, TakeoverError> {
    let claim = Change::State(StateClaim {
        hash: state.state_hash(),
        rules: RULES_VERSION,
    });
    let now = deps.clock.now().max(state.last_at());
    let signed = Pen::new(state, Author::Registrar, signer, now)?.sign(&claim)?;
    Ok(RegistryEntry::encode_parts(now, signed.bytes()).into())
}

/// Entries appended, or read back, in one go: at most 32 MiB of changes of 16 KiB.
const AT_ONCE: usize = 1024;
