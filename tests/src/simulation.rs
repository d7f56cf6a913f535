//! A federation under simulated time and network: real registries, servers and a witness, on machines that lose
//! power, behind lines that are cut, with clocks that are wrong, while people suspend and revoke.
//!
//! What is random comes of a seed: what happens ([`ops_of`]), how long messages take, which come first. Keys and
//! TLS are real, and files are written where threads of their own do it, so a run's times may differ by
//! milliseconds from another's of the same seed.
//!
//! Two things are asked of each run (`truth`): that no call is accepted that the directory held by the server
//! does not permit, nor after its validity, nor five seconds after it could have heard of a denial; and that,
//! once everything is whole and permitted again, calls are answered.

mod cast;
mod desk;
mod founding;
mod machine;
mod op;
mod truth;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{anyhow, ensure};
use entente_directory::Change;
use entente_reason::Reason;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use tokio::sync::mpsc;

use desk::Desk;
use machine::{Host, WorldClock, locked};
use op::ops;
use truth::{Denial, Truth, WITHIN};

pub use cast::{Machine, Pair};
pub use op::Op;

/// What a run came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Calls accepted.
    pub accepted: usize,
    /// Of them, by a server that could not hear a registry they rest on.
    pub accepted_alone: usize,
    /// Calls refused although only the provider's server could know why.
    pub refused_by_provider: usize,
    /// Refusals by reason.
    pub refused: BTreeMap<Reason, usize>,
    /// What was done of what was to happen.
    pub done: usize,
    /// Simulated time.
    pub elapsed: Duration,
}

/// What only the simulation itself can do to a machine.
#[derive(Clone, Copy, Debug)]
enum Power {
    Off(Machine),
    On(Machine),
}

/// Runs what happens, in order.
#[derive(Debug)]
struct Course {
    hosts: Arc<[Host]>,
    world: WorldClock,
    truth: Arc<Mutex<Truth>>,
    desk: Desk,
    power: mpsc::UnboundedSender<Power>,
    report: Arc<Mutex<Report>>,
}

/// The longest a simulation may take, in its own time.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How long everything may take at the beginning, and how long until calls are answered at the end.
const SOON: Duration = Duration::from_secs(60);
const RECOVERED: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

/// What happens under a seed.
pub fn ops_of(seed: u64, many: usize) -> Vec<Op> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Default::default(), random);
    let tree = ops(many).new_tree(&mut runner);
    tree.map(|tree| tree.current()).unwrap_or_default()
}

/// Lets `ops` happen to a new federation, on a network whose delays come of `seed`.
///
/// # Errors
/// When something happened that must not, or did not that must.
pub fn run(seed: u64, ops: &[Op]) -> anyhow::Result<Report> {
    let dir = tempfile::tempdir()?;
    let world = WorldClock::default();
    let truth = Arc::new(Mutex::new(Truth::new()));
    let hosts = Machine::ALL.map(|machine| Host::new(machine, dir.path(), &world, &truth));
    let hosts: Arc<[Host]> = hosts.into();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let mut founded = Vec::new();
    for host in hosts.iter() {
        if Machine::REGISTRIES.contains(&host.machine) {
            let made = runtime.block_on(founding::found(host, dir.path()))?;
            founded.push((host.machine, made));
        } else {
            founding::lay_out(host)?;
        }
    }
    drop(runtime);

    let mut sim = turmoil::Builder::new()
        .simulation_duration(LONGEST)
        .tick_duration(Duration::from_millis(2))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .tcp_capacity(1 << 16)
        .rng_seed(seed)
        .enable_tokio_io()
        .build();
    for host in hosts.iter() {
        let (host, hosts) = (host.clone(), hosts.clone());
        sim.host(host.machine.host(), move || host.clone().run(hosts.clone()));
    }
    let (power, mut switched) = mpsc::unbounded_channel();
    let report = Arc::new(Mutex::new(Report::default()));
    {
        let (world, truth, report) = (world.clone(), truth.clone(), report.clone());
        let (hosts, ops) = (hosts.clone(), ops.to_vec());
        sim.client("desk", async move {
            let desk = Desk::open(&world, hosts.clone(), founded).await?;
            let mut course = Course {
                hosts,
                world,
                truth,
                desk,
                power,
                report,
            };
            course.begin().await?;
            for op in ops {
                let done = course.happen(op).await?;
                locked(&course.report).done += usize::from(done);
            }
            course.end().await?;
            Ok(())
        });
    }
    loop {
        let is_over = sim
            .step()
            .map_err(|error| anyhow!("seed {seed}: {error:?}"))?;
        world.tell(sim.elapsed());
        while let Ok(power) = switched.try_recv() {
            match power {
                Power::Off(machine) => {
                    sim.crash(machine.host());
                    host(&hosts, machine).lose_power();
                }
                Power::On(machine) => sim.bounce(machine.host()),
            }
        }
        let truth = locked(&truth);
        ensure!(
            truth.violations.is_empty(),
            "seed {seed}: {:#?}",
            truth.violations
        );
        drop(truth);
        if is_over {
            break;
        }
    }
    let mut report = std::mem::take(&mut *locked(&report));
    let truth = locked(&truth);
    report.elapsed = sim.elapsed();
    report.accepted = truth.accepted;
    report.accepted_alone = truth.accepted_alone;
    report.refused_by_provider = truth.refused_by_provider;
    let outcomes = Pair::ALL.into_iter().flat_map(|pair| truth.outcomes(pair));
    for reason in outcomes.filter_map(|outcome| outcome.answer?.err()) {
        *report.refused.entry(reason).or_default() += 1;
    }
    Ok(report)
}

fn host(hosts: &[Host], machine: Machine) -> &Host {
    let mut hosts = hosts.iter();
    hosts
        .find(|host| host.machine == machine)
        .expect("every machine is there")
}

// === impl Course ===

impl Course {
    /// Registers everything, and waits until every pair has exchanged.
    async fn begin(&mut self) -> anyhow::Result<()> {
        let registries = [Machine::Federal, Machine::Province, Machine::Watch];
        self.until("the registries to serve", SOON, |truth| {
            registries.into_iter().all(|machine| truth.is_up(machine))
        })
        .await?;
        self.desk.set_up().await?;
        self.answered(SOON).await
    }

    /// Lets one thing happen. False when it cannot as things stand.
    async fn happen(&mut self, op: Op) -> anyhow::Result<bool> {
        let at = self.world.moment();
        tracing::info!(?op, elapsed = ?at.elapsed);
        match op {
            Op::Suspend(member) => self.deny(Denial::Member(member)).await,
            Op::Resume(member) => self.permit(Denial::Member(member)).await,
            Op::SuspendAgreement(pair) => self.deny(Denial::Agreement(pair)).await,
            Op::RevokeAgreement(pair) => self.revoke(pair).await,
            Op::ResumeAgreement(pair) => self.permit(Denial::Agreement(pair)).await,
            Op::AgreeAnew(pair) => self.agree_anew(pair).await,
            Op::SuspendRecognition(by) => self.deny(Denial::Recognition(by)).await,
            Op::ResumeRecognition(by) => self.permit(Denial::Recognition(by)).await,
            Op::RevokeSessions(server) => {
                let Some(session) = host(&self.hosts, server).session() else {
                    return Ok(false);
                };
                self.deny(Denial::Session(server, session)).await
            }
            Op::Cut(one, other) if one != other => {
                turmoil::partition(one.host(), other.host());
                locked(&self.truth).cut(one, other, at);
                Ok(true)
            }
            Op::Mend(one, other) if one != other => {
                turmoil::repair(one.host(), other.host());
                locked(&self.truth).mend(one, other, at);
                Ok(true)
            }
            Op::Cut(..) | Op::Mend(..) => Ok(false),
            Op::Crash(machine) => {
                let is_up = locked(&self.truth).is_up(machine);
                if is_up {
                    self.power.send(Power::Off(machine))?;
                    let off = |truth: &Truth| !truth.is_up(machine);
                    self.until("power to be lost", SOON, off).await?;
                }
                Ok(is_up)
            }
            Op::Restart(machine) => {
                let is_down = !locked(&self.truth).is_up(machine);
                if is_down {
                    self.power.send(Power::On(machine))?;
                }
                Ok(is_down)
            }
            Op::SetClock(machine, by) => {
                host(&self.hosts, machine).set_clock(by);
                Ok(true)
            }
            Op::Pass(minutes) => {
                self.world
                    .pass(Duration::from_secs(u64::from(minutes) * 60));
                locked(&self.truth).pass(at);
                Ok(true)
            }
            Op::Wait(millis) => {
                tokio::time::sleep(Duration::from_millis(millis.into())).await;
                Ok(true)
            }
        }
    }

    /// Everything is made whole, and five seconds later every denial holds everywhere; then all is permitted,
    /// and calls are answered.
    async fn end(&mut self) -> anyhow::Result<()> {
        let cuts = locked(&self.truth).cuts();
        for (one, other) in cuts {
            self.happen(Op::Mend(one, other)).await?;
        }
        for machine in Machine::ALL {
            self.happen(Op::SetClock(machine, 0)).await?;
            self.happen(Op::Restart(machine)).await?;
        }
        self.until("every machine to serve", SOON, |truth| {
            Machine::ALL.into_iter().all(|machine| truth.is_up(machine))
        })
        .await?;
        let healed = self.world.elapsed();
        // Time enough for a call that began after every server had its five seconds.
        tokio::time::sleep(WITHIN * 2).await;
        for pair in Pair::ALL {
            let truth = locked(&self.truth);
            let began = healed + WITHIN;
            let mut late = truth.outcomes(pair).iter().filter(|it| it.asked > began);
            let answered = late.find(|outcome| outcome.answer == Some(Ok(())));
            let is_denied = truth.denies(pair);
            ensure!(
                !is_denied || answered.is_none(),
                "{pair:?} is denied, and answered: {answered:?}"
            );
        }
        for denial in Machine::SERVERS
            .map(Denial::Member)
            .into_iter()
            .chain(Machine::REGISTRIES.map(Denial::Recognition))
        {
            self.permit_surely(denial).await?;
        }
        for pair in Pair::ALL {
            if locked(&self.truth).is_denied(Denial::Agreement(pair)) {
                ensure!(self.desk.agree(pair).await?, "{pair:?} is not agreed");
                locked(&self.truth).permit(Denial::Agreement(pair));
            }
        }
        self.answered(RECOVERED).await
    }

    /// Waits until every pair was answered that asked from now on.
    async fn answered(&self, within: Duration) -> anyhow::Result<()> {
        let from = self.world.elapsed();
        for pair in Pair::ALL {
            let what = format!("{pair:?} to be answered");
            let waited = self.until(&what, within, |truth| {
                let mut outcomes = truth.outcomes(pair).iter().rev();
                outcomes.any(|it| it.asked >= from && it.answer == Some(Ok(())))
            });
            if let Err(error) = waited.await {
                let truth = locked(&self.truth);
                let last = truth.outcomes(pair).iter().rev().take(5);
                let last: Vec<_> = last.collect();
                return Err(error.context(format!("last: {last:?}")));
            }
        }
        Ok(())
    }

    /// Has a registry accept a denial.
    async fn deny(&self, denial: Denial) -> anyhow::Result<bool> {
        let Some(registry) = self.may_act(denial, false).await else {
            return Ok(false);
        };
        let is_done = match denial {
            Denial::Member(member) => self.desk.stand(member, true).await?,
            Denial::Recognition(_) => self.desk.trust(registry, true).await?,
            Denial::Session(server, _) => self.desk.revoke_sessions(server).await?,
            Denial::Agreement(pair) => self.desk.act(pair, Change::AgreementSuspend).await?,
        };
        if is_done {
            locked(&self.truth).deny(denial, self.world.elapsed());
        }
        Ok(is_done)
    }

    async fn revoke(&self, pair: Pair) -> anyhow::Result<bool> {
        let denial = Denial::Agreement(pair);
        if self.may_act(denial, false).await.is_none() {
            return Ok(false);
        }
        let is_done = self.desk.act(pair, Change::AgreementRevoke).await?;
        if is_done {
            locked(&self.truth).deny(denial, self.world.elapsed());
        }
        Ok(is_done)
    }

    /// Has a registry take a denial back.
    async fn permit(&self, denial: Denial) -> anyhow::Result<bool> {
        let Some(registry) = self.may_act(denial, true).await else {
            return Ok(false);
        };
        // Before it is asked: from here on it may be so.
        let since = locked(&self.truth).permit(denial);
        let is_done = match denial {
            Denial::Member(member) => self.desk.stand(member, false).await?,
            Denial::Recognition(_) => self.desk.trust(registry, false).await?,
            // One that was revoked is not resumed: the registry says so, and it stays denied.
            Denial::Agreement(pair) => self.desk.act(pair, Change::AgreementResume).await?,
            Denial::Session(..) => false,
        };
        if let (false, Some(since)) = (is_done, since) {
            locked(&self.truth).deny(denial, since);
        }
        Ok(is_done)
    }

    async fn permit_surely(&self, denial: Denial) -> anyhow::Result<()> {
        let from = self.world.elapsed();
        while locked(&self.truth).is_denied(denial) {
            self.permit(denial).await?;
            ensure!(self.world.elapsed() < from + SOON, "{denial:?} stays");
        }
        Ok(())
    }

    async fn agree_anew(&mut self, pair: Pair) -> anyhow::Result<bool> {
        let denial = Denial::Agreement(pair);
        for registry in pair.both().map(Machine::registry) {
            if !locked(&self.truth).is_up(registry) || !self.desk.has_all(registry).await {
                return Ok(false);
            }
        }
        if self.may_act(denial, true).await.is_none() {
            return Ok(false);
        }
        let since = locked(&self.truth).permit(denial);
        let is_done = self.desk.agree(pair).await?;
        if let (false, Some(since)) = (is_done, since) {
            locked(&self.truth).deny(denial, since);
        }
        Ok(is_done)
    }

    /// The registry in which a denial is to be, when it can be asked, and the denial is there or not as wanted.
    async fn may_act(&self, denial: Denial, is_denied: bool) -> Option<Machine> {
        let registry = match denial {
            Denial::Member(member) => member.registry(),
            Denial::Agreement(pair) => pair.provider().registry(),
            Denial::Recognition(by) => by,
            Denial::Session(server, _) => server.registry(),
        };
        let (is_up, is) = {
            let truth = locked(&self.truth);
            (truth.is_up(registry), truth.is_denied(denial))
        };
        (is_up && is == is_denied && self.desk.has_all(registry).await).then_some(registry)
    }

    async fn until(
        &self,
        what: &str,
        within: Duration,
        holds: impl Fn(&Truth) -> bool,
    ) -> anyhow::Result<()> {
        let until = self.world.elapsed() + within;
        while !holds(&locked(&self.truth)) {
            ensure!(self.world.elapsed() < until, "waited for {what}");
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}
