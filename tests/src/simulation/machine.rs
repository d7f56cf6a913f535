//! A machine: its folder, its disk, its clock, and the program that runs on it from one loss of power to the
//! next.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entente_agreement::lifecycle::State as Lifecycle;
use entente_central_registry as registry;
use entente_clock::{Clock, Timestamp};
use entente_directory::{Federation, Standing};
use entente_follow::Directories;
use entente_ledger::Runner;
use entente_ledger::note::WitnessKey;
use entente_oversight::witness;
use entente_proto::status::Told;
use entente_reason::Reason;
use entente_security_server as security;
use entente_testkit::MemDisk;
use entente_testkit::net::SimNet;
use entente_tls::net::{Endpoint, Net};
use tonic::Status;

use super::cast::{Machine, Pair};
use super::truth::{Accepted, Moment, Outcome, Truth};
use crate::world::{Consumer, METHOD, Source, answer, lookup};

/// The right time, which may be moved for everybody at once. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct WorldClock {
    /// What turmoil says, in microseconds; for threads that are none of its.
    elapsed: Arc<AtomicU64>,
    /// Milliseconds that passed at once.
    passed: Arc<AtomicU64>,
}

/// One machine's clock: the right time, and how wrong it is.
#[derive(Clone, Debug)]
struct OwnClock {
    world: WorldClock,
    wrong_by: Arc<AtomicI64>,
}

/// A machine of the simulation. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// Which.
    pub machine: Machine,
    /// Its folder of configuration and keys, on the real disk.
    pub dir: PathBuf,
    pub(super) world: WorldClock,
    pub(super) truth: Arc<Mutex<Truth>>,
    wrong_by: Arc<AtomicI64>,
    disk: Arc<Mutex<MemDisk>>,
    /// How often it was on.
    boots: Arc<AtomicU64>,
    running: Arc<Mutex<Option<Program>>>,
}

/// What runs on a machine.
#[derive(Clone, Debug)]
enum Program {
    Registry(Arc<registry::Running>),
    Server(Arc<security::Running>),
    Witness(Arc<witness::Running>),
}

/// The directories a server held, newest last, each with when it began.
type History = Arc<Mutex<VecDeque<(Duration, Federation)>>>;

/// The time at which every simulation begins.
const BEGINNING: &str = "2026-11-22T12:00:00Z";

/// How long a directory counts as held after another took its place: a decision may be under way.
const HELD: Duration = Duration::from_secs(1);

/// Between a consumer's calls, and how long it waits for an answer.
const EVERY: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(4);

/// Before a program that did not start is started again.
const AGAIN: Duration = Duration::from_secs(1);

// === impl WorldClock ===

impl WorldClock {
    /// Since the simulation began.
    pub(super) fn elapsed(&self) -> Duration {
        let told = Duration::from_micros(self.elapsed.load(Ordering::SeqCst));
        turmoil::sim_elapsed().unwrap_or(told)
    }

    /// What turmoil says now.
    pub(super) fn tell(&self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.elapsed.store(micros, Ordering::SeqCst);
    }

    /// Lets time pass at once.
    pub(super) fn pass(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.passed.fetch_add(millis, Ordering::SeqCst);
    }

    /// Now.
    pub(super) fn moment(&self) -> Moment {
        let elapsed = self.elapsed();
        let beginning: Timestamp = BEGINNING.parse().expect("a time");
        let passed = Duration::from_millis(self.passed.load(Ordering::SeqCst));
        Moment {
            elapsed,
            time: beginning.saturating_add(passed + elapsed),
        }
    }
}

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        self.moment().time
    }
}

impl Clock for OwnClock {
    fn now(&self) -> Timestamp {
        let wrong_by = self.wrong_by.load(Ordering::SeqCst);
        let by = Duration::from_secs(wrong_by.unsigned_abs());
        match wrong_by {
            ..0 => self.world.now().saturating_sub(by),
            0.. => self.world.now().saturating_add(by),
        }
    }
}

// === impl Host ===

impl Host {
    /// A machine that was never on.
    pub(super) fn new(
        machine: Machine,
        root: &std::path::Path,
        world: &WorldClock,
        truth: &Arc<Mutex<Truth>>,
    ) -> Self {
        Self {
            machine,
            dir: root.join(machine.host()),
            world: world.clone(),
            truth: truth.clone(),
            wrong_by: Arc::default(),
            disk: Arc::default(),
            boots: Arc::default(),
            running: Arc::default(),
        }
    }

    /// Its clock.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(OwnClock {
            world: self.world.clone(),
            wrong_by: self.wrong_by.clone(),
        })
    }

    /// Its disk as it is now.
    pub(super) fn disk(&self) -> MemDisk {
        locked(&self.disk).clone()
    }

    /// Sets its clock wrong by so many seconds.
    pub(super) fn set_clock(&self, wrong_by: i64) {
        self.wrong_by.store(wrong_by, Ordering::SeqCst);
    }

    /// Power is lost: of the disk there is what was synced.
    pub(super) fn lose_power(&self) {
        locked(&self.truth).down(self.machine, self.world.moment());
        let program = locked(&self.running).take();
        drop(program);
        let mut disk = locked(&self.disk);
        *disk = disk.crash();
    }

    /// The witness key it cosigns with, when it runs and has one.
    pub(super) fn witness(&self) -> Option<(Endpoint, WitnessKey)> {
        match &*locked(&self.running) {
            Some(Program::Registry(running)) => running.witness().cloned(),
            Some(Program::Witness(running)) => {
                Some((running.endpoint().clone(), running.key().clone()))
            }
            _ => None,
        }
    }

    /// The size of a registry that runs.
    pub(super) fn registry_size(&self) -> Option<u64> {
        match &*locked(&self.running) {
            Some(Program::Registry(running)) => Some(running.size()),
            _ => None,
        }
    }

    /// A number for the session that a server signs in, when it runs: another one for every session.
    pub(super) fn session(&self) -> Option<u64> {
        let boots = self.boots.load(Ordering::SeqCst);
        match &*locked(&self.running) {
            Some(Program::Server(running)) => Some((boots << 32) + running.sessions_begun()),
            _ => None,
        }
    }

    /// The program of the machine, from power on until it is lost; started again for as long as it does not
    /// start, as a service manager does.
    pub(super) async fn run(self, hosts: Arc<[Self]>) -> turmoil::Result {
        let net = SimNet::default();
        self.boots.fetch_add(1, Ordering::SeqCst);
        loop {
            match self.start(&net, &hosts).await {
                Ok(program) => {
                    *locked(&self.running) = Some(program);
                    break;
                }
                Err(error) => {
                    tracing::info!(machine = ?self.machine, ?error, "did not start");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        locked(&self.truth).up(self.machine, self.world.moment());
        std::future::pending().await
    }

    async fn start(&self, net: &SimNet, hosts: &Arc<[Self]>) -> anyhow::Result<Program> {
        let (disk, clock) = (Arc::new(self.disk()), self.clock());
        let shared: Arc<dyn Net> = Arc::new(net.clone());
        Ok(match self.machine {
            Machine::Federal | Machine::Province => {
                let config = entente_config::load(&self.dir.join("registry.yaml"))?;
                let deps = registry::Deps {
                    clock,
                    net: shared,
                    disk,
                    runner: Runner::Task,
                };
                let running = registry::CentralRegistry::start(config, deps).await?;
                Program::Registry(Arc::new(running))
            }
            Machine::Watch => {
                let config = witness::Config::load(&self.dir.join("witness.yaml"))?;
                let deps = witness::Deps {
                    clock,
                    net: shared,
                    disk,
                };
                Program::Witness(Arc::new(witness::Running::start(config, deps).await?))
            }
            Machine::Pensions | Machine::Vital | Machine::Health => {
                // The store is on the real disk, may be deleted at any time, and has a thread that outlives
                // the loss of power for a moment.
                let _ = std::fs::remove_dir_all(self.dir.join("data/store"));
                let config = security::Config::load(&self.dir.join("server.yaml"))?;
                let deps = security::Deps {
                    clock,
                    net: shared,
                    disk,
                    probe: Arc::new(security::NoProbe),
                    runner: Runner::Task,
                };
                let running = security::SecurityServer::start(config, deps).await?;
                let running = Arc::new(running);
                let history = self.remember(running.directories());
                self.serve(net, &running, history, hosts).await?;
                self.ask(net);
                Program::Server(running)
            }
        })
    }

    /// The directories that a server holds from now on.
    fn remember(&self, directories: Directories) -> History {
        let history = History::default();
        let (kept, world) = (history.clone(), self.world.clone());
        tokio::spawn(async move {
            let (mut news, mut home) = (directories.news(), directories.home().views());
            loop {
                news.borrow_and_update();
                home.borrow_and_update();
                let mut states = directories
                    .views()
                    .into_iter()
                    .map(|view| view.state.clone());
                if let Some(own) = states.next() {
                    let federation = Federation::new(own, states.collect());
                    let mut kept = locked(&kept);
                    kept.push_back((world.elapsed(), federation));
                    // The one in whose place the oldest of them came is still held for a while.
                    while kept
                        .get(1)
                        .is_some_and(|next| next.0 + HELD < world.elapsed())
                    {
                        kept.pop_front();
                    }
                }
                tokio::select! {
                    changed = news.changed() => if changed.is_err() { return },
                    changed = home.changed() => if changed.is_err() { return },
                }
            }
        });
        history
    }

    /// The member's system, which tells what it was asked.
    async fn serve(
        &self,
        net: &SimNet,
        running: &Arc<security::Running>,
        history: History,
        hosts: &Arc<[Self]>,
    ) -> anyhow::Result<()> {
        let (host, hosts) = (self.clone(), hosts.clone());
        let directories = running.directories();
        let source = Source::answering(answer("2026-03-04", "canary-cause"));
        let source =
            source.watched(move |client| host.accepted(client, &directories, &history, &hosts));
        source.serve_on(net, &self.dir.join("source.sock")).await
    }

    fn accepted(&self, client: &str, directories: &Directories, history: &History, hosts: &[Self]) {
        let mut pairs = Pair::ALL.into_iter();
        let pair = pairs.find(|pair| {
            pair.provider() == self.machine && pair.consumer().system().as_str() == client
        });
        let mut truth = locked(&self.truth);
        let at = self.world.moment();
        let Some(pair) = pair else {
            let unknown = format!(
                "{:?} {:?} was asked by {client:?}",
                at.elapsed, self.machine
            );
            truth.violations.push(unknown);
            return;
        };
        let now = self.clock().now();
        let history = locked(history);
        let newer = history
            .iter()
            .skip(1)
            .map(|(began, _)| *began)
            .chain([Duration::MAX]);
        let mut held = history.iter().zip(newer);
        let is_permitted = held.any(|((_, federation), until)| {
            until.saturating_add(HELD) >= at.elapsed && permits(federation, pair, now)
        });
        let registries = pair.registries().map(Machine::jurisdiction);
        let mut registries = registries.map(|jurisdiction| directories.of(&jurisdiction));
        let is_stale = registries.any(|held| held.is_none_or(|held| held.is_stale()));
        let consumer = hosts.iter().find(|host| host.machine == pair.consumer());
        truth.accept(&Accepted {
            pair,
            at,
            session: consumer.and_then(Self::session),
            is_permitted,
            is_stale,
        });
    }

    /// The member's system asks, again and again, whomever it has an agreement with.
    fn ask(&self, net: &SimNet) {
        let socket = Endpoint::Unix(self.dir.join("caller.sock"));
        let pairs = Pair::ALL.into_iter();
        for pair in pairs.filter(|pair| pair.consumer() == self.machine) {
            let (host, net) = (self.clone(), Arc::new(net.clone()));
            let system = Consumer::on(net, socket.clone());
            tokio::spawn(async move {
                let to = pair.provider().system();
                let to = [("entente-to", to.as_str())];
                loop {
                    let asked = host.world.elapsed();
                    let call = system.ask(lookup("046454286"), &to);
                    let answer = tokio::time::timeout(PATIENCE, call).await.ok();
                    let answer =
                        answer.map(|answer| answer.map(|_| ()).map_err(|status| why(&status)));
                    let known = host.world.elapsed();
                    locked(&host.truth).end(
                        pair,
                        Outcome {
                            asked,
                            known,
                            answer,
                        },
                    );
                    tokio::time::sleep(EVERY).await;
                }
            });
        }
    }
}

/// Whether a directory permits calls of a pair: what any rule book would ask, without ours.
fn permits(federation: &Federation, pair: Pair, now: Timestamp) -> bool {
    let method: entente_identity::MethodName = METHOD.parse().expect("a method");
    let service = method.service();
    let [consumer, provider] = pair.both().map(Machine::system);
    let mut agreements = federation.agreements_between(&consumer, &provider);
    let in_standing =
        |machine: Machine| federation.standing(&machine.member()) == Ok(Standing::Active);
    pair.both().into_iter().all(in_standing)
        && federation.may_cross(&consumer, &provider, &service)
        && federation.offered(&service, &provider.member(), now)
        && agreements.any(|held| federation.agreement_state(held, now) == Lifecycle::Active)
}

fn why(status: &Status) -> Reason {
    let told = Told::from_status(status).and_then(|told| Reason::parse(&told.reason));
    told.unwrap_or(Reason::PeerUnreachable)
}

pub(super) fn locked<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
