//! Following a country's registry over loopback TLS: from nothing, and after having been away.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use anyhow::{Context as _, ensure};
use entente_clock::SystemClock;
use entente_follow::{Anchor, Follower, FollowerConfig, Keep};
use entente_ledger::disk::RealDisk;
use entente_ledger_bench::Measured;
use entente_ledger_bench::usage::{now, peak_mib, processor_s};
use entente_signing::P256Key;
use entente_tls::Identity;
use entente_tls::net::{Endpoint, Io, Listener, Net, NetFuture, Stream, TokioNet};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::country::member_id;
use crate::registry::{SERVING, anchor_of, found, grow};

/// Measures a country that was written: `rounds` followers that begin with nothing, and the last of them
/// again, after it was away for the changes that came later. Each is a process of its own, as is the registry.
///
/// # Errors
/// When one of them fails.
pub async fn sync(country: &Path, rounds: u32) -> anyhow::Result<()> {
    found(country).await?;
    let copy = country.join("copy");
    let registry = Registry::start(country)?;
    for _ in 0..rounds {
        if copy.exists() {
            std::fs::remove_dir_all(&copy)?;
        }
        registry.follow(country, "sync")?;
    }
    registry.stop()?;
    grow(country).await?;
    let registry = Registry::start(country)?;
    registry.follow(country, "away")?;
    registry.stop()
}

/// The registry, in a process that ends with its stdin.
struct Registry {
    child: Child,
    size: u64,
}

// === impl Registry ===

impl Registry {
    fn start(country: &Path) -> anyhow::Result<Self> {
        let mut child = this("serve")?
            .arg(country)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().context("a child without stdout")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let size = line.trim_end().strip_prefix(SERVING);
        let size = size.context("the registry did not start")?.parse()?;
        Ok(Self { child, size })
    }

    fn follow(&self, country: &Path, case: &str) -> anyhow::Result<()> {
        let status = this("follow")?
            .arg(country)
            .arg(self.size.to_string())
            .arg(case)
            .status()?;
        ensure!(status.success(), "the follower ended with {status}");
        Ok(())
    }

    fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "the registry ended with {status}");
        Ok(())
    }
}

fn this(task: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(task);
    Ok(command)
}

/// Follows, in the folder `copy` of the country's, until a view reaches `size`.
///
/// # Errors
/// When the registry cannot be followed, or is at fault.
pub async fn follow(country: &Path, size: u64, case: &str) -> anyhow::Result<Vec<Measured>> {
    let net = Counting::default();
    let received = net.received.clone();
    let key = Arc::new(P256Key::generate()?);
    let began = now();
    let follower = Follower::open(FollowerConfig {
        anchor: Anchor::load(&anchor_of(country))?,
        dir: country.join("copy"),
        net: Arc::new(net),
        identity: Identity::self_signed(key, &[])?.into(),
        // As a server of this member.
        keep: Keep::OfParty(member_id(0)?),
        clock: Arc::new(SystemClock),
        disk: Arc::new(RealDisk),
    })
    .await?;
    let opened = began.elapsed().as_secs_f64();
    let directory = follower.directory();
    let before = directory.view().size;
    let (mut views, mut alarms) = (directory.views(), directory.alarms());
    tokio::select! {
        reached = views.wait_for(|view| view.size >= size) => drop(reached?),
        alarm = alarms.wait_for(Option::is_some) => anyhow::bail!("an alarm: {:?}", *alarm?),
    }
    let took = began.elapsed().as_secs_f64();
    follower.shutdown().await;
    let mib = received.load(Ordering::Relaxed) as f64 / f64::from(1 << 20);
    let measured = [
        ("changes", "1", (size - before) as f64),
        ("open_s", "s", opened),
        ("s", "s", took),
        ("processor_s", "s", processor_s()?),
        ("rss_mib", "MiB", peak_mib()?),
        ("received_mib", "MiB", mib),
    ];
    let members = crate::members_of(country)?;
    let measured = measured.into_iter();
    let one = |(metric, unit, value)| Measured::new(case, metric, unit, value);
    Ok(measured
        .map(|figure| one(figure).with("members", members))
        .collect())
}

/// TCP, and how much comes in by it.
#[derive(Clone, Debug, Default)]
struct Counting {
    received: Arc<AtomicU64>,
}

struct Counted {
    stream: Stream,
    received: Arc<AtomicU64>,
}

// === impl Counting ===

impl Net for Counting {
    fn connect<'a>(&'a self, to: &'a Endpoint) -> NetFuture<'a, Stream> {
        Box::pin(async move {
            let stream = TokioNet.connect(to).await?;
            let received = self.received.clone();
            Ok(Box::new(Counted { stream, received }) as Box<dyn Io>)
        })
    }

    fn listen<'a>(&'a self, at: &'a Endpoint) -> NetFuture<'a, Listener> {
        TokioNet.listen(at)
    }
}

// === impl Counted ===

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        let read = (into.filled().len() - before) as u64;
        self.received.fetch_add(read, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
