//! What is disclosed: values of the statements, from the sidecar beside a ledger.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use entente_bundle::dossier::Disclosed;
use entente_evidence::opening::{Kept, Opening};
use entente_ledger::disk::RealDisk;
use entente_sidecar::{RecordOf, Sidecar, SidecarError};

use super::super::records::{data_of, keys_of};
use super::ExportArgs;
use super::gather::{Gathered, Record};
use crate::exit::{Exit, Failure};
use crate::output::Screen;
use crate::texts::{Fact, Text};

/// The openings that are asked for, wherever they are kept. Each must be there at least once.
pub(super) fn open(
    args: &ExportArgs,
    gathered: &Gathered,
    screen: &Screen,
) -> Result<Vec<Disclosed>, Failure> {
    let mut found: Vec<Disclosed> = Vec::new();
    if args.open.is_empty() {
        return Ok(found);
    }
    let mut last = None;
    for record in &gathered.records {
        let kept = match read(record, gathered, screen) {
            Ok(Some(kept)) => kept,
            Ok(None) => continue,
            Err(failure) => {
                last = Some(failure);
                continue;
            }
        };
        for opening in kept.as_slice() {
            let is_asked = args.open.iter().any(|open| open.field() == opening.field);
            let is_new = !found.iter().any(|held| {
                held.is_of_answer == record.is_of_answer && held.opening.field() == opening.field
            });
            if let Some(value) = &opening.value
                && is_asked
                && is_new
            {
                let value = value.clone().into();
                found.push(Disclosed {
                    is_of_answer: record.is_of_answer,
                    opening: Opening::new(opening.field, opening.salt, value),
                });
            }
        }
    }
    for open in &args.open {
        if found
            .iter()
            .any(|held| held.opening.field() == open.field())
        {
            continue;
        }
        let field = open.field();
        let facts: [Fact<'_>; 1] = [("field", &field)];
        let missing = || Failure::new(Exit::NotFound, screen.text(Text::BundleNotKept, &facts));
        return Err(last.unwrap_or_else(missing));
    }
    found.sort_by_key(|held| (held.is_of_answer, held.opening.field()));
    Ok(found)
}

/// The openings of a record; none where there is no sidecar with its keys beside the ledger.
fn read(record: &Record, gathered: &Gathered, screen: &Screen) -> Result<Option<Kept>, Failure> {
    let Some((sidecar, keys)) = beside(record) else {
        return Ok(None);
    };
    let refused = |error: &SidecarError| {
        let facts: [Fact<'_>; 1] = [("dir", &sidecar.display())];
        let exit = match error {
            SidecarError::Missing | SidecarError::Shredded => Exit::NotFound,
            SidecarError::Damaged { .. } => Exit::Integrity,
            _ => Exit::Failed,
        };
        Failure::new(exit, screen.text(Text::SidecarUnreadable, &facts)).because(error)
    };
    let opened = Sidecar::open(Arc::new(RealDisk), &sidecar, keys);
    let opened = opened.map_err(|error| refused(&error))?;
    let id = gathered.request.statement().message_id;
    let of = RecordOf {
        origin: &record.origin,
        message_id: id.as_bytes(),
        kind: record.kind,
    };
    let plain = opened.open_record(&record.hash, &of);
    let plain = plain.map_err(|error| refused(&error))?;
    let kept = Kept::decode(&Bytes::copy_from_slice(&plain));
    let kept = kept.map_err(|error| Failure::of(Exit::Integrity, &error))?;
    Ok(Some(kept))
}

fn beside(record: &Record) -> Option<(PathBuf, PathBuf)> {
    let data = data_of(&record.ledger)?;
    let sidecar = data.join("sidecar");
    let keys = keys_of(&data)?.join("kek");
    (sidecar.is_dir() && keys.is_dir()).then_some((sidecar, keys))
}
