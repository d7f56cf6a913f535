//! Log lines: one JSON object each, on stdout or stderr.

use std::fmt;
use std::io::{self, Write};
use std::panic;
use std::sync::Arc;

use entente_clock::Clock;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, FilterFn, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, reload};

/// Where log lines go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error: for commands, whose results are on stdout.
    #[default]
    Stderr,
    /// Standard output: for `serve`.
    Stdout,
}

/// How to log. Lines look like
/// `{"timestamp":"…Z","level":"INFO","event":"server.ready","target":"entente_cli"}`.
#[derive(Clone, Debug)]
pub struct Logging {
    /// A level (`info`) or `target=level` pairs, comma separated. Default `info`.
    pub filter: String,
    /// Where lines go.
    pub output: LogOutput,
    /// What tells the time in them.
    pub clock: Arc<dyn Clock>,
}

/// Changes the filter while running. Cheap to clone.
#[derive(Clone)]
pub struct LogHandle(reload::Handle<EnvFilter, Registry>);

/// A filter that does not parse, or a second attempt to set up logging in one process.
#[derive(Debug, thiserror::Error)]
#[error("setting up logging with filter {filter:?}")]
pub struct InvalidFilter {
    filter: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

struct ClockTime(Arc<dyn Clock>);

// === impl Logging ===

impl Logging {
    /// Logs for the whole process from now on, panics included: those by place only, because the
    /// message of a panic may hold anything.
    ///
    /// # Errors
    /// When the filter does not parse, or logging was set up before.
    pub fn start(&self) -> Result<LogHandle, InvalidFilter> {
        let failed = |source| self.invalid(source);
        let handle = match self.output {
            LogOutput::Stderr => {
                let (subscriber, handle) = self.subscriber(io::stderr)?;
                subscriber.try_init().map_err(|e| failed(e.into()))?;
                handle
            }
            LogOutput::Stdout => {
                let (subscriber, handle) = self.subscriber(io::stdout)?;
                subscriber.try_init().map_err(|e| failed(e.into()))?;
                handle
            }
        };
        panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            tracing::error!(
                event = "panic",
                place = place.as_deref().unwrap_or("unknown")
            );
            // Whatever happens to the log, the operator sees that and where.
            let _ = writeln!(io::stderr(), "panic at {}", place.unwrap_or_default());
        }));
        Ok(handle)
    }

    /// A subscriber that writes to `writer`: what [`Self::start`] installs, and what a test uses.
    ///
    /// # Errors
    /// When the filter does not parse.
    pub fn subscriber<W>(
        &self,
        writer: W,
    ) -> Result<(impl Subscriber + Send + Sync + use<W>, LogHandle), InvalidFilter>
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let filter = EnvFilter::try_new(&self.filter).map_err(|e| self.invalid(e.into()))?;
        let (filter, handle) = reload::Layer::new(filter);
        let lines = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_timer(ClockTime(self.clock.clone()))
            .with_writer(writer)
            .with_filter(filter.and(quiet_libraries()));
        Ok((Registry::default().with(lines), LogHandle(handle)))
    }

    fn invalid(&self, source: Box<dyn std::error::Error + Send + Sync>) -> InvalidFilter {
        InvalidFilter {
            filter: self.filter.clone(),
            source,
        }
    }
}

// === impl LogHandle ===

impl LogHandle {
    /// Replaces the filter.
    ///
    /// # Errors
    /// When it does not parse; the old one stays.
    pub fn set_filter(&self, filter: &str) -> Result<(), InvalidFilter> {
        let failed = |source| InvalidFilter {
            filter: filter.to_owned(),
            source,
        };
        let parsed = EnvFilter::try_new(filter).map_err(|error| failed(error.into()))?;
        self.0.reload(parsed).map_err(|error| failed(error.into()))
    }
}

impl fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogHandle")
    }
}

// === impl ClockTime ===

impl FormatTime for ClockTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", self.0.now())
    }
}

/// Whatever the filter says, libraries are heard at `warn` and above only: at `debug`, h2 and hyper
/// print headers, and headers name users and cases.
fn quiet_libraries() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    filter_fn(|metadata| {
        *metadata.level() <= Level::WARN || metadata.target().starts_with("entente")
    })
}

/// The environment variable that overrides the configured filter.
pub const LOG_VARIABLE: &str = "ENTENTE_LOG";
