//! The consumer's side: a fixed number of calls in flight for a fixed time, and what came of it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use clap::{Args, FromArgMatches as _};
use entente_proto::raw::RawCodec;
use entente_tls::Channel;
use entente_tls::ChannelOptions;
use hdrhistogram::Histogram;
use http::uri::PathAndQuery;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::{Extensions, Request};

use super::door::Dial;
use super::keys::Holder;
use super::usage::{Machine, Server, USER_HZ};
use super::{MAX_MESSAGE, METHOD};

/// What to send, how much of it and for how long.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub struct Load {
    #[command(flatten)]
    to: Dial,
    /// Own key: `FOLDER/NAME`.
    #[arg(long)]
    identity: Option<Holder>,
    /// Bytes in the message's one field.
    #[arg(long, default_value_t = 1024)]
    payload: usize,
    /// `key=value`, sent with every call. Repeatable.
    #[arg(long = "metadata", value_parser = metadata)]
    metadata: Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>,
    /// Connections the calls are spread over.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Calls in flight, all connections together.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Milliseconds of calls before measuring.
    #[arg(long, default_value_t = 500)]
    warm_up_ms: u64,
    /// Milliseconds measured.
    #[arg(long, default_value_t = 3000)]
    measure_ms: u64,
    /// Processes whose time and memory are read at the window's edges. Repeatable.
    #[arg(long = "watch")]
    watch: Vec<u32>,
}

/// What a load measured.
#[derive(Clone, Debug)]
pub struct Summary {
    tally: Tally,
    seconds: f64,
    before: Usage,
    after: Usage,
}

/// What one worker saw within the window.
#[derive(Clone, Debug)]
struct Tally {
    /// Microseconds from before a call to after its answer.
    latency: Histogram<u64>,
    errors: u64,
    first_error: Option<String>,
}

/// One moment's readings.
#[derive(Clone, Debug)]
struct Usage {
    machine: Machine,
    own: Server,
    watched: Vec<Server>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    start: Instant,
    end: Instant,
}

// === impl Load ===

impl Load {
    /// A load from the words of its command line.
    ///
    /// # Errors
    /// When they are not understood.
    pub fn from_words(words: &[&str]) -> anyhow::Result<Self> {
        let command = Self::augment_args(clap::Command::new("load").no_binary_name(true));
        Ok(Self::from_arg_matches(
            &command.try_get_matches_from(words)?,
        )?)
    }

    /// Runs to the end of the window.
    ///
    /// # Errors
    /// When the arguments make no sense, or no call at all succeeded.
    pub async fn run(&self) -> anyhow::Result<Summary> {
        ensure!(
            (1..=self.in_flight).contains(&self.connections),
            "at least one connection, and a call in flight on each"
        );
        ensure!(self.payload <= MAX_MESSAGE / 2, "payload too large");
        let channels = (0..self.connections)
            .map(|_| self.to.channel(self.identity.as_ref(), &options()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let message = message(self.payload);

        let start = now() + Duration::from_millis(self.warm_up_ms);
        let window = Window {
            start,
            end: start + Duration::from_millis(self.measure_ms),
        };
        let mut workers = JoinSet::new();
        for channel in channels.iter().cycle().take(self.in_flight) {
            let metadata = MetadataMap::from_headers(self.headers());
            workers.spawn(work(channel.clone(), metadata, message.clone(), window));
        }
        let mut edges = edges(window);
        edges.tick().await;
        let before = Usage::read(&self.watch)?;
        edges.tick().await;
        let after = Usage::read(&self.watch)?;

        let mut tally = Tally::new();
        while let Some(worker) = workers.join_next().await {
            tally.add(worker?);
        }
        if tally.latency.is_empty() {
            bail!(
                "no call succeeded; the first failed with: {}",
                tally.first_error.as_deref().unwrap_or("nothing")
            );
        }
        Ok(Summary {
            tally,
            seconds: (window.end - window.start).as_secs_f64(),
            before,
            after,
        })
    }

    fn headers(&self) -> http::HeaderMap {
        let mut map = MetadataMap::new();
        for (key, value) in &self.metadata {
            map.append(key.clone(), value.clone());
        }
        map.into_headers()
    }
}

// === impl Summary ===

impl Summary {
    /// One JSON object: rates per second, times in microseconds, memory in KiB, and which share of
    /// the machine's time somebody else used: neither this process nor one watched.
    pub fn json(&self) -> Value {
        let latency = &self.tally.latency;
        let micros = |ticks: u64| ticks * (1_000_000 / USER_HZ);
        let pairs = || self.before.watched.iter().zip(&self.after.watched);
        let watched: u64 = pairs().map(|(b, a)| a.ticks - b.ticks).sum();
        let own = self.after.own.ticks - self.before.own.ticks;
        let (b, a) = (self.before.machine, self.after.machine);
        let share = |part: u64| part as f64 / (a.total - b.total).max(1) as f64;
        json!({
            "calls": latency.len(),
            "calls_per_s": latency.len() as f64 / self.seconds,
            "errors": self.tally.errors,
            "first_error": self.tally.first_error,
            "p50_us": latency.value_at_quantile(0.50),
            "p99_us": latency.value_at_quantile(0.99),
            "client_cpu_us": micros(own),
            "watched_cpu_us": pairs().map(|(b, a)| micros(a.ticks - b.ticks)).collect::<Vec<_>>(),
            "watched_peak_kib": self.after.watched.iter().map(|s| s.peak_kib).collect::<Vec<_>>(),
            "busy": share(a.busy - b.busy),
            "stolen": share(a.stolen - b.stolen),
            "not_ours": share((a.busy - b.busy).saturating_sub(own + watched)),
        })
    }
}

// === impl Tally ===

impl Tally {
    fn new() -> Self {
        // The bounds are constants that hdrhistogram accepts: the fallback is never taken.
        let latency = Histogram::new_with_bounds(1, MAX_MICROS, 3);
        Self {
            latency: latency.expect("one microsecond to a minute, three digits"),
            errors: 0,
            first_error: None,
        }
    }

    fn add(&mut self, other: Self) {
        self.latency += other.latency;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

// === impl Usage ===

impl Usage {
    fn read(watched: &[u32]) -> anyhow::Result<Self> {
        Ok(Self {
            machine: Machine::read()?,
            own: Server::read(std::process::id())?,
            watched: watched
                .iter()
                .map(|&pid| Server::read(pid))
                .collect::<anyhow::Result<_>>()?,
        })
    }
}

/// Calls, one after the other, until the window closes.
async fn work(channel: Channel, metadata: MetadataMap, message: Bytes, window: Window) -> Tally {
    let mut tally = Tally::new();
    let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE);
    loop {
        let start = now();
        let outcome = call(&mut grpc, &metadata, &message).await;
        let end = now();
        if end >= window.end {
            return tally;
        }
        let within = end >= window.start;
        match outcome {
            Ok(()) if within => {
                let micros = u64::try_from((end - start).as_micros()).unwrap_or(MAX_MICROS);
                tally.latency.saturating_record(micros.max(1));
            }
            Ok(()) => {}
            Err(error) => {
                // Those of the warm-up count: a server that fails at first is not measured well.
                tally.errors += 1;
                tally
                    .first_error
                    .get_or_insert_with(|| format!("{error:#}"));
                // A server that refuses at once would otherwise be measured by its refusals.
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn call(
    grpc: &mut Grpc<Channel>,
    metadata: &MetadataMap,
    message: &Bytes,
) -> anyhow::Result<()> {
    grpc.ready().await.context("connecting")?;
    let request = Request::from_parts(metadata.clone(), Extensions::new(), message.clone());
    let path = PathAndQuery::from_static(METHOD);
    let answer = grpc.unary(request, path, RawCodec).await?;
    ensure!(
        answer.get_ref() == message,
        "the answer is not what was sent"
    );
    Ok(())
}

/// `message { bytes payload = 1; }` with `size` bytes, encoded.
fn message(size: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(size + 6);
    out.put_u8(0x0a);
    let mut left = size;
    while left >= 0x80 {
        out.put_u8((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    out.put_u8(left as u8);
    // Not all the same, and the same in every run.
    out.extend((0..size).map(|at| (at * 31 + at / 256) as u8));
    out.freeze()
}

fn metadata(text: &str) -> anyhow::Result<(MetadataKey<Ascii>, MetadataValue<Ascii>)> {
    let (key, value) = text.split_once('=').context("metadata is key=value")?;
    Ok((key.parse()?, value.parse()?))
}

fn options() -> ChannelOptions {
    ChannelOptions {
        call_timeout: Some(CALL_TIMEOUT),
        ..ChannelOptions::default()
    }
}

/// Ticks at the window's start and at its end.
fn edges(window: Window) -> Interval {
    let mut edges = interval_at(window.start.into(), window.end - window.start);
    edges.set_missed_tick_behavior(MissedTickBehavior::Delay);
    edges
}

#[allow(clippy::disallowed_methods, reason = "measures how long calls take")]
fn now() -> Instant {
    Instant::now()
}

/// A call that takes longer has failed.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time recorded, in microseconds.
const MAX_MICROS: u64 = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_protobuf() {
        assert_eq!(message(1)[..2], [0x0a, 1]);
        let long = message(1024);
        assert_eq!((long.len(), &long[..3]), (1027, &[0x0a, 0x80, 0x08][..]));
    }

    #[test]
    fn metadata_is_a_pair() {
        let (key, value) = metadata("entente-to=ca-demo/a/b").unwrap();
        assert_eq!(
            (key.as_str(), value.to_str().unwrap()),
            ("entente-to", "ca-demo/a/b")
        );
        assert!(metadata("entente-to").is_err() && metadata("a b=c").is_err());
    }
}
