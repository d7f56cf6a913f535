//! Sources: a database that can only be read, asked with bound values and hard limits.

mod postgres;
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use entente_config::{ConfigError, Located};

use crate::file::{Driver, SourceSpec, SqlSource};
use crate::value::SqlValue;

/// One source.
#[derive(Debug)]
pub(crate) enum Source {
    Postgres(Box<postgres::Postgres>),
    Sqlite(sqlite::Sqlite),
}

/// One question to a source.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) sql: Arc<str>,
    pub(crate) parameters: Vec<SqlValue>,
    /// How many columns the answer has.
    pub(crate) columns: usize,
    /// One row more is an error.
    pub(crate) rows: u64,
    /// One byte more is an error.
    pub(crate) bytes: u64,
}

/// What is known of a column before any row is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    Float,
    /// A timestamp that carries no offset.
    LocalTime,
    Other,
}

/// Why a source did not answer. Its text is for the adapter's own log: no value is ever in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("a value does not have the type the query needs")]
    BadValue,
    #[error("the source has no free connection")]
    Busy,
    #[error("the source cannot be reached ({0})")]
    Down(String),
    #[error("the source holds a value that cannot be read")]
    Record,
    #[error("the source refused the query ({0})")]
    Refused(String),
    #[error("the source did not answer in time")]
    Slow,
    #[error("more bytes than the limit")]
    TooManyBytes,
    #[error("more rows than the limit")]
    TooManyRows,
    #[error("the source can be written to: {0}")]
    Writable(String),
}

/// Rows of an answer.
pub(crate) type Rows = Vec<Vec<SqlValue>>;

// === impl Source ===

impl Source {
    /// Compiles a source; nothing is connected yet.
    pub(crate) fn compile(
        spec: &Located<SourceSpec>,
        error: impl Fn(String, u64, u64) -> ConfigError,
    ) -> Result<Self, ConfigError> {
        let refuse = |message: String| error(message, spec.line, spec.column);
        let Some(sql) = &spec.value.sql else {
            return Err(refuse("a source needs `sql:`".to_owned()));
        };
        if let Some(read_only) = sql.read_only.filter(|read_only| !read_only.value) {
            return Err(error(
                "`read_only: false` comes later; this adapter only reads".to_owned(),
                read_only.line,
                read_only.column,
            ));
        }
        let pool = sql.pool.max.unwrap_or(DEFAULT_POOL);
        if pool == 0 || pool > MAX_POOL {
            return Err(refuse(format!("`pool: {{max: …}}` is 1 to {MAX_POOL}")));
        }
        match sql.driver {
            Driver::Sqlite => {
                foreign(sql, false).map_err(refuse)?;
                let file = sql
                    .file
                    .as_ref()
                    .ok_or_else(|| refuse("sqlite needs `file:`".into()))?;
                Ok(Self::Sqlite(sqlite::Sqlite::new(file.as_path(), pool)))
            }
            Driver::Postgres => {
                foreign(sql, true).map_err(refuse)?;
                let source = postgres::Postgres::compile(sql, pool).map_err(refuse)?;
                Ok(Self::Postgres(Box::new(source)))
            }
        }
    }

    pub(crate) fn driver(&self) -> Driver {
        match self {
            Self::Postgres(_) => Driver::Postgres,
            Self::Sqlite(_) => Driver::Sqlite,
        }
    }

    /// Reaches the source and proves that it cannot be written through this connection. Answers
    /// with a sentence about it: product, version, as whom.
    pub(crate) async fn verify(&self) -> Result<String, SourceError> {
        match self {
            Self::Postgres(source) => source.verify().await,
            Self::Sqlite(source) => source.verify().await,
        }
    }

    /// Has a query prepared and says what its columns are.
    pub(crate) async fn prepare(&self, sql: &str) -> Result<Vec<ColumnKind>, SourceError> {
        match self {
            Self::Postgres(source) => source.prepare(sql).await,
            Self::Sqlite(source) => source.prepare(sql).await,
        }
    }

    /// Asks. Safe to cancel: what the source was doing is then stopped.
    pub(crate) async fn ask(
        &self,
        question: Question,
        deadline: Duration,
    ) -> Result<Rows, SourceError> {
        match self {
            Self::Postgres(source) => source.ask(question, deadline).await,
            Self::Sqlite(source) => source.ask(question, deadline).await,
        }
    }
}

/// Refuses the keys of the other driver.
fn foreign(sql: &SqlSource, postgres: bool) -> Result<(), String> {
    let keys = [
        ("file", sql.file.is_some(), false),
        ("host", sql.host.is_some(), true),
        ("port", sql.port.is_some(), true),
        ("database", sql.database.is_some(), true),
        ("user", sql.user.is_some(), true),
        ("password", sql.password.is_some(), true),
        ("statement_timeout", sql.statement_timeout.is_some(), true),
    ];
    let driver = if postgres { "postgres" } else { "sqlite" };
    match keys
        .iter()
        .find(|(_, set, of_postgres)| *set && *of_postgres != postgres)
    {
        Some((key, ..)) => Err(format!("`{key}` is not for driver {driver}")),
        None => Ok(()),
    }
}

/// Counts what was read against the limits.
#[derive(Debug)]
pub(crate) struct Meter {
    rows: u64,
    bytes: u64,
    read: Rows,
}

// === impl Meter ===

impl Meter {
    fn new(question: &Question) -> Self {
        Self {
            rows: question.rows,
            bytes: question.bytes,
            read: Vec::new(),
        }
    }

    fn push(&mut self, row: Vec<SqlValue>) -> Result<(), SourceError> {
        if self.read.len() as u64 >= self.rows {
            return Err(SourceError::TooManyRows);
        }
        let size: u64 = row.iter().map(SqlValue::len).sum();
        self.bytes = self
            .bytes
            .checked_sub(size)
            .ok_or(SourceError::TooManyBytes)?;
        self.read.push(row);
        Ok(())
    }
}

/// Connections of one source when the file sets no number.
const DEFAULT_POOL: u32 = 4;
const MAX_POOL: u32 = 64;

/// How long reaching a source may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
