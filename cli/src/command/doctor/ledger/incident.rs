//! What went wrong before: kept against peers, or said by the first entry of this server's shard.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Boot, Entry};
use entente_ledger::note::SignedNote;
use entente_ledger::{Checkpoint, Reader};
use entente_security_server::OLDER_COPY;

use super::super::finding::{Finding, Said};
use super::GROUP;
use crate::exit::Exit;
use crate::texts::Text;

/// The names of the files kept, by their first word.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    forks: Vec<String>,
    others: Vec<String>,
}

/// A shard that began with an incident, of which something is still missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Incident {
    /// The shard that says so.
    shard: String,
    /// What it says.
    why: String,
    /// The first that is missing, and the first after it.
    missing: Option<(u64, u64)>,
}

pub(super) fn kept(dir: &Path) -> Kept {
    let mut kept = Kept::default();
    let items = fs::read_dir(dir).into_iter().flatten().flatten();
    for item in items.take(MOST) {
        let name = item.file_name().to_string_lossy().into_owned();
        match name.split_once('.') {
            Some(("fork", _)) => kept.forks.push(name),
            Some(("inconsistent" | "omission", _)) => kept.others.push(name),
            _ => {}
        }
    }
    kept.forks.sort();
    kept.others.sort();
    kept
}

pub(super) fn against_peers(kept: &Kept) -> Finding {
    const CHECK: &str = "ledger.incidents";
    if let Some(first) = kept.forks.first() {
        let found = Said::of(Text::DoctorForked);
        let found = found.with("file", first).with("count", kept.forks.len());
        let remedy = Text::DoctorForkedDo;
        return Finding::fail(GROUP, CHECK, Exit::NeedsPerson, found, remedy);
    }
    if let Some(first) = kept.others.first() {
        let found = Said::of(Text::DoctorIncidents);
        let found = found.with("file", first).with("count", kept.others.len());
        return Finding::warn(GROUP, CHECK, found, Text::DoctorIncidentsDo);
    }
    Finding::ok(GROUP, CHECK, Said::of(Text::DoctorNoIncidents))
}

/// The incident that the shard written to began with, when what it names is not all here. A copy of the shard
/// before that was put back whole settles it.
pub(super) fn opening(shards: &[(&Path, bool)]) -> Option<Incident> {
    let (open, _) = shards.iter().find(|(_, is_open)| *is_open)?;
    let mut reader = Reader::open(Arc::new(RealDisk), *open).ok()?;
    let first = Entry::decode(&reader.entry(0).ok()??).ok()?;
    let Body::Boot(Boot {
        note: Some(note), ..
    }) = first.body
    else {
        return None;
    };
    let (said, note) = note.split_once("\n\n").unwrap_or((&note, ""));
    let why = said.strip_prefix("incident: ")?.to_owned();
    let ended = SignedNote::parse(note.as_bytes()).ok();
    let ended = ended.and_then(|note| note.text().parse::<Checkpoint>().ok());
    // Of what was lost otherwise, what is known of it does not tell how much more there was.
    let known = ended.filter(|_| why.contains(OLDER_COPY));
    let missing = match &known {
        Some(ended) => match held(shards, ended) {
            size if size >= ended.size => return None,
            size => Some((size, ended.size)),
        },
        None => None,
    };
    Some(Incident {
        shard: super::look::name_of(open),
        why,
        missing,
    })
}

/// How much of a tree is in one of the folders.
fn held(shards: &[(&Path, bool)], ended: &Checkpoint) -> u64 {
    let folder = ended.origin.rsplit_once('/').map(|(_, name)| name);
    let of_it = |path: &Path| path.file_name().and_then(|name| name.to_str()) == folder;
    let Some((path, _)) = shards.iter().find(|(path, _)| of_it(path)) else {
        return 0;
    };
    let Ok(mut reader) = Reader::open(Arc::new(RealDisk), *path) else {
        return 0;
    };
    match reader.root(ended.size) {
        Ok(Some(root)) if root == ended.root => ended.size,
        _ => reader.size().min(ended.size.saturating_sub(1)),
    }
}

pub(super) fn unresolved(incident: &Incident) -> Finding {
    const CHECK: &str = "ledger.whole";
    let found = Said::of(Text::DoctorIncident)
        .with("shard", &incident.shard)
        .with("why", &incident.why);
    let remedy = match incident.missing {
        Some((from, to)) => Said::of(Text::DoctorIncidentDo)
            .with("from", from)
            .with("to", to.saturating_sub(1)),
        None => Said::of(Text::DoctorIncidentAskDo),
    };
    Finding::warn(GROUP, CHECK, found, remedy)
}

/// Files that are looked at.
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::super::super::finding::{Verdict, remedies};
    use super::*;

    #[test]
    fn what_peers_signed_against_themselves_is_a_persons_to_settle() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(against_peers(&kept(dir.path())).verdict(), Verdict::Ok);
        fs::write(dir.path().join("omission.a!b!@ss1.00"), "").unwrap();
        let broken = against_peers(&kept(dir.path()));
        assert_eq!(broken.verdict(), Verdict::Warn);
        assert!(remedies(&broken)[0].contains("entente log prove-omission --check"));
        fs::write(dir.path().join("fork.a!b!@ss1.00"), "").unwrap();
        let forked = against_peers(&kept(dir.path()));
        assert_eq!(forked.verdict(), Verdict::Fail(Exit::NeedsPerson));
        assert!(remedies(&forked)[0].contains("move the file away"));
    }

    #[test]
    fn an_incident_says_which_entries_to_put_back() {
        let incident = |missing| Incident {
            shard: "2026h2.2".to_owned(),
            why: "follows x".to_owned(),
            missing,
        };
        let known = unresolved(&incident(Some((7, 9))));
        assert_eq!(known.verdict(), Verdict::Warn);
        assert!(remedies(&known)[0].contains("entries 7 to 8"), "{known:?}");
        let unknown = unresolved(&incident(None));
        assert!(remedies(&unknown)[0].contains("entente log compare"));
    }
}
