//! `entente log`: reading and proving ledgers. None needs a running server, and only `erase` writes to
//! one.

mod bundle;
mod compare;
mod directory;
mod erase;
mod export;
mod keys;
mod line;
mod prove_omission;
mod records;
mod show;
mod sound;
mod stamps;
mod subject_key;
pub(crate) mod verify;
mod who_looked;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use entente_ledger::Reader;
use entente_ledger::disk::RealDisk;
use entente_ledger::log::LogError;

use crate::exit::{Exit, Failure};
use crate::output::Screen;
use crate::texts::Text;

pub(crate) use directory::{Directory, Registry, recognised};
pub(crate) use keys::{HeldView, Scratch, copy, known_key};
pub(crate) use line::Line;
pub(crate) use verify::check_copies;

/// Read and prove access ledgers
///
/// Ledgers are folders. A folder that holds several (a server's `data/ledger`, or a whole member's
/// folder) stands for all of them.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    Compare(compare::CompareArgs),
    Erase(erase::EraseArgs),
    Export(export::ExportArgs),
    ProveOmission(prove_omission::ProveOmissionArgs),
    Show(show::ShowArgs),
    SubjectKey(subject_key::SubjectKeyArgs),
    Verify(verify::VerifyArgs),
    WhoLooked(who_looked::WhoLookedArgs),
}

pub(crate) async fn run(command: LogCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        LogCommand::Compare(args) => compare::run(&args, screen).await,
        LogCommand::Erase(args) => erase::run(&args, screen),
        LogCommand::Export(args) => export::run(&args, screen).await,
        LogCommand::ProveOmission(args) => prove_omission::run(&args, screen).await,
        LogCommand::Show(args) => show::run(&args, screen).await,
        LogCommand::SubjectKey(args) => subject_key::run(&args, screen),
        LogCommand::Verify(args) => verify::run(&args, screen).await,
        LogCommand::WhoLooked(args) => who_looked::run(&args, screen).await,
    }
}

/// The ledgers in a folder: itself, or those at most [`DEPTH`] below it, by name.
pub(crate) fn ledgers_in(dir: &Path, screen: &Screen) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    search(dir, DEPTH, &mut found);
    found.sort();
    if found.is_empty() {
        let what = screen.text(Text::NoLedger, &[("dir", &dir.display())]);
        return Err(Failure::new(Exit::NotFound, what));
    }
    Ok(found)
}

fn search(dir: &Path, depth: u32, found: &mut Vec<PathBuf>) {
    let format = std::fs::read_to_string(dir.join("FORMAT"));
    if format.is_ok_and(|format| format.starts_with("entente-ledger ")) {
        found.push(dir.to_owned());
        return;
    }
    let Ok(items) = std::fs::read_dir(dir) else {
        return;
    };
    for item in items.flatten() {
        if depth > 0 && item.file_type().is_ok_and(|kind| kind.is_dir()) {
            search(&item.path(), depth - 1, found);
        }
    }
}

/// Opens a ledger for reading.
pub(crate) fn open(dir: &Path, screen: &Screen) -> Result<Reader, Failure> {
    Reader::open(Arc::new(RealDisk), dir).map_err(|error| damaged(dir, &error, screen))
}

/// A ledger that cannot be read: damage, unless the system itself refused.
pub(crate) fn damaged(dir: &Path, error: &LogError, screen: &Screen) -> Failure {
    let what = screen.text(Text::LedgerUnreadable, &[("dir", &dir.display())]);
    let exit = match error {
        LogError::Damaged { .. } | LogError::Lost { .. } => Exit::Integrity,
        _ => Exit::Failed,
    };
    Failure::new(exit, what).because(error)
}

/// A member's folder holds `data/ledger/<shard>`.
const DEPTH: u32 = 3;
