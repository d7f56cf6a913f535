//! Session keys are followed by others under load, and no exchange notices.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use entente_clock::{Clock, ManualClock, SystemClock};
use entente_evidence::proof::SignedStatement;
use entente_keys::{SessionCertificate, VerifiedSession};
use entente_ledger::entry::Body;
use entente_signing::KeyId;
use entente_tests::town::{Town, at};
use entente_tests::world::{Site, World};
use tokio::task::JoinSet;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Callers at once.
const CALLERS: usize = 8;

/// A town whose time the scenario moves.
struct Scene {
    clock: ManualClock,
    town: Town,
}

/// Calls that go on until they are told to end.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: JoinSet<Vec<String>>,
}

// === impl Scene ===

impl Scene {
    async fn begin() -> Self {
        let clock = ManualClock::at(SystemClock.now());
        let town = Town::start_with(&at(&clock)).await.unwrap();
        Self { clock, town }
    }

    /// Lets time go by while nothing is called, until both have heard from the registry again.
    async fn sleep(&self, by: Duration) {
        self.clock.advance(by);
        for running in [&self.town.consumer, &self.town.provider] {
            let directory = running.directory();
            until(|| directory.age() < MINUTE).await;
        }
    }

    fn load(&self) -> Load {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (system, stop) = (self.town.system.clone(), Arc::clone(&stop));
            let answered = Arc::clone(&answered);
            callers.spawn(async move {
                let mut failed = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    match system.look_up().await {
                        Ok(_) => drop(answered.fetch_add(1, Ordering::SeqCst)),
                        Err(status) => failed.push(status.to_string()),
                    }
                }
                failed
            });
        }
        Load {
            stop,
            answered,
            callers,
        }
    }
}

// === impl Load ===

impl Load {
    /// Until some more calls were answered.
    async fn goes_on(&self) {
        let reached = self.answered.load(Ordering::SeqCst) + 2 * CALLERS;
        until(|| self.answered.load(Ordering::SeqCst) >= reached || self.callers.is_empty()).await;
    }

    /// Ends, and says how many were answered and what failed.
    async fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::SeqCst);
        let failed = self.callers.join_all().await.concat();
        (self.answered.load(Ordering::SeqCst), failed)
    }
}

/// Looks again and again until it is so.
async fn until(reached: impl Fn() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let waiting = async {
        while !reached() {
            tick.tick().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.expect("what is waited for comes");
}

/// Sessions by key, in the order of the ledger. Every statement in it was signed by a session that
/// was logged before, by its server, and within its time.
fn sessions_before_their_use(world: &World, site: &Site) -> BTreeMap<KeyId, VerifiedSession> {
    let mut known = BTreeMap::<KeyId, VerifiedSession>::new();
    for entry in site.dated_entries().unwrap() {
        let statement = match entry.body {
            Body::Session(session) => {
                let leaf = &session.chain[0];
                let key = world.key_of(&session.server).unwrap();
                let session = SessionCertificate::verify(leaf, &key, entry.at).unwrap();
                assert!(known.insert(session.key().key_id(), session).is_none());
                continue;
            }
            Body::In(entry) => entry.statement,
            Body::Out(entry) => entry.statement,
            _ => continue,
        };
        let signed = SignedStatement::parse(statement).unwrap();
        let session = known
            .get(&signed.key_id())
            .expect("SESSION comes before use");
        signed.verify(session.key()).unwrap();
        assert_eq!(*session.server(), signed.statement().sender_server);
        session.check_time(signed.statement().issued_at).unwrap();
    }
    known
}

fn count(sessions: &BTreeMap<KeyId, VerifiedSession>, of: &Site) -> usize {
    let theirs = sessions
        .values()
        .filter(|session| *session.server() == of.server);
    theirs.count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_both_servers_are_followed_by_others_and_no_exchange_fails() {
    const DAYS: usize = 2;
    let scene = Scene::begin().await;
    let mut answered = 0;
    for day in 1..=DAYS {
        // Ten minutes before the next session is due, and then through it, with calls all the time.
        scene.sleep(22 * HOUR - 12 * MINUTE).await;
        let before = [
            scene.town.consumer.sessions_begun(),
            scene.town.provider.sessions_begun(),
        ];
        let load = scene.load();
        let rotated = || {
            let now = [
                scene.town.consumer.sessions_begun(),
                scene.town.provider.sessions_begun(),
            ];
            now.iter().zip(before).all(|(now, before)| *now > before)
        };
        let mut steps = 0;
        while !rotated() {
            scene.clock.advance(Duration::from_secs(20));
            load.goes_on().await;
            steps += 1;
            assert!(
                steps < 330,
                "no session was followed by another on day {day}"
            );
        }
        load.goes_on().await;
        let (some, failed) = load.end().await;
        assert_eq!(failed, Vec::<String>::new());
        answered += some;
    }
    let (world, _dir) = scene.town.stop().await;
    for site in [&world.consumer, &world.provider] {
        let sessions = sessions_before_their_use(&world, site);
        for of in [&world.consumer, &world.provider] {
            assert_eq!(
                count(&sessions, of),
                1 + DAYS,
                "{} of {}",
                site.server,
                of.server
            );
        }
    }
    println!("{answered} exchanges through {DAYS} changes of session on each side, none failed");
}

/// The overlap is long gone when it wakes: the first call begins the next session itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_call_after_a_long_sleep_is_answered() {
    let scene = Scene::begin().await;
    scene.town.ask().await.unwrap();
    scene.sleep(23 * HOUR + 57 * MINUTE).await;
    let calls = (0..CALLERS).map(|_| scene.town.ask());
    for answered in futures_util::future::join_all(calls).await {
        answered.unwrap();
    }
    let (world, _dir) = scene.town.stop().await;
    for site in [&world.consumer, &world.provider] {
        let sessions = sessions_before_their_use(&world, site);
        assert_eq!(sessions.len(), 4);
    }
}

/// Whoever revokes the sessions of a server need not restart it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_sessions_are_revoked_begins_another() {
    let scene = Scene::begin().await;
    scene.town.ask().await.unwrap();
    let begun = scene.town.consumer.sessions_begun();
    scene.sleep(MINUTE).await;
    let before = scene.town.world.now().saturating_sub(MINUTE / 2);
    scene
        .town
        .world
        .revoke_sessions(&scene.town.world.consumer, before)
        .await
        .unwrap();
    until(|| scene.town.consumer.sessions_begun() > begun).await;
    scene.town.ask().await.unwrap();
    let (world, _dir) = scene.town.stop().await;
    let sessions = sessions_before_their_use(&world, &world.provider);
    assert_eq!(count(&sessions, &world.consumer), 2);
}
