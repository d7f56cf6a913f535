//! SQLite, opened so that nothing can be written.
//!
//! The library blocks, so each connection has a thread of its own. A question carries a handle by
//! which its caller can interrupt it, and only it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags, ToSql};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{CONNECT_TIMEOUT, ColumnKind, Meter, Question, Rows, SourceError};
use crate::value::SqlValue;

/// One database file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
    max: usize,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    queue: Mutex<Receiver<Job>>,
    threads: AtomicUsize,
}

/// Work for whichever thread is free. Its place in the pool is held until the work is over, so the
/// queue is never longer than the pool is wide.
struct Job {
    work: Box<dyn FnOnce(&mut Session) + Send>,
    _place: OwnedSemaphorePermit,
}

/// A thread's connection, opened when first needed.
struct Session {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    /// Device and inode of the file opened: a replaced file is opened anew.
    file: (u64, u64),
}

/// How a caller stops its own question.
#[derive(Default)]
struct Cancel(Mutex<CancelState>);

#[derive(Default)]
struct CancelState {
    cancelled: bool,
    running: Option<InterruptHandle>,
}

/// Interrupts the question when its caller stops waiting.
struct CancelOnDrop(Arc<Cancel>);

struct Bound<'a>(&'a SqlValue);

// === impl Sqlite ===

impl Sqlite {
    pub(super) fn new(path: &Path, max: u32) -> Self {
        let (jobs, queue) = channel();
        Self {
            shared: Arc::new(Shared {
                path: path.to_path_buf(),
                queue: Mutex::new(queue),
                threads: AtomicUsize::new(0),
            }),
            jobs,
            places: Arc::new(Semaphore::new(max as usize)),
            max: max as usize,
        }
    }

    pub(super) async fn verify(&self) -> Result<String, SourceError> {
        let path = self.shared.path.display().to_string();
        self.run(CONNECT_TIMEOUT, move |connection| {
            // Reading the schema is the first thing that looks into the file.
            let count: i64 = connection
                .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
                .map_err(|error| classify(&error))?;
            let version = rusqlite::version();
            Ok(format!(
                "SQLite {version}, {path}, {count} tables (cannot write)"
            ))
        })
        .await
    }

    pub(super) async fn prepare(&self, sql: &str) -> Result<Vec<ColumnKind>, SourceError> {
        let sql = sql.to_owned();
        self.run(CONNECT_TIMEOUT, move |connection| {
            let statement = connection.prepare(&sql).map_err(|error| describe(&error))?;
            if !statement.readonly() {
                return Err(SourceError::Refused("the query writes".to_owned()));
            }
            // SQLite types values, not columns: each value is judged when it is read.
            Ok(vec![ColumnKind::Other; statement.column_count()])
        })
        .await
    }

    pub(super) async fn ask(
        &self,
        question: Question,
        deadline: Duration,
    ) -> Result<Rows, SourceError> {
        self.run(deadline, move |connection| read(connection, &question))
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        deadline: Duration,
        work: impl FnOnce(&mut Connection) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let places = Arc::clone(&self.places);
        let cancel = Arc::new(Cancel::default());
        let stopping = CancelOnDrop(Arc::clone(&cancel));
        let mut placed = false;
        let asked = async {
            let place = places.acquire_owned().await.map_err(|_| down("closed"))?;
            placed = true;
            let (reply, answer) = oneshot::channel();
            let job = Job {
                work: Box::new(move |session: &mut Session| {
                    let _ = reply.send(session.run(&cancel, work));
                }),
                _place: place,
            };
            self.staff().map_err(|_| down("no thread"))?;
            self.jobs.send(job).map_err(|_| down("closed"))?;
            answer.await.map_err(|_| down("closed"))?
        };
        let answered = tokio::time::timeout(deadline, asked).await;
        drop(stopping);
        match answered {
            Ok(answer) => answer,
            Err(_) if placed => Err(SourceError::Slow),
            Err(_) => Err(SourceError::Busy),
        }
    }

    /// Starts one more thread while there are fewer than places.
    fn staff(&self) -> io::Result<()> {
        let busy = self.max - self.places.available_permits();
        let threads = self.shared.threads.load(Ordering::SeqCst);
        if threads >= busy.min(self.max) {
            return Ok(());
        }
        self.shared.threads.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        let spawned = std::thread::Builder::new()
            .name("sqlite".to_owned())
            .spawn(move || shared.work());
        if spawned.is_err() {
            self.shared.threads.fetch_sub(1, Ordering::SeqCst);
        }
        spawned.map(drop)
    }
}

// === impl Shared ===

impl Shared {
    /// Does one job after the other until the source is dropped.
    fn work(&self) {
        let mut session = Session {
            path: self.path.clone(),
            open: None,
        };
        loop {
            let job = {
                let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                queue.recv()
            };
            match job {
                Ok(job) => (job.work)(&mut session),
                Err(_) => return,
            }
        }
    }
}

// === impl Session ===

impl Session {
    fn run<T>(
        &mut self,
        cancel: &Cancel,
        work: impl FnOnce(&mut Connection) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let connection = self.connection()?;
        if !cancel.begin(connection) {
            return Err(SourceError::Slow);
        }
        let result = work(connection);
        cancel.end();
        if matches!(result, Err(SourceError::Down(_))) {
            self.open = None;
        }
        result
    }

    fn connection(&mut self) -> Result<&mut Connection, SourceError> {
        let metadata = fs::metadata(&self.path).map_err(|error| down(error.kind()))?;
        let file = (metadata.dev(), metadata.ino());
        if self.open.as_ref().is_some_and(|open| open.file != file) {
            self.open = None;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => Open {
                connection: open_read_only(&self.path)?,
                file,
            },
        };
        Ok(&mut self.open.insert(open).connection)
    }
}

// === impl Cancel ===

impl Cancel {
    /// Marks the question as running on this connection; false when it was given up already.
    fn begin(&self, connection: &Connection) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.cancelled {
            state.running = Some(connection.get_interrupt_handle());
        }
        !state.cancelled
    }

    fn end(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.running = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        // Under the lock, so that the thread cannot have gone on to another's question.
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.cancelled = true;
        if let Some(running) = &state.running {
            running.interrupt();
        }
    }
}

// === impl Bound ===

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            SqlValue::Bool(value) => ToSqlOutput::Owned(Value::Integer(i64::from(*value))),
            SqlValue::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            SqlValue::Int(value) => ToSqlOutput::Owned(Value::Integer(*value)),
            SqlValue::Null => ToSqlOutput::Owned(Value::Null),
            SqlValue::Real(value) => ToSqlOutput::Owned(Value::Real(*value)),
            SqlValue::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// Opens the file for reading only and proves it: three locks, and a write that must fail.
fn open_read_only(path: &Path) -> Result<Connection, SourceError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error: rusqlite::Error| classify(&error);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection
        .execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")
        .map_err(failed)?;
    let query_only: i64 = connection
        .query_row("PRAGMA query_only", [], |row| row.get(0))
        .map_err(failed)?;
    let read_only = connection.is_readonly("main").map_err(failed)?;
    if query_only != 1 || !read_only {
        return Err(SourceError::Writable(
            "the file opened for writing".to_owned(),
        ));
    }
    match connection.execute_batch("CREATE TABLE \"entente must not be able to do this\" (x)") {
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == ErrorCode::ReadOnly => {
            Ok(connection)
        }
        Err(error) => Err(classify(&error)),
        Ok(()) => Err(SourceError::Writable("a table could be created".to_owned())),
    }
}

fn read(connection: &Connection, question: &Question) -> Result<Rows, SourceError> {
    let failed = |error: rusqlite::Error| classify(&error);
    let mut statement = connection.prepare(&question.sql).map_err(failed)?;
    let bound: Vec<_> = question.parameters.iter().map(Bound).collect();
    let mut rows = statement
        .query(rusqlite::params_from_iter(bound))
        .map_err(failed)?;
    let mut meter = Meter::new(question);
    while let Some(row) = rows.next().map_err(failed)? {
        let mut values = Vec::with_capacity(question.columns);
        for index in 0..question.columns {
            let value = row.get_ref(index).map_err(failed)?;
            values.push(copy(value, meter.bytes)?);
        }
        meter.push(values)?;
    }
    Ok(meter.read)
}

/// Copies a value out of SQLite's memory, unless it alone is above the limit.
fn copy(value: ValueRef<'_>, limit: u64) -> Result<SqlValue, SourceError> {
    let size = match value {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes.len() as u64,
        _ => 0,
    };
    if size > limit {
        return Err(SourceError::TooManyBytes);
    }
    Ok(match value {
        ValueRef::Blob(bytes) => SqlValue::Bytes(bytes.to_vec()),
        ValueRef::Integer(value) => SqlValue::Int(value),
        ValueRef::Null => SqlValue::Null,
        ValueRef::Real(value) => SqlValue::Real(value),
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| SourceError::Record)?;
            SqlValue::Text(text.to_owned())
        }
    })
}

/// SQLite's error, as a source's: by its code, because its message may hold a value.
fn classify(error: &rusqlite::Error) -> SourceError {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return SourceError::Refused("the query".to_owned());
    };
    let code = format!("SQLite code {}", failure.extended_code);
    match failure.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => SourceError::Busy,
        ErrorCode::OperationInterrupted => SourceError::Slow,
        ErrorCode::TooBig => SourceError::TooManyBytes,
        ErrorCode::TypeMismatch => SourceError::BadValue,
        ErrorCode::CannotOpen
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::DiskFull
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::NotADatabase
        | ErrorCode::OutOfMemory
        | ErrorCode::PermissionDenied
        | ErrorCode::SystemIoFailure => SourceError::Down(code),
        _ => SourceError::Refused(code),
    }
}

/// As [`classify`], with SQLite's own words: for a query without values, as it is prepared.
fn describe(error: &rusqlite::Error) -> SourceError {
    match (classify(error), error) {
        (SourceError::Refused(_), rusqlite::Error::SqlInputError { msg, .. }) => {
            SourceError::Refused(msg.clone())
        }
        (SourceError::Refused(_), rusqlite::Error::SqliteFailure(_, Some(message))) => {
            SourceError::Refused(message.clone())
        }
        (classified, _) => classified,
    }
}

fn down(why: impl ToString) -> SourceError {
    SourceError::Down(why.to_string())
}

/// How long SQLite itself waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
