//! PostgreSQL, as a role that has been shown to be unable to write.
//!
//! Every question runs in a transaction of its own that is READ ONLY and has a statement timeout.
//! Values travel in PostgreSQL's text form, so the server itself reads them as the type the query
//! needs; columns come back as text too, so that no number passes through floating point.

mod privileges;

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use entente_config::{Endpoint, SecretFile};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{CancelToken, Client, Config, NoTls};

use super::{CONNECT_TIMEOUT, ColumnKind, Meter, Question, Rows, SourceError};
use crate::file::SqlSource;
use crate::value::SqlValue;

/// One database.
#[derive(Debug)]
pub(crate) struct Postgres {
    config: Config,
    password: Option<SecretFile>,
    /// Host, port and user, for the owner's eyes.
    place: String,
    statement_timeout: Duration,
    places: Arc<Semaphore>,
    /// Connections that were verified and are free.
    idle: Mutex<Vec<Client>>,
}

/// A connection lent for one question.
struct Lease<'a> {
    source: &'a Postgres,
    client: Option<Client>,
    /// Set while the server works: then the connection is not given back but stopped.
    working: Option<CancelToken>,
    _place: OwnedSemaphorePermit,
}

/// A value in PostgreSQL's text form. Its `Debug` shows nothing.
struct TextParameter(Option<String>);

// === impl Postgres ===

impl Postgres {
    pub(super) fn compile(sql: &SqlSource, pool: u32) -> Result<Self, String> {
        let needed = |key: &str| format!("postgres needs `{key}:`");
        let host = sql.host.as_ref().ok_or_else(|| needed("host"))?;
        let database = sql.database.as_ref().ok_or_else(|| needed("database"))?;
        let user = sql.user.as_ref().ok_or_else(|| needed("user"))?;
        let port = sql.port.unwrap_or(5432);
        let mut config = Config::new();
        if host.starts_with('/') {
            config.host_path(host);
        } else {
            let endpoint: Endpoint = format!("{host}:{port}")
                .parse()
                .map_err(|_| "`host` is a name, an address or the folder of a Unix socket")?;
            if !endpoint.is_local() {
                // Asked at start rather than refused at once, so that a file can be checked
                // anywhere.
                config.ssl_mode(SslMode::Require);
            }
            config.host(host);
        }
        config
            .port(port)
            .dbname(database)
            .user(user)
            .application_name("entente")
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(Duration::from_secs(30));
        Ok(Self {
            config,
            password: sql.password.clone(),
            place: format!("{host}, database {database}, as {user}"),
            statement_timeout: sql
                .statement_timeout
                .map_or(DEFAULT_STATEMENT_TIMEOUT, Duration::from),
            places: Arc::new(Semaphore::new(pool as usize)),
            idle: Mutex::new(Vec::new()),
        })
    }

    pub(super) async fn verify(&self) -> Result<String, SourceError> {
        self.within(CONNECT_TIMEOUT, async |client, _| {
            // Rights may have been granted since the connection was made.
            refuse_powers(client).await?;
            let sql = "SELECT current_setting('server_version')";
            let row = client.query_one(sql, &[]).await.map_err(|e| classify(&e))?;
            let version: String = row.try_get(0).map_err(|_| SourceError::Record)?;
            Ok(format!(
                "PostgreSQL {version} at {} (cannot write)",
                self.place
            ))
        })
        .await
    }

    pub(super) async fn prepare(&self, sql: &str) -> Result<Vec<ColumnKind>, SourceError> {
        self.within(CONNECT_TIMEOUT, async |client, _| {
            let statement = client.prepare(sql).await.map_err(|e| describe(&e))?;
            let kinds = statement
                .columns()
                .iter()
                .map(|column| match *column.type_() {
                    Type::FLOAT4 | Type::FLOAT8 => ColumnKind::Float,
                    Type::TIMESTAMP => ColumnKind::LocalTime,
                    _ => ColumnKind::Other,
                });
            Ok(kinds.collect())
        })
        .await
    }

    pub(super) async fn ask(
        &self,
        question: Question,
        deadline: Duration,
    ) -> Result<Rows, SourceError> {
        self.within(deadline, async |client, left| {
            let timeout = left.min(self.statement_timeout);
            let answer = read(client, &question, timeout).await;
            if matches!(
                answer,
                Err(SourceError::BadValue
                    | SourceError::Record
                    | SourceError::Refused(_)
                    | SourceError::TooManyRows)
            ) {
                // The server waits for the end of the transaction: a refused value must not
                // cost it a connection.
                client
                    .batch_execute("ROLLBACK")
                    .await
                    .map_err(|error| classify(&error))?;
                return Ok(answer);
            }
            answer.map(Ok)
        })
        .await?
    }

    /// Lends a connection to `work` and gives it back when all went well.
    async fn within<T>(
        &self,
        deadline: Duration,
        work: impl AsyncFnOnce(&Client, Duration) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let mut placed = false;
        let working = async {
            let places = Arc::clone(&self.places);
            let place = places
                .acquire_owned()
                .await
                .map_err(|_| SourceError::Down("closed".to_owned()))?;
            placed = true;
            let mut lease = self.lease(place).await?;
            let Some(client) = lease.client.as_ref() else {
                return Err(SourceError::Down("no connection".to_owned()));
            };
            lease.working = Some(client.cancel_token());
            let result = work(client, deadline).await;
            // Whatever failed half-way may have left a transaction or rows behind.
            if result.is_ok() {
                lease.working = None;
            }
            result
        };
        let worked = tokio::time::timeout(deadline, working).await;
        match worked {
            Ok(result) => result,
            Err(_) if placed => Err(SourceError::Slow),
            Err(_) => Err(SourceError::Busy),
        }
    }

    async fn lease(&self, place: OwnedSemaphorePermit) -> Result<Lease<'_>, SourceError> {
        let free = loop {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            match idle.pop() {
                Some(client) if client.is_closed() => {}
                free => break free,
            }
        };
        let client = match free {
            Some(client) => client,
            None => self.connect().await?,
        };
        Ok(Lease {
            source: self,
            client: Some(client),
            working: None,
            _place: place,
        })
    }

    /// Connects, and uses the connection only once its role has been shown unable to write.
    async fn connect(&self) -> Result<Client, SourceError> {
        let mut config = self.config.clone();
        if self.config.get_ssl_mode() == SslMode::Require {
            return Err(SourceError::Refused(
                "a PostgreSQL on another machine needs TLS, which comes later; use a Unix socket \
                 or loopback"
                    .to_owned(),
            ));
        }
        if let Some(file) = &self.password {
            if let Some(warning) = file.warning() {
                tracing::warn!("{warning}");
            }
            let secret = file
                .read()
                .map_err(|error| SourceError::Refused(error.to_string()))?;
            config.password(secret.expose());
        }
        let connected = config.connect(NoTls).await;
        let (client, connection) = connected.map_err(|error| classify(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(error = %classify(&error), "a connection ended");
            }
        });
        client
            .batch_execute(SESSION)
            .await
            .map_err(|error| classify(&error))?;
        refuse_powers(&client).await?;
        Ok(client)
    }
}

// === impl Lease ===

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else {
            return;
        };
        let Some(working) = self.working.take() else {
            let mut idle = self
                .source
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            idle.push(client);
            return;
        };
        // The connection closes with `client`; the server would notice only when it next writes.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let stopping = working.cancel_query(NoTls);
                let _ = tokio::time::timeout(CONNECT_TIMEOUT, stopping).await;
                drop(client);
            });
        }
    }
}

// === impl TextParameter ===

impl fmt::Debug for TextParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[value]")
    }
}

impl ToSql for TextParameter {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

async fn refuse_powers(client: &Client) -> Result<(), SourceError> {
    let powers = privileges::of_session(client)
        .await
        .map_err(|error| classify(&error))?;
    if powers.is_empty() {
        Ok(())
    } else {
        Err(SourceError::Writable(powers.join("; ")))
    }
}

async fn read(
    client: &Client,
    question: &Question,
    timeout: Duration,
) -> Result<Rows, SourceError> {
    let failed = |error: tokio_postgres::Error| classify(&error);
    let timeout = timeout.as_millis().max(1);
    let begin = format!("START TRANSACTION READ ONLY; SET LOCAL statement_timeout = {timeout}");
    client.batch_execute(&begin).await.map_err(failed)?;
    let parameters = question
        .parameters
        .iter()
        .map(|value| (TextParameter(value.to_postgres_text()), Type::UNKNOWN));
    let stream = client.query_typed_raw(&question.sql, parameters);
    let mut stream = std::pin::pin!(stream.await.map_err(failed)?);
    let mut meter = Meter::new(question);
    while let Some(row) = stream.next().await {
        let row = row.map_err(failed)?;
        let mut values = Vec::with_capacity(question.columns);
        for index in 0..question.columns {
            let text: Option<&str> = row.try_get(index).map_err(|_| SourceError::Record)?;
            values.push(text.map_or(SqlValue::Null, |text| SqlValue::Text(text.to_owned())));
        }
        meter.push(values)?;
    }
    client.batch_execute("COMMIT").await.map_err(failed)?;
    Ok(meter.read)
}

/// PostgreSQL's error, as a source's: by its code, because its message may hold a value.
fn classify(error: &tokio_postgres::Error) -> SourceError {
    let Some(code) = error.code() else {
        return SourceError::Down("connection".to_owned());
    };
    let shown = format!("SQLSTATE {}", code.code());
    match code.code() {
        "57014" => SourceError::Slow,
        "22P02" | "22P03" | "22003" | "22007" | "22008" | "22021" => SourceError::BadValue,
        code => match code.get(..2) {
            Some("08" | "57" | "58" | "XX") => SourceError::Down(shown),
            Some("21" | "22") => SourceError::Record,
            Some("40" | "53" | "55") => SourceError::Busy,
            _ => SourceError::Refused(shown),
        },
    }
}

/// As [`classify`], with PostgreSQL's own words: for a query without values, as it is prepared.
fn describe(error: &tokio_postgres::Error) -> SourceError {
    match (classify(error), error.as_db_error()) {
        (SourceError::Refused(_), Some(error)) => SourceError::Refused(error.message().to_owned()),
        (classified, _) => classified,
    }
}

/// What every connection is set to before it is used.
const SESSION: &str = "
    SET default_transaction_read_only = on;
    SET standard_conforming_strings = on;
    SET TimeZone = 'UTC';
    SET DateStyle = 'ISO, YMD';
    SET bytea_output = 'hex';
    SET client_encoding = 'UTF8';
    SET idle_in_transaction_session_timeout = '30s'";

/// The statement timeout when the file sets none: 5 s.
const DEFAULT_STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
