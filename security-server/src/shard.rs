//! Which shard of its ledger a server writes to: the one of this half-year, or a new one when that is not
//! the newest there was. (DESIGN.md §7)
//!
//! A shard ends with its half-year. It also ends, as an incident, when its newest entries are gone: a disk
//! was lost, or an older copy was put back. Going on would sign a second tree for a size that witnesses
//! have seen; the next shard begins by saying what happened, and with the last checkpoint that is known.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use entente_clock::{Clock, Timestamp};
use entente_directory::{Author, Change, Mode, ShardRecord, State};
use entente_evidence::statement::LogOrigin;
use entente_follow::author::{Pen, next_shard};
use entente_follow::witness::Witnesses;
use entente_follow::{Directory, Follower, View};
use entente_identity::ServerId;
use entente_ledger::disk::{Disk, DiskError, durable};
use entente_ledger::entry::{Body, Boot, Entry};
use entente_ledger::log::LogError;
use entente_ledger::note::{NoteKey, SignedNote};
use entente_ledger::{Checkpoint, Ledger, LedgerError, Reader, SignedCheckpoint, SignedTree};
use entente_signing::Digest;

use crate::enrol::ServerKeys;
use crate::mark::Mark;
use crate::start::StartError;

/// How a shard came to an end: what the next one begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Whether entries were lost.
    is_incident: bool,
    why: &'static str,
    origin: LogOrigin,
    /// The last checkpoint that is known of it, a signed note; none when none is.
    note: Option<SignedNote>,
}

/// How long a start waits to learn from the registry that its server, or its shard, is there.
const REGISTERED_WITHIN: Duration = Duration::from_secs(15);

/// How long a start waits to hear the registry before it believes its clock, and how often it looks.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
const HEARD_TICK: Duration = Duration::from_millis(50);

/// What an incident's BOOT note begins with.
const INCIDENT: &str = "incident: ";

// === impl Ended ===

impl Ended {
    /// With its half-year.
    pub(crate) const fn in_time(origin: LogOrigin, note: Option<SignedNote>) -> Self {
        Self {
            is_incident: false,
            why: "the half-year is over",
            origin,
            note,
        }
    }

    /// With entries that are gone.
    pub(crate) const fn by_loss(origin: LogOrigin, note: Option<SignedNote>) -> Self {
        Self {
            is_incident: true,
            why: "durable entries of the ledger are missing",
            origin,
            note,
        }
    }

    /// By a copy that is older than what was published.
    pub(crate) const fn by_an_older_copy(origin: LogOrigin, note: SignedNote) -> Self {
        Self {
            is_incident: true,
            why: OLDER_COPY,
            origin,
            note: Some(note),
        }
    }

    /// With what was written after a backup.
    pub(crate) const fn by_a_backup(origin: LogOrigin, note: Option<SignedNote>) -> Self {
        Self {
            is_incident: true,
            why: "the ledger was put back from a backup, and what was written after it is missing",
            origin,
            note,
        }
    }

    fn note_text(&self) -> String {
        let note = self.note.as_ref().map(ToString::to_string);
        let kind = if self.is_incident { INCIDENT } else { "" };
        format!(
            "{kind}follows {}: {}\n\n{}",
            self.origin,
            self.why,
            note.unwrap_or_default()
        )
    }

    fn hash(&self) -> Digest {
        let note = self.note.as_ref().map(ToString::to_string);
        Digest::of(note.unwrap_or_default().as_bytes())
    }
}

/// Waits until the registry knows this server, and opens its first shard there when it has none.
pub(crate) async fn open_first(
    server: &ServerId,
    keys: &ServerKeys,
    follower: &Follower,
    clock: &dyn Clock,
) -> Result<(), StartError> {
    let is_ours = |view: &Arc<View>| {
        view.state.server(server).is_some_and(|record| {
            let current = record.keys.iter().filter(|key| key.is_current());
            current
                .map(|key| &key.value)
                .any(|key| key == keys.server.verifying_key())
        })
    };
    let mut views = follower.directory().views();
    let registered = tokio::time::timeout(REGISTERED_WITHIN, views.wait_for(is_ours)).await;
    // Only the view is kept: the guard around it would keep newer ones out.
    let registered = registered.ok().and_then(Result::ok);
    let registered = registered.map(|view| Arc::clone(&view));
    let view = registered.ok_or_else(|| not_registered(server))?;
    match view.state.shard(server, Mode::Live) {
        Some(_) => Ok(()),
        None => open_in_registry(server, keys, follower, clock, None).await,
    }
}

/// Waits a moment until the registry has said that it has nothing newer; without it what is known here has
/// to do.
pub(crate) async fn hear_registry(directory: &Directory) {
    let heard = async {
        let mut tick = tokio::time::interval(HEARD_TICK);
        while !directory.is_confirmed() {
            tick.tick().await;
        }
    };
    if tokio::time::timeout(HEARD_WITHIN, heard).await.is_err() {
        tracing::warn!(event = "registry.not_heard_at_start");
    }
}

/// Ends a shard: opens the next one in the registry. What it begins with is written down first.
pub(crate) async fn open_next(
    server: &ServerId,
    keys: &ServerKeys,
    follower: &Follower,
    clock: &dyn Clock,
    disk: &dyn Disk,
    folder: &Path,
    ended: &Ended,
) -> Result<(), StartError> {
    tracing::error!(
        event = "shard.ended",
        origin = ended.origin.as_str(),
        incident = ended.is_incident,
        why = ended.why
    );
    disk.create_dir_all(folder)?;
    durable::replace(disk, &folder.join(OPENING), ended.note_text().as_bytes())?;
    // If we crash here, the old shard is still the open one, and is judged again at the next start.
    open_in_registry(server, keys, follower, clock, Some(ended.hash())).await
}

async fn open_in_registry(
    server: &ServerId,
    keys: &ServerKeys,
    follower: &Follower,
    clock: &dyn Clock,
    previous: Option<Digest>,
) -> Result<(), StartError> {
    let view = follower.directory().view();
    let now = clock.now();
    let ledger_key = keys.ledger.verifying_key().clone();
    let shard = next_shard(&view.state, server, Mode::Live, ledger_key, previous, now);
    let origin = shard.origin.clone();
    let author = Author::Server(server.clone());
    let mut pen = Pen::new(&view.state, author, &*keys.server, now)?;
    // If we crash after this, the next start finds the shard open and its ledger empty.
    pen.submit(&Change::ShardOpen(shard), Vec::new(), &follower.client())
        .await?;
    let is_open = |view: &Arc<View>| {
        let open = view.state.shard(server, Mode::Live);
        open.is_some_and(|shard| shard.origin == origin)
    };
    let mut views = follower.directory().views();
    match tokio::time::timeout(REGISTERED_WITHIN, views.wait_for(is_open)).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(not_registered(server)),
    }
}

/// What is known of a shard before anything is written to it.
#[derive(Debug)]
pub(crate) enum Standing {
    /// Somebody has seen a newer tree of it.
    Behind(SignedNote),
    /// It is the newest there was, as far as can be known.
    Newest,
    /// It is damaged, so that nothing can be compared; how is for its owner to find out.
    Unreadable,
    /// Nobody can say yet.
    Unknown {
        /// What has to come first.
        awaited: &'static str,
    },
}

/// Compares the ledger on the disk with the mark beside the keys and with what the witnesses have seen.
/// Nothing is written or signed before it is the newest: an older copy that goes on signs a second tree
/// for a size that somebody has. `earlier` are this server's shards before it.
pub(crate) async fn judge(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    key: &NoteKey,
    earlier: &[ShardRecord],
    mark: &Mark,
    witnesses: &Witnesses,
) -> Result<Standing, StartError> {
    let open = || match Reader::open(Arc::clone(disk), folder) {
        Ok(reader) => Ok(Some(reader)),
        // A folder that is new, or of which nothing is left.
        Err(LogError::Format { found, .. }) if found.is_empty() => Ok(None),
        Err(error) => Err(error),
    };
    let mut held = match open() {
        Ok(held) => held,
        Err(LogError::Damaged { .. } | LogError::Lost { .. }) => return Ok(Standing::Unreadable),
        Err(error) => return Err(LedgerError::from(error).into()),
    };
    let mut is_behind = |seen: &SignedCheckpoint| match &mut held {
        // Its tiles were durable before it was signed; one that cannot be read is refused when it is opened.
        Some(reader) => match reader.root(seen.size()) {
            Ok(root) => seen.size() > 0 && root != Some(seen.root()),
            Err(_) => false,
        },
        None => seen.size() > 0,
    };
    if let Some(marked) = mark.newest(key.key())? {
        let origin = &marked.checkpoint().origin;
        if origin == key.name() {
            if is_behind(&marked) {
                return Ok(Standing::Behind(marked.note().clone()));
            }
        } else if !earlier.iter().any(|shard| shard.origin == *origin) {
            // The copy of the directory was put back with the rest, and knows less than the mark.
            return Ok(Standing::Unknown {
                awaited: "the registry, which knows a newer shard than the copy of the directory",
            });
        }
    }
    if witnesses.policy().fewest() == 0 {
        return Ok(Standing::Newest);
    }
    let tree = match open() {
        Ok(Some(reader)) => SignedTree::of_folder(reader, Arc::new(key.clone())),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    let tree = tree.map_err(LedgerError::from)?;
    let survey = witnesses.survey(key.name(), key, tree.as_ref()).await;
    if let Some(newest) = survey.newest.filter(is_behind) {
        return Ok(Standing::Behind(newest.note().clone()));
    }
    // With a mark too: a machine put back whole brings an older one.
    Ok(if survey.is_complete {
        Standing::Newest
    } else {
        Standing::Unknown {
            awaited: "so many witnesses of the policy that the others are no quorum",
        }
    })
}

/// Whether a shard is of an earlier half-year than now, by a clock that the registry confirms: one that
/// jumped ahead ends nothing. Waits a moment for a registry that was not heard yet.
pub(crate) async fn has_ended(
    origin: &LogOrigin,
    clock: &dyn Clock,
    directory: &Directory,
) -> bool {
    if !is_over(origin, clock.now()) {
        return false;
    }
    let confirmed = async {
        let mut tick = tokio::time::interval(HEARD_TICK);
        while !directory.confirms_clock() {
            tick.tick().await;
        }
    };
    let confirmed = tokio::time::timeout(HEARD_WITHIN, confirmed).await;
    confirmed.is_ok()
}

/// Whether a shard is of an earlier half-year than now.
fn is_over(origin: &LogOrigin, now: Timestamp) -> bool {
    half_year(origin).is_some_and(|half_year| *half_year < *now.half_year())
}

/// The first entry of a shard that is not a server's first: how the one before ended, with its last
/// checkpoint.
pub(crate) fn opening(
    state: &State,
    server: &ServerId,
    origin: &LogOrigin,
    disk: &dyn Disk,
    folder: &Path,
) -> Result<Option<Boot>, DiskError> {
    let shards = state.shards(server, Mode::Live);
    let of_this = shards
        .iter()
        .position(|shard| shard.origin == origin.as_str());
    let Some(before) = of_this.and_then(|at| at.checked_sub(1)) else {
        return Ok(None);
    };
    let before = &shards[before].origin;
    let bytes = durable::read(disk, &folder.join(OPENING))?;
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    // Of another shard, or gone with the disk: then there is nothing left to tell.
    let text = text.filter(|text| text.contains(before.as_str()));
    let text = text
        .unwrap_or_else(|| format!("{INCIDENT}follows {before}: nothing of it is left here\n\n"));
    let note = text.split_once("\n\n").map(|(_, note)| note);
    let checkpoint = note.and_then(|note| {
        let note = SignedNote::parse(note.as_bytes()).ok()?;
        note.text().parse::<Checkpoint>().ok()
    });
    Ok(Some(Boot {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        last_size: checkpoint.map_or(0, |checkpoint| checkpoint.size),
        note: Some(text),
    }))
}

/// Before when nothing is accepted in this shard: what was accepted before an incident may be forgotten, and
/// so may what was accepted in earlier shards that are not all there (`is_forgotten`).
pub(crate) async fn not_before(ledger: &Ledger, is_forgotten: bool) -> Timestamp {
    let first = match ledger.size() {
        0 => None,
        _ => ledger.read(0).await.ok(),
    };
    let first = first.and_then(|bytes| Entry::decode(&bytes).ok());
    match first {
        Some(entry) if is_forgotten || is_incident(&entry) => entry.at,
        _ => Timestamp::default(),
    }
}

/// Whether a shard's first entry says that it began with an incident.
pub(crate) fn is_incident(first: &Entry) -> bool {
    match &first.body {
        Body::Boot(Boot {
            note: Some(note), ..
        }) => note.starts_with(INCIDENT),
        _ => false,
    }
}

/// The folders of the shards before, newest first.
pub(crate) fn folders_before(
    state: &State,
    server: &ServerId,
    origin: &LogOrigin,
    ledgers: &Path,
) -> Vec<PathBuf> {
    let shards = state.shards(server, Mode::Live).iter();
    let before = shards.take_while(|shard| shard.origin != origin.as_str());
    let origins = before.filter_map(|shard| shard.origin.parse::<LogOrigin>().ok());
    let mut folders: Vec<_> = origins
        .map(|origin| ledgers.join(folder_of(&origin)))
        .collect();
    folders.reverse();
    folders
}

/// The newest checkpoint of a shard that is closed, final or not.
pub(crate) fn last_note(disk: Arc<dyn Disk>, folder: &Path) -> Option<SignedNote> {
    let reader = Reader::open(disk, folder).ok()?;
    let newest = reader.unverified_checkpoint().ok().flatten();
    newest.or_else(|| reader.unverified_final().ok().flatten())
}

/// The folder of a shard: its origin's last part, as in `2026h2.1`.
pub(crate) fn folder_of(origin: &LogOrigin) -> &Path {
    Path::new(origin.as_str())
        .file_name()
        .map_or_else(|| Path::new("shard"), Path::new)
}

fn half_year(origin: &LogOrigin) -> Option<&str> {
    let (_, shard) = origin.as_str().rsplit_once('/')?;
    shard.split_once('.').map(|(half_year, _)| half_year)
}

pub(crate) fn not_registered(server: &ServerId) -> StartError {
    StartError::NotRegistered {
        server: server.clone(),
    }
}

/// Whether this server wrote down that it ends the last of these shards: then the one after it is its own,
/// and empty only because nothing was written to it yet.
pub(crate) fn has_begun(
    disk: &dyn Disk,
    folder: &Path,
    earlier: &[ShardRecord],
) -> Result<bool, DiskError> {
    let Some(last) = earlier.last() else {
        return Ok(false);
    };
    let text = durable::read(disk, &folder.join(OPENING))?;
    let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(text.is_some_and(|text| text.contains(&format!("follows {}: ", last.origin))))
}

/// Why a shard ended of which a newer tree is known than is here. What is missing can be told, and put back.
pub const OLDER_COPY: &str =
    "the ledger is older than what was published of it: lost, or put back from a copy";

/// What the next shard begins with, beside the folders of shards.
const OPENING: &str = "next-opening";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_over_with_its_half_year_and_not_before() {
        let origin: LogOrigin = "ss1.pensions.ca-demo/access/2026h2.1".parse().unwrap();
        // 2026-12-31 23:59:59.999 and a millisecond later.
        let end = 1_798_761_599_999;
        assert!(!is_over(&origin, Timestamp::from_millis(end)));
        assert!(is_over(&origin, Timestamp::from_millis(end + 1)));
        // A clock that is behind ends nothing.
        assert!(!is_over(&origin, Timestamp::from_millis(0)));
    }
}
