//! Samples: the demonstration's legacy database and the adapter file in front of it.
//!
//! Everybody in it is invented. Person numbers begin with 0, which no real social insurance number
//! does.

mod register;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub use register::{Death, Person, people};

/// Why a sample could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// The database could not be filled.
    #[error("failed to fill the sample database")]
    Database(#[from] rusqlite::Error),
    /// A file could not be written.
    #[error("failed to write the sample {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The adapter file of the demonstration's register of deaths.
pub const VITAL_EVENTS_ADAPTER: &str = include_str!("../samples/vital-events.adapter.yaml");

/// Somebody whose death is registered: on 2026-03-14, in Rivermouth.
pub const DECEASED: &str = "046454286";

/// Somebody who is alive, born on 1961-07-02.
pub const LIVING: &str = "046454294";

/// Writes into `folder` everything the sample adapter needs, the legacy database included, and
/// returns the path of its adapter file. A database that is there already stays as it is.
///
/// # Errors
/// When a file cannot be written.
pub fn vital_events(folder: &Path) -> Result<PathBuf, SampleError> {
    let adapter = folder.join("vital-events.adapter.yaml");
    write(&adapter, VITAL_EVENTS_ADAPTER.as_bytes())?;
    write(
        &folder.join("vital-events.binpb"),
        entente_proto::VITAL_EVENTS_DESCRIPTOR_SET,
    )?;
    let database = folder.join("vital-events.db");
    if !database.exists() {
        legacy_vital_events(&database)?;
    }
    Ok(adapter)
}

/// Makes the legacy database: 240 people, 40 of whom have died. Always the same.
///
/// # Errors
/// When there is a file at `path` already, or it cannot be written.
pub fn legacy_vital_events(path: &Path) -> Result<(), SampleError> {
    let failed = |source| SampleError::Write {
        path: path.to_path_buf(),
        source,
    };
    if path.exists() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    // If we crash here, what is left is not mistaken for the database: it has another name.
    let mut young = path.as_os_str().to_owned();
    young.push(".new");
    let young = PathBuf::from(young);
    fs::File::create(&young).map_err(failed)?;
    let connection = Connection::open(&young)?;
    connection.execute_batch(&legacy_vital_events_sql())?;
    connection.close().map_err(|(_, error)| error)?;
    fs::rename(&young, path).map_err(failed)
}

/// The script that makes the legacy database, as plain SQL that SQLite and PostgreSQL both read.
pub fn legacy_vital_events_sql() -> String {
    register::script()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SampleError> {
    fs::write(path, bytes).map_err(|source| SampleError::Write {
        path: path.to_path_buf(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_makes_the_same_240_people_and_40_deaths() {
        let everybody = people();
        assert_eq!(everybody.len(), 240);
        let dead = everybody.iter().filter(|person| person.death.is_some());
        assert_eq!(dead.count(), 40);
        let numbers: std::collections::BTreeSet<_> =
            everybody.iter().map(|person| &person.number).collect();
        assert_eq!(numbers.len(), 240);
        assert!(
            numbers
                .iter()
                .all(|number| number.len() == 9 && number.starts_with('0'))
        );
        let digest = entente_signing::Digest::of(legacy_vital_events_sql().as_bytes());
        insta::assert_snapshot!(digest);
    }

    #[test]
    fn never_overwrites_a_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vital-events.db");
        legacy_vital_events(&path).unwrap();
        assert!(legacy_vital_events(&path).is_err());
        fs::write(&path, "somebody's work").unwrap();
        vital_events(folder.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"somebody's work");
    }
}
