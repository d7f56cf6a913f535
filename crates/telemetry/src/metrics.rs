//! Metrics, in the names dashboards and alerts are written against. Labels are names of the
//! directory and the catalogue: never a person, a user or a case.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use entente_clock::Timestamp;
use entente_identity::{Jurisdiction, MethodName, ServerId};
use entente_reason::{GrpcCode, Reason};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// A role's metrics. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

/// What `entente_build_info` says.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// The version.
    pub version: &'static str,
    /// The role: `security-server`, `registry`, `adapter`.
    pub role: &'static str,
}

/// Which end of an exchange this server was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// It asked.
    Consumer,
    /// It answered.
    Provider,
}

/// A call under way; dropping it ends the count.
#[derive(Debug)]
pub struct InFlight(Gauge);

struct Inner {
    registry: Registry,
    exchanges: Family<Exchange, Counter>,
    /// Series of `exchanges` begun, or refused.
    series: AtomicUsize,
    exchange_seconds: Family<Ends, Histogram, fn() -> Histogram>,
    in_flight: Family<OneLabel, Gauge>,
    refusals: Family<Refused, Counter>,
    handshakes_refused: Family<OneLabel, Counter>,
    log_append_seconds: Histogram,
    log_size: Gauge,
    log_cosigned_age: Gauge<f64, AtomicU64>,
    registry_age: Gauge<f64, AtomicU64>,
    recognised_age: Family<Of, Gauge<f64, AtomicU64>>,
    started_at: Gauge<f64, AtomicU64>,
    cert_expiry: Family<OneLabel, Gauge>,
    store_rebuilds: Family<OneLabel, Counter>,
    time_stamps: Counter,
    time_stamp_failures: Family<OneLabel, Counter>,
    time_stamp_age: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Exchange {
    ends: Ends,
    code: GrpcCode,
}

/// `None` once there are too many series: then peer and method are `other`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Ends {
    side: Side,
    named: Option<(ServerId, MethodName)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Refused(Reason);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Of(Jurisdiction);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct OneLabel {
    name: &'static str,
    value: &'static str,
}

// === impl Metrics ===

impl Metrics {
    /// A registry with every metric of this page.
    pub fn new(build: Build) -> Self {
        let mut registry = Registry::with_prefix("entente");
        let inner = Inner {
            exchanges: Family::default(),
            series: AtomicUsize::new(0),
            exchange_seconds: Family::new_with_constructor(latency),
            in_flight: Family::default(),
            refusals: Family::default(),
            handshakes_refused: Family::default(),
            log_append_seconds: latency(),
            log_size: Gauge::default(),
            log_cosigned_age: Gauge::default(),
            registry_age: Gauge::default(),
            recognised_age: Family::default(),
            started_at: Gauge::default(),
            cert_expiry: Family::default(),
            store_rebuilds: Family::default(),
            time_stamps: Counter::default(),
            time_stamp_failures: Family::default(),
            time_stamp_age: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register(
            "build",
            "What is running",
            Info::new([("version", build.version), ("role", build.role)]),
        );
        registry.register(
            "exchanges",
            "Exchanges finished, by the other server, the method and the gRPC code",
            inner.exchanges.clone(),
        );
        registry.register(
            "exchange_seconds",
            "Time from accepting a call to answering it",
            inner.exchange_seconds.clone(),
        );
        registry.register(
            "exchanges_in_flight",
            "Exchanges under way",
            inner.in_flight.clone(),
        );
        registry.register(
            "refusals",
            "Calls refused, by reason and by who must act",
            inner.refusals.clone(),
        );
        registry.register(
            "handshakes_refused",
            "Connections refused before a call, by reason",
            inner.handshakes_refused.clone(),
        );
        registry.register(
            "log_append_seconds",
            "Time from handing an entry to the ledger to its being durable",
            inner.log_append_seconds.clone(),
        );
        registry.register(
            "log_size",
            "Entries in this server's ledger",
            inner.log_size.clone(),
        );
        registry.register(
            "log_cosigned_age_seconds",
            "Time since a quorum of witnesses saw this server's ledger; exchange stops at the policy's limit",
            inner.log_cosigned_age.clone(),
        );
        registry.register(
            "registry_age_seconds",
            "Age of what is known of the registry; exchange stops at the policy's limit",
            inner.registry_age.clone(),
        );
        registry.register(
            "recognised_registry_age_seconds",
            "Age of what is known of another jurisdiction's registry; calls across stop at its limit",
            inner.recognised_age.clone(),
        );
        registry.register(
            "start_time_seconds",
            "When this role began to serve, in seconds since 1970",
            inner.started_at.clone(),
        );
        registry.register(
            "cert_expiry_seconds",
            "Seconds until a certificate ends, by its use",
            inner.cert_expiry.clone(),
        );
        registry.register(
            "store_rebuilds",
            "Times the index was set aside and built anew, by cause",
            inner.store_rebuilds.clone(),
        );
        registry.register(
            "time_stamps",
            "Tokens of the time-stamping authority in this server's ledger since it started",
            inner.time_stamps.clone(),
        );
        registry.register(
            "time_stamp_failures",
            "Times the time-stamping authority gave no good token, by cause",
            inner.time_stamp_failures.clone(),
        );
        registry.register(
            "time_stamp_age_seconds",
            "Age of the oldest entry that no token covers; exchange may stop at a limit",
            inner.time_stamp_age.clone(),
        );
        Self(Arc::new(Inner { registry, ..inner }))
    }

    /// Counts a finished exchange with the server `peer`. Call it for exchanges both servers
    /// identified: `peer` and `method` become labels. After 4,096 series they are `other`.
    pub fn exchange(
        &self,
        side: Side,
        peer: &ServerId,
        method: &MethodName,
        code: GrpcCode,
        took: Duration,
    ) {
        let mut exchange = Exchange {
            ends: Ends {
                side,
                named: Some((peer.clone(), method.clone())),
            },
            code,
        };
        let inner = &self.0;
        let known = inner.exchanges.get(&exchange).is_some();
        if !known && inner.series.fetch_add(1, Ordering::Relaxed) >= MAX_SERIES {
            exchange.ends.named = None;
        }
        inner.exchanges.get_or_create(&exchange).inc();
        inner
            .exchange_seconds
            .get_or_create(&exchange.ends)
            .observe(took.as_secs_f64());
    }

    /// Counts a call as under way until the guard is dropped.
    pub fn in_flight(&self, side: Side) -> InFlight {
        let gauge = self.0.in_flight.get_or_create_owned(&OneLabel {
            name: "side",
            value: side.as_str(),
        });
        gauge.inc();
        InFlight(gauge)
    }

    /// Counts a refusal.
    pub fn refusal(&self, reason: Reason) {
        self.0.refusals.get_or_create(&Refused(reason)).inc();
    }

    /// Counts a connection refused in its handshake.
    pub fn handshake_refused(&self, reason: Reason) {
        let label = OneLabel {
            name: "reason",
            value: reason.code(),
        };
        self.0.handshakes_refused.get_or_create(&label).inc();
    }

    /// Notes how long an append took to become durable.
    pub fn log_appended(&self, took: Duration) {
        self.0.log_append_seconds.observe(took.as_secs_f64());
    }

    /// Notes the ledger's size.
    pub fn log_size(&self, entries: u64) {
        self.0
            .log_size
            .set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// Notes how old what we know of the registry is.
    pub fn registry_age(&self, age: Duration) {
        self.0.registry_age.set(age.as_secs_f64());
    }

    /// The same of every other registry that is followed: at most 256. One that is not named is followed no
    /// more.
    pub fn recognised_ages(&self, ages: impl IntoIterator<Item = (Jurisdiction, Duration)>) {
        let ages: Vec<_> = ages.into_iter().collect();
        self.0.recognised_age.clear();
        for (jurisdiction, age) in ages {
            let gauge = self.0.recognised_age.get_or_create(&Of(jurisdiction));
            gauge.set(age.as_secs_f64());
        }
    }

    /// Notes when the role began to serve.
    pub fn started_at(&self, at: Timestamp) {
        self.0.started_at.set(at.as_millis() as f64 / 1e3);
    }

    /// Notes how many seconds a certificate is still valid; negative when it has ended. `of` is its
    /// use: `session`, `tls`.
    pub fn cert_expiry(&self, of: &'static str, seconds: i64) {
        let label = OneLabel {
            name: "use",
            value: of,
        };
        self.0.cert_expiry.get_or_create(&label).set(seconds);
    }

    /// Counts a rebuild of the store.
    pub fn store_rebuilt(&self, cause: &'static str) {
        let label = OneLabel {
            name: "cause",
            value: cause,
        };
        self.0.store_rebuilds.get_or_create(&label).inc();
    }

    /// Notes how long ago a quorum of witnesses saw the ledger; zero where nobody asks for one.
    pub fn log_cosigned_age(&self, age: Duration) {
        self.0.log_cosigned_age.set(age.as_secs_f64());
    }

    /// Counts a token.
    pub fn time_stamped(&self) {
        self.0.time_stamps.inc();
    }

    /// Counts an attempt that gave no token.
    pub fn time_stamp_failed(&self, cause: &'static str) {
        let label = OneLabel {
            name: "cause",
            value: cause,
        };
        self.0.time_stamp_failures.get_or_create(&label).inc();
    }

    /// Notes how long the oldest entry has gone without a token.
    pub fn time_stamp_age(&self, age: Duration) {
        self.0.time_stamp_age.set(age.as_secs_f64());
    }

    /// Everything, in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("writing to a string does not fail");
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

// === impl Side ===

impl Side {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Provider => "provider",
        }
    }
}

// === impl InFlight ===

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

// === label sets ===

impl EncodeLabelSet for Exchange {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.ends.encode(encoder)?;
        let number = self.code.0.to_string();
        let code = match self.code.0 {
            0 => "OK",
            1 => "CANCELLED",
            2 => "UNKNOWN",
            11 => "OUT_OF_RANGE",
            _ => self.code.name().unwrap_or(&number),
        };
        ("code", code).encode(encoder.encode_label())
    }
}

impl EncodeLabelSet for Of {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("jurisdiction", self.0.as_str()).encode(encoder.encode_label())
    }
}

impl EncodeLabelSet for Ends {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let (peer, service, method) = match &self.named {
            None => (OTHER, OTHER, OTHER),
            Some((peer, method)) => {
                let (service, short) = method.as_str().split_once('/').unwrap_or((OTHER, OTHER));
                (peer.as_str(), service, short)
            }
        };
        ("side", self.side.as_str()).encode(encoder.encode_label())?;
        ("peer", peer).encode(encoder.encode_label())?;
        ("service", service).encode(encoder.encode_label())?;
        ("method", method).encode(encoder.encode_label())
    }
}

impl EncodeLabelSet for Refused {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("reason", self.0.code()).encode(encoder.encode_label())?;
        ("at", self.0.at().as_str()).encode(encoder.encode_label())
    }
}

impl EncodeLabelSet for OneLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        (self.name, self.value).encode(encoder.encode_label())
    }
}

/// From 50 µs to 26 s, each bucket twice the one before.
fn latency() -> Histogram {
    Histogram::new((0..20).map(|step| 50e-6 * f64::from(1_u32 << step)))
}

const OTHER: &str = "other";
/// Series of one metric; beyond it peers and methods are not told apart.
const MAX_SERIES: usize = 4096;
