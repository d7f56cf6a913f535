//! Reading ledgers' folders: copies are checked, so that nothing of the role is locked or written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_directory::Mode;
use entente_follow::View;
use entente_identity::ServerId;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Entry};
use entente_ledger::layout::Layout;
use entente_ledger::log::LogError;
use entente_ledger::note::NoteKey;
use entente_ledger::{Reader, SignedCheckpoint};
use entente_signing::VerifyingKey;

use super::super::super::log::check_copies;
use super::super::registry::Registry;
use super::super::site::{Role, Site};
use super::{Quorum, Shard, Signed, State};
use crate::exit::{Exit, Failure};
use crate::output::Screen;

/// The folders of a server's shards, by name.
pub(crate) fn folders(ledgers: &Path) -> Vec<PathBuf> {
    let items = fs::read_dir(ledgers).into_iter().flatten().flatten();
    let folders = items
        .map(|item| item.path())
        .filter(|path| path.join("FORMAT").is_file());
    let mut folders: Vec<PathBuf> = folders.take(MOST_SHARDS).collect();
    folders.sort();
    folders
}

/// The newest session of a server in its ledgers: when it was logged, and its certificate.
pub(in super::super) fn newest_session(
    ledgers: &Path,
    server: &ServerId,
) -> Option<(Timestamp, Bytes)> {
    // By time: of two shards of one half-year the names may sort the other way round.
    let newest = folders(ledgers).into_iter().filter_map(|folder| {
        let mut reader = Reader::open(Arc::new(RealDisk), folder).ok()?;
        let size = reader.size();
        let mut newest = (size.saturating_sub(LOOKED_BACK)..size).rev();
        newest.find_map(|index| {
            let entry = Entry::decode(&reader.entry(index).ok()??).ok()?;
            match entry.body {
                Body::Session(session) if session.server == *server => {
                    Some((entry.at, session.chain.into_iter().next()?))
                }
                _ => None,
            }
        })
    });
    newest.max_by_key(|(at, _)| *at)
}

/// Each ledger of the role, checked.
pub(super) fn shards(site: &Site, registry: &Registry, screen: &Screen) -> Vec<Shard> {
    let config = match &site.role {
        Role::Adapter(_) => return Vec::new(),
        Role::Registry(config) => {
            let folder = config.ledger();
            let key = registry.view.as_ref().and_then(|view| view.ledger_key());
            let key = key.or_else(|| site.anchor.as_ref().map(|anchor| anchor.ledger.clone()));
            return vec![Shard {
                name: "ledger".to_owned(),
                state: state(&folder, key, screen),
                folder,
                is_open: true,
            }];
        }
        Role::Server(config) => config,
    };
    let ledgers = config.data.as_path().join("ledger");
    let view = registry.view.as_deref();
    let Some(view) = view else {
        // Nobody says whose they are, nor which is written to.
        let found = folders(&ledgers);
        let newest = found.last().cloned();
        let shard = |folder: PathBuf| Shard {
            name: name_of(&folder),
            is_open: Some(&folder) == newest.as_ref(),
            state: state(&folder, None, screen),
            folder,
        };
        return found.into_iter().map(shard).collect();
    };
    let shards = view.state.shards(&config.server, Mode::Live);
    let open = shards.last().map(|shard| shard.origin.clone());
    let named = shards.iter().map(|shard| {
        let (_, name) = shard.origin.rsplit_once('/').unwrap_or(("", &shard.origin));
        let folder = ledgers.join(name);
        let key = NoteKey::new(&shard.origin, shard.key.clone()).ok();
        Shard {
            name: name.to_owned(),
            is_open: Some(&shard.origin) == open.as_ref(),
            state: state(&folder, key, screen),
            folder,
        }
    });
    named.collect()
}

pub(super) fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn state(folder: &Path, key: Option<NoteKey>, screen: &Screen) -> State {
    if !folder.join("FORMAT").is_file() {
        return State::Absent;
    }
    let mut reader = match Reader::open(Arc::new(RealDisk), folder) {
        Ok(reader) => reader,
        Err(error) => return damaged(folder, &error),
    };
    let Some(key) = key else {
        return State::Keyless;
    };
    let entries = reader.size();
    if size_of(folder, 0) > WHOLE_UP_TO {
        // Read in place, and only as far as the newest checkpoint's root: hours of reading help nobody.
        return match signed_root(&mut reader, &key) {
            Ok(true) => State::Sound {
                entries,
                is_whole: false,
            },
            Ok(false) => State::Damaged {
                file: "log/checkpoint".to_owned(),
            },
            Err(error) => damaged(folder, &error),
        };
    }
    match check_copies(folder, key.key(), screen) {
        Ok(report) => match report.findings.first() {
            Some(finding) => State::Damaged {
                file: finding.path.clone(),
            },
            None => State::Sound {
                entries: report.size + report.waiting,
                is_whole: true,
            },
        },
        Err(failure) if failure.exit == Exit::Integrity => State::Damaged {
            file: words(&failure),
        },
        Err(failure) => State::Unknown {
            why: words(&failure),
        },
    }
}

fn damaged(folder: &Path, error: &LogError) -> State {
    let failure = Failure::of(Exit::Failed, error);
    match error {
        LogError::Damaged { path, .. } => State::Damaged {
            file: path
                .strip_prefix(folder)
                .unwrap_or(path)
                .display()
                .to_string(),
        },
        LogError::Lost { .. } => State::Damaged {
            file: words(&failure),
        },
        _ => State::Unknown {
            why: words(&failure),
        },
    }
}

fn words(failure: &Failure) -> String {
    let first = std::slice::from_ref(&failure.what);
    [first, &failure.because].concat().join(": ")
}

/// Whether the tiles give the root that the newest checkpoint signs.
fn signed_root(reader: &mut Reader, key: &NoteKey) -> Result<bool, LogError> {
    match reader.checkpoint(key)? {
        None => Ok(true),
        Some(newest) => Ok(reader.root(newest.size())? == Some(newest.root())),
    }
}

/// Bytes below a folder, until it is more than is copied.
fn size_of(folder: &Path, depth: u32) -> u64 {
    let mut size = 0;
    for item in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(found) = item.metadata() else { continue };
        size += match found.is_dir() {
            true if depth < DEPTH => size_of(&item.path(), depth + 1),
            true => 0,
            false => found.len(),
        };
        if size > WHOLE_UP_TO {
            break;
        }
    }
    size
}

/// What signs the ledger that is written to; none when its key is not known.
pub(super) fn signed(site: &Site, registry: &Registry, folder: &Path) -> Option<Signed> {
    let view = registry.view.as_deref();
    let key = match &site.role {
        Role::Adapter(_) => return None,
        Role::Registry(_) => site.anchor.as_ref()?.ledger.clone(),
        Role::Server(config) => {
            let shard = view?.state.shard(&config.server, Mode::Live)?;
            let key: VerifyingKey = shard.key.clone();
            NoteKey::new(&shard.origin, key).ok()?
        }
    };
    let reader = Reader::open(Arc::new(RealDisk), folder).ok()?;
    let newest = reader.checkpoint(&key).ok()?;
    let at = fs::metadata(Layout::new(folder).checkpoint()).and_then(|file| file.modified());
    let at = at.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let at = at.map(|at| Timestamp::from_millis(u64::try_from(at.as_millis()).unwrap_or(u64::MAX)));
    let covered = newest.as_ref().map_or(0, SignedCheckpoint::size);
    let quorum = match (&site.role, view) {
        (Role::Server(_), Some(view)) => {
            quorum(&reader, &key, newest, view, site.seams.clock.now())
        }
        _ => Quorum::NobodyAsked,
    };
    Some(Signed {
        unsigned: reader.size().saturating_sub(covered),
        at,
        quorum,
    })
}

fn quorum(
    reader: &Reader,
    key: &NoteKey,
    newest: Option<SignedCheckpoint>,
    view: &View,
    now: Timestamp,
) -> Quorum {
    let Some(policy) = view
        .state
        .policy()
        .filter(|policy| policy.witnesses.fewest() > 0)
    else {
        return Quorum::NobodyAsked;
    };
    // What the role calls final is its word: the cosignatures are judged again.
    let claimed = [newest, reader.finality(key).ok().flatten()];
    let claimed = claimed.into_iter().flatten().map(Arc::new);
    let judged = claimed.filter_map(|claimed| policy.witnesses.judge(&claimed, now)?.at());
    let age = judged.max().map(|at| now.since(at));
    Quorum::Seen(age, policy.cosigned_within())
}

/// Bytes left for this user, and in all, where a path is or would be.
pub(super) fn space(data: &Path) -> Option<(u64, u64)> {
    let there = data.ancestors().find(|path| path.exists())?;
    let found = nix::sys::statvfs::statvfs(there).ok()?;
    let block = found.fragment_size();
    Some((
        found.blocks_available().saturating_mul(block),
        found.blocks().saturating_mul(block),
    ))
}

/// Larger ledgers are checked as far as their newest checkpoint only: a copy of them takes room and time.
const WHOLE_UP_TO: u64 = 256 << 20;
/// Folders below a ledger's.
const DEPTH: u32 = 8;
/// Two a year, and some more after incidents.
const MOST_SHARDS: usize = 1_000;
/// Entries in which the newest session is looked for.
const LOOKED_BACK: u64 = 50_000;
