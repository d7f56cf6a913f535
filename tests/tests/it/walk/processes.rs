//! Real processes that abort at each step, or are killed while the provider's system works.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use entente_ledger::disk::{Disk, RealDisk};
use entente_tests::walk::{
    Gate, Got, Launch, Log, Row, ServerProcess, Side, TABLE, When, check_pair, document, until,
};
use entente_tests::world::{Consumer, Site, World, answer};

/// Two servers, one after the other stopped and started again.
struct Walk {
    world: World,
    gate: Gate,
    consumer: Option<ServerProcess>,
    provider: Option<ServerProcess>,
    /// What both ledgers held when all was last quiet.
    held: (Log, Log),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_consumers_server_stops_at_each_step_and_leaves_what_the_table_says() {
    walk(Side::Consumer).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_providers_server_stops_at_each_step_and_leaves_what_the_table_says() {
    walk(Side::Provider).await.unwrap();
}

#[test]
fn the_document_is_made_from_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/walk.md");
    if std::env::var_os("ENTENTE_WRITE_DOCS").is_some() {
        std::fs::write(&path, document()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        written,
        document(),
        "write it anew with ENTENTE_WRITE_DOCS=1"
    );
}

async fn walk(side: Side) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut walk = Walk::begin(dir.path()).await?;
    for row in TABLE.iter().filter(|row| row.side == side) {
        let taken = walk.take(row).await;
        taken.with_context(|| format!("the {row}"))?;
    }
    walk.start_both(None).await?;
    walk.stop_both().await
}

// === impl Walk ===

impl Walk {
    async fn begin(dir: &Path) -> anyhow::Result<Self> {
        let world = World::build(dir).await?;
        let gate = Gate::answering(answer("2026-03-04", "unknown"));
        gate.serve(&world.provider.source_socket()).await?;
        let mut walk = Self {
            world,
            gate,
            consumer: None,
            provider: None,
            held: (Log::default(), Log::default()),
        };
        // The first start opens the shards.
        walk.start(Side::Provider, None).await?;
        walk.start(Side::Consumer, None).await?;
        walk.held = walk.logs()?;
        walk.stop_both().await?;
        Ok(walk)
    }

    /// One row: stop, start again, go on, and start both once more.
    async fn take(&mut self, row: &Row) -> anyhow::Result<()> {
        self.start_both(Some(row)).await?;
        let asked = self.gate.asked();
        let got = self.stop_in(row).await?;
        ensure!(got == row.got, "the caller gets {got}");
        let asked = self.gate.asked() - asked;
        ensure!(asked == row.asked, "the system was asked {asked} times");

        // The one that stopped runs again; the other never did otherwise.
        self.start(row.side, None).await?;
        until(async || self.lines_are(row.consumer, row.provider)).await?;
        let again = Consumer::of(&self.world.consumer);
        let again = again.look_up().await;
        ensure!(again.is_ok(), "the call after it fails: {again:?}");
        let after = |lines: &[&'static str], more: [&'static str; 2]| [lines, &more].concat();
        let consumer = after(row.consumer, ["OUT request", "IN response"]);
        let provider = after(row.provider, ["IN request", "OUT response"]);
        self.lines_are(&consumer, &provider)?;
        self.stop_both().await
    }

    /// Calls, and sees the server stop; says what the caller gets.
    async fn stop_in(&mut self, row: &Row) -> anyhow::Result<Got> {
        let caller = Consumer::of(&self.world.consumer);
        let call = tokio::spawn(async move { caller.look_up().await });
        let arrival = self.gate.asked() + 1;
        match row.when {
            When::Step(_) => {
                let stopping = self.slot(row.side).take().context("it runs")?;
                stopping.aborted().await?;
                Ok(Got::of(&call.await?))
            }
            When::Working => {
                self.gate.arrival(arrival).await?;
                self.slot(row.side)
                    .take()
                    .context("it runs")?
                    .kill()
                    .await?;
                let got = Got::of(&call.await?);
                if row.side == Side::Consumer {
                    // The provider's server notices, and closes what nobody waits for any more.
                    until(async || self.provider_has(row)).await?;
                }
                self.gate.open();
                Ok(got)
            }
        }
    }

    fn provider_has(&self, row: &Row) -> anyhow::Result<()> {
        let lines = self.logs()?.1.lines(self.held.1.len());
        ensure!(lines == row.provider, "the provider's ledger has {lines:?}");
        Ok(())
    }

    /// Starts both, the one that the row stops with its abort; nothing but that adds to a ledger.
    async fn start_both(&mut self, row: Option<&Row>) -> anyhow::Result<()> {
        if row.is_some_and(|row| row.when == When::Working) {
            self.gate.close();
        }
        for side in [Side::Provider, Side::Consumer] {
            self.start(side, row).await?;
        }
        self.lines_are(&[], &[]).context("a second start")
    }

    async fn start(&mut self, side: Side, row: Option<&Row>) -> anyhow::Result<()> {
        let abort_at = match row {
            Some(Row {
                when: When::Step(step),
                side: stops,
                ..
            }) if *stops == side => Some(*step),
            _ => None,
        };
        let launch = Launch {
            abort_at,
            ..Launch::of(Path::new(SERVER))
        };
        let started = launch.start(self.site(side)).await?;
        *self.slot(side) = Some(started);
        Ok(())
    }

    /// Stops both well and checks every byte they leave, and one ledger against the other.
    async fn stop_both(&mut self) -> anyhow::Result<()> {
        for side in [Side::Consumer, Side::Provider] {
            if let Some(server) = self.slot(side).take() {
                server.stop().await?;
            }
            let site = self.site(side);
            Log::verify(&real(), &site.dir.join("data"), site)?;
        }
        let logs = self.logs()?;
        check_pair(&logs.0, &logs.1, self.gate.asked(), &[])?;
        self.held = logs;
        Ok(())
    }

    /// Whether the ledgers grew by just these lines since all was last quiet.
    fn lines_are(&self, consumer: &[&str], provider: &[&str]) -> anyhow::Result<()> {
        let logs = self.logs()?;
        let lines = (
            logs.0.lines(self.held.0.len()),
            logs.1.lines(self.held.1.len()),
        );
        ensure!(
            lines.0 == consumer,
            "the consumer's ledger has {:?}",
            lines.0
        );
        ensure!(
            lines.1 == provider,
            "the provider's ledger has {:?}",
            lines.1
        );
        Ok(())
    }

    fn logs(&self) -> anyhow::Result<(Log, Log)> {
        let read = |site: &Site| Log::read(&real(), &site.dir.join("data"));
        Ok((read(&self.world.consumer)?, read(&self.world.provider)?))
    }

    const fn site(&self, side: Side) -> &Site {
        match side {
            Side::Consumer => &self.world.consumer,
            Side::Provider => &self.world.provider,
        }
    }

    const fn slot(&mut self, side: Side) -> &mut Option<ServerProcess> {
        match side {
            Side::Consumer => &mut self.consumer,
            Side::Provider => &mut self.provider,
        }
    }
}

fn real() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

const SERVER: &str = env!("CARGO_BIN_EXE_walk-server");
