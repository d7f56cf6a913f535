//! The process of `cargo xtask bench revocation`: how long a revocation takes to hold.
//!
//! A federation with a province runs in this process, over TLS and real files. What is revoked is revoked the way
//! the commands do it; a consumer asks all the while, one call after the other. Timed from before the act is
//! signed: until the provider's server holds it (`held_ms`), and until the first call that is refused was asked
//! (`refused_ms`).

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use entente_agreement::AgreementId;
use entente_agreement::lifecycle::State as Lifecycle;
use entente_clock::Clock as _;
use entente_directory::Standing;
use entente_follow::{Directory, View};
use entente_ledger_bench::Measured;
use entente_reason::{Lang, Reason};
use entente_sandbox::{
    AGENCIES, Agency, AskError, Door, FEDERAL, Federation, HEALTH, Layout, Options, Question,
    Realm, Registrar,
};
use tokio::time::Instant;

/// The product's own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Who answers, and who asks: at home and across.
const PROVIDER: &Agency = &AGENCIES[0];
const CONSUMER: &Agency = &AGENCIES[1];
const ABROAD: &Agency = &HEALTH;

/// A federation, and the ways of two consumers to it.
struct Bench {
    layout: Layout,
    federation: Federation,
    home: Door,
    across: Door,
    question: Question,
}

/// Longer than anything here takes: six times what a revocation may.
const LONG: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, rounds] = &words[..] else {
        bail!("bench-revocation FOLDER ROUNDS");
    };
    let rounds: usize = rounds.parse().context(rounds.clone())?;
    let bench = Bench::build(Path::new(folder)).await?;
    let mut out = std::io::stdout();
    for _ in 0..rounds {
        for measured in bench.round().await? {
            // Whoever wanted to read this is gone when it fails, and the next line ends us.
            let _ = writeln!(out, "{}", measured.line()).and_then(|()| out.flush());
        }
    }
    bench.federation.shutdown().await?;
    Ok(())
}

// === impl Bench ===

impl Bench {
    async fn build(folder: &Path) -> anyhow::Result<Self> {
        let layout = Layout::of(folder);
        layout.prepare()?;
        let options = Options {
            usual_ports: false,
            ..Options::default()
        };
        let mut federation = Federation::build(&layout, options, &mut |_| {}).await?;
        federation.add_provinces(&mut |_| {}).await?;
        let mut question = Question::new(PROVIDER.system(), METHOD.parse()?, body());
        question.purpose = Some("PROGRAM_ADMINISTRATION".parse()?);
        question.user = Some("u-7f3a".to_owned());
        question.case = Some("GIS-2026-5521".to_owned());
        let bench = Self {
            home: federation.door(CONSUMER)?,
            across: federation.door(ABROAD)?,
            layout,
            federation,
            question,
        };
        bench.answered(&bench.home).await?;
        bench.answered(&bench.across).await?;
        Ok(bench)
    }

    /// Each kind of revocation once, and taken back.
    async fn round(&self) -> anyhow::Result<Vec<Measured>> {
        let began = Instant::now();
        self.ask(&self.home).await?;
        let mut measured = vec![Measured::new("exchange", "ms", "ms", ms(began.elapsed()))];
        measured.extend(self.member().await?);
        measured.extend(self.agreement().await?);
        measured.extend(self.recognition().await?);
        measured.push(self.sessions().await?);
        Ok(measured)
    }

    async fn member(&self) -> anyhow::Result<[Measured; 2]> {
        let registrar = self.registrar(&FEDERAL).await?;
        let member = CONSUMER.member();
        let act = async {
            let standing = Standing::Suspended;
            registrar.stand(&member, standing, None).await?;
            Ok(())
        };
        let held = |view: &View| view.state.standing(&member) == Some(Standing::Suspended);
        let measured = self
            .revoke("member", act, held, &self.home, Reason::MemberSuspended)
            .await?;
        registrar.stand(&member, Standing::Active, None).await?;
        registrar.close().await;
        self.answered(&self.home).await?;
        Ok(measured)
    }

    async fn agreement(&self) -> anyhow::Result<[Measured; 2]> {
        let office = self.federation.office(PROVIDER).await?;
        let agreement = self.agreement_with(CONSUMER)?;
        let act = async {
            office.suspend(agreement, None).await?;
            Ok(())
        };
        let held = |view: &View| {
            let record = view.state.agreement(&agreement);
            let now = entente_clock::SystemClock.now();
            record.map(|it| view.state.agreement_state(it, now)) == Some(Lifecycle::Suspended)
        };
        let reason = Reason::AgreementSuspended;
        let measured = self
            .revoke("agreement", act, held, &self.home, reason)
            .await?;
        office.resume(agreement, None).await?;
        office.close().await;
        self.answered(&self.home).await?;
        Ok(measured)
    }

    async fn recognition(&self) -> anyhow::Result<[Measured; 2]> {
        let registrar = self.registrar(&FEDERAL).await?;
        let jurisdiction = ABROAD.jurisdiction.parse()?;
        let act = async {
            let standing = Standing::Suspended;
            registrar.trust(&jurisdiction, standing, None).await?;
            Ok(())
        };
        let held = |view: &View| view.state.recognised(&jurisdiction).is_none();
        let reason = Reason::JurisdictionNotRecognised;
        let measured = self
            .revoke("recognition", act, held, &self.across, reason)
            .await?;
        registrar
            .trust(&jurisdiction, Standing::Active, None)
            .await?;
        registrar.close().await;
        self.answered(&self.across).await?;
        Ok(measured)
    }

    /// Of a server's sessions only when the provider holds that they are revoked: the consumer's server goes on
    /// in a new one, unasked, and its calls with it.
    async fn sessions(&self) -> anyhow::Result<Measured> {
        let office = self.federation.office(CONSUMER).await?;
        let server = CONSUMER.server();
        let directory = self.directory()?;
        let before = entente_clock::SystemClock.now();
        let issued = before.saturating_sub(Duration::from_millis(1));
        let began = Instant::now();
        let act = office.revoke_sessions(&server, Some(before));
        let held = holds(&directory, |view| {
            view.state.session_revoked(&server, issued)
        });
        let (acted, held) = tokio::join!(act, held);
        acted?;
        let held = held?.saturating_duration_since(began);
        office.close().await;
        self.answered(&self.home).await?;
        Ok(Measured::new("session", "held_ms", "ms", ms(held)))
    }

    /// Revokes, and asks until a call is refused for that reason.
    async fn revoke(
        &self,
        case: &str,
        act: impl Future<Output = anyhow::Result<()>>,
        held: impl Fn(&View) -> bool,
        door: &Door,
        reason: Reason,
    ) -> anyhow::Result<[Measured; 2]> {
        let directory = self.directory()?;
        let refused = async {
            let until = Instant::now() + LONG;
            loop {
                let asked = Instant::now();
                match door.ask(&self.question).await {
                    Ok(_) => {}
                    Err(AskError::Refused(refused)) if refused.reason == Some(reason) => {
                        return Ok(asked);
                    }
                    Err(error) => return Err(error.into()),
                }
                ensure!(asked < until, "{case}: never refused");
            }
        };
        let began = Instant::now();
        let (acted, held, refused) = tokio::join!(act, holds(&directory, held), refused);
        acted?;
        let since = |at: Instant| ms(at.saturating_duration_since(began));
        Ok([
            Measured::new(case, "held_ms", "ms", since(held?)),
            Measured::new(case, "refused_ms", "ms", since(refused?)),
        ])
    }

    async fn ask(&self, door: &Door) -> anyhow::Result<()> {
        door.ask(&self.question).await?;
        Ok(())
    }

    /// Asks until there is an answer.
    async fn answered(&self, door: &Door) -> anyhow::Result<()> {
        let until = Instant::now() + LONG;
        loop {
            match self.ask(door).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => {}
            }
        }
    }

    async fn registrar(&self, of: &Realm) -> anyhow::Result<Registrar> {
        let config = entente_config::load(&self.layout.registry_config(of))?;
        let seams = entente_sandbox::Seams::real();
        Ok(Registrar::open(&config, &seams, Lang::En).await?)
    }

    fn directory(&self) -> anyhow::Result<Directory> {
        let server = self.federation.server(PROVIDER).context("a provider")?;
        Ok(server.directory())
    }

    fn agreement_with(&self, consumer: &Agency) -> anyhow::Result<AgreementId> {
        let view = self.directory()?.view();
        let (consumer, provider) = (consumer.system(), PROVIDER.system());
        let mut between = view.state.agreements_between(&consumer, &provider);
        let agreement = between.next().map(|record| record.id());
        agreement.context("an agreement")
    }
}

/// When a directory first had a view of which this holds.
async fn holds(directory: &Directory, held: impl Fn(&View) -> bool) -> anyhow::Result<Instant> {
    let mut views = directory.views();
    let reached = views.wait_for(|view| held(view));
    tokio::time::timeout(LONG, reached).await??;
    Ok(Instant::now())
}

/// A person of the sandbox: field 1 of the contract.
fn body() -> Bytes {
    [&[1 << 3 | 2, 9][..], b"046454286"].concat().into()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

const METHOD: &str = "entente.demo.vitalevents.v1.VitalEvents/LookupDeath";
