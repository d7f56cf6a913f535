//! What a start finds in its own ledger: messages not to be accepted again, and exchanges that a
//! stop cut short. Reads back to the last BOOT, and at least as far as the replay window reaches.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use entente_clock::Timestamp;
use entente_evidence::proof::SignedStatement;
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::{Kind, LogOrigin};
use entente_ledger::disk::Disk;
use entente_ledger::entry::{Body, DeniedCall, Entry, OutcomeKind};
use entente_ledger::{Ledger, ReadError, Reader, tree};
use entente_signing::Digest;
use entente_store::{ReplayWindow, SeenMessage};

use crate::owed::Debt;
use crate::shard;

/// What the ledger says was going on.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Messages of the replay window.
    pub(crate) seen: Vec<SeenMessage>,
    /// Exchanges to close.
    pub(crate) open: Vec<Debt>,
    /// Time of the newest entry.
    pub(crate) newest: Option<Timestamp>,
    /// Whether the ledger is no longer than what was searched.
    pub(crate) reaches_the_beginning: bool,
}

/// Why the ledger could not be searched.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// It could not be read.
    #[error("reading the ledger's newest entries")]
    Read(#[from] ReadError),
    /// An entry is not one of ours.
    #[error("entry {index} of the ledger is malformed")]
    Entry {
        /// Its index.
        index: u64,
    },
}

/// Entries read at a time.
const CHUNK: usize = 1_024;

/// Searches the ledger's tail, from its newest entry back.
pub(crate) async fn search(
    ledger: &Ledger,
    origin: &LogOrigin,
    now: Timestamp,
) -> Result<Found, RecoverError> {
    let mut found = Found::default();
    // Answered: requests of peers that have an OUT. Concluded: requests of ours with IN or OUTCOME.
    // Read backwards, an end comes before its beginning, which takes it out again: what is held is
    // what was going on at one time, however long ago the last start was.
    let mut answered = HashSet::new();
    let mut concluded = HashSet::new();
    let mut accepted: HashMap<Digest, Debt> = HashMap::new();
    let mut asked: HashMap<Digest, Debt> = HashMap::new();
    let mut past_boot = false;
    let mut end = ledger.size();
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let entries = read_range(ledger, start, end).await?;
        for (offset, bytes) in entries.iter().enumerate().rev() {
            let index = start + offset as u64;
            let malformed = RecoverError::Entry { index };
            let Ok(entry) = Entry::decode(bytes) else {
                return Err(malformed);
            };
            found.newest = found.newest.max(Some(entry.at));
            let in_window = now.since(entry.at) < ReplayWindow::SPAN;
            if past_boot && !in_window {
                end = 0;
                break;
            }
            let statement = |bytes: &bytes::Bytes| SignedStatement::parse(bytes.clone()).ok();
            match &entry.body {
                Body::Boot(_) => past_boot = true,
                Body::In(entry_in) => {
                    let signed = statement(&entry_in.statement).ok_or(malformed)?;
                    let says = signed.statement();
                    match says.request_hash() {
                        None => {
                            if in_window {
                                found.seen.extend(seen(&signed, entry.at));
                            }
                            if !answered.remove(&signed.hash()) && !past_boot {
                                let receipt = Receipt {
                                    origin: origin.clone(),
                                    index,
                                    leaf_hash: tree::leaf_hash(bytes),
                                };
                                let request = signed.clone();
                                accepted.insert(signed.hash(), Debt::Fault { request, receipt });
                            }
                        }
                        Some(request) => {
                            concluded.insert(*request);
                        }
                    }
                }
                Body::Denied(denied) => {
                    if let DeniedCall::Statement(bytes) = &denied.call {
                        found
                            .seen
                            .extend(statement(bytes).and_then(|signed| seen(&signed, entry.at)));
                    }
                }
                Body::Out(out) => {
                    let signed = statement(&out.statement).ok_or(malformed)?;
                    match signed.statement().request_hash() {
                        None => {
                            let request = signed.hash();
                            let kind = OutcomeKind::Crashed;
                            if !concluded.remove(&request) && !past_boot {
                                asked.insert(request, Debt::Outcome { request, kind });
                            }
                        }
                        Some(request) => {
                            answered.insert(*request);
                        }
                    }
                }
                Body::Outcome(outcome) => {
                    concluded.insert(outcome.request);
                }
                _ => {}
            }
        }
        if end > 0 {
            end = start;
            found.reaches_the_beginning = start == 0;
        }
    }
    found.reaches_the_beginning |= ledger.size() == 0;
    found.open = accepted.into_values().chain(asked.into_values()).collect();
    Ok(found)
}

/// Messages of the replay window in the shards before this one, given newest first. None when they are not
/// all there: a shard cannot be read, or began with an incident.
pub(crate) fn seen_before(
    disk: &Arc<dyn Disk>,
    folders: &[PathBuf],
    now: Timestamp,
) -> Option<Vec<SeenMessage>> {
    let mut messages = Vec::new();
    for folder in folders {
        let mut reader = Reader::open(Arc::clone(disk), folder).ok()?;
        for index in (0..reader.size()).rev() {
            let entry = Entry::decode(&reader.entry(index).ok()??).ok()?;
            if now.since(entry.at) >= ReplayWindow::SPAN {
                return Some(messages);
            }
            if index == 0 && shard::is_incident(&entry) {
                return None;
            }
            let statement = match entry.body {
                Body::In(body) => body.statement,
                Body::Denied(body) => match body.call {
                    DeniedCall::Statement(statement) => statement,
                    DeniedCall::Attempt(_) => continue,
                },
                _ => continue,
            };
            let signed = SignedStatement::parse(statement);
            messages.extend(signed.ok().and_then(|signed| seen(&signed, entry.at)));
        }
    }
    Some(messages)
}

fn seen(request: &SignedStatement, at: Timestamp) -> Option<SeenMessage> {
    let says = request.statement();
    (says.kind() == Kind::Request).then(|| SeenMessage {
        server: says.sender_server.clone(),
        id: *says.message_id.as_bytes(),
        expires: at.saturating_add(ReplayWindow::SPAN),
    })
}

async fn read_range(ledger: &Ledger, start: u64, end: u64) -> Result<Vec<bytes::Bytes>, ReadError> {
    let wanted = usize::try_from(end - start).unwrap_or(CHUNK);
    let mut entries = Vec::with_capacity(wanted);
    while entries.len() < wanted {
        let next = start + entries.len() as u64;
        let more = ledger.entries(next, wanted - entries.len()).await?;
        if more.is_empty() {
            return Err(ReadError::Beyond);
        }
        entries.extend(more);
    }
    Ok(entries)
}
