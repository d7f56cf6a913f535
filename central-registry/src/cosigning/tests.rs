use std::sync::Arc;

use entente_clock::ManualClock;
use entente_directory::{Author, Change, ChangeHeader, SignedChange, State};
use entente_follow::witness::{KnownLogs, Witness, WitnessConfig, WitnessLimits, serve};
use entente_ledger::disk::RealDisk;
use entente_ledger::note::{NoteKey, WitnessKey};
use entente_ledger::{Append, Ledger, LedgerConfig, NoCompanion, Runner, cosignature};
use entente_signing::{Ed25519Key, P256Key, Signer};
use entente_tls::net::{Endpoint, TokioNet};
use tokio::task::JoinHandle;

use super::*;

const ORIGIN: &str = "registry.ca-demo/changes";

#[derive(Debug)]
struct One(NoteKey);

impl KnownLogs for One {
    fn keys(&self, _origin: &str, _size: u64) -> Vec<NoteKey> {
        vec![self.0.clone()]
    }
}

struct Onlooker {
    key: WitnessKey,
    serving: JoinHandle<()>,
    at: Endpoint,
}

struct Scene {
    dir: tempfile::TempDir,
    clock: ManualClock,
    log: Arc<dyn Signer>,
    registrar: P256Key,
    record: Arc<Record>,
}

impl Scene {
    fn set() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: ManualClock::at(Timestamp::from_millis(1_795_305_600_000)),
            log: Arc::new(Ed25519Key::generate().unwrap()),
            registrar: P256Key::generate().unwrap(),
            record: Arc::new(Record::new()),
        }
    }

    fn key(&self) -> NoteKey {
        NoteKey::new(ORIGIN, self.log.verifying_key().clone()).unwrap()
    }

    async fn onlooker(&self, name: &str, at: &Endpoint) -> Onlooker {
        let listener = TokioNet.listen(at).await.unwrap();
        let at = listener.endpoint().clone();
        let witness = Witness::open(WitnessConfig {
            name: name.to_owned(),
            signer: Arc::new(Ed25519Key::generate().unwrap()),
            dir: self.dir.path().join(name),
            disk: Arc::new(RealDisk),
            clock: Arc::new(self.clock.clone()),
            logs: Arc::new(One(self.key())),
        });
        let witness = witness.unwrap();
        let key = witness.key().clone();
        let limits = WitnessLimits::default();
        let serving = serve(listener, Arc::new(witness), limits, std::future::pending());
        Onlooker {
            key,
            serving: tokio::spawn(serving),
            at,
        }
    }

    async fn ledger(&self, cosigning: &Arc<Cosigning>) -> Ledger {
        let mut config = LedgerConfig::new(
            self.dir.path().join("ledger"),
            ORIGIN,
            Arc::clone(&self.log),
            Arc::new(RealDisk),
            Box::new(NoCompanion),
            Arc::new(self.clock.clone()),
        );
        config.cosigner = Some(Arc::clone(cosigning) as Arc<dyn Cosigner>);
        Ledger::open(config, Runner::Thread).await.unwrap()
    }

    /// One change that asks for these witnesses, in the ledger and in the record.
    async fn ask_for(&self, index: u64, ledger: &Ledger, witnesses: &WitnessPolicy) {
        let policy = Policy {
            registry_witnesses: witnesses.clone(),
            ..Policy::usual()
        };
        let header = ChangeHeader {
            registry: ORIGIN.to_owned(),
            author: Author::Registrar,
            sequence: index + 1,
            previous: None,
            not_after: self.clock.now().saturating_add(Duration::from_secs(60)),
        };
        let change = Change::Policy(policy);
        let change = SignedChange::sign(&self.registrar, &header, &change).unwrap();
        self.append(ledger).await;
        self.record.note(index, &change, State::empty());
    }

    async fn append(&self, ledger: &Ledger) {
        let entry = "an entry".into();
        let attachment = None;
        ledger.append(Append { entry, attachment }).await.unwrap();
    }
}

impl Onlooker {
    fn policy(&self) -> WitnessPolicy {
        let text = format!("witness w {} http://{}\nquorum w\n", self.key, self.at);
        text.parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_witnesses_take_over_only_when_both_have_cosigned_one_checkpoint() {
    let scene = Scene::set();
    let first = scene.onlooker("first", &Endpoint::loopback()).await;
    // Its address is known, and nobody is there yet.
    let second = scene.onlooker("second", &Endpoint::loopback()).await;
    let at = second.at.clone();
    let wanted = second.policy();
    second.serving.abort();
    let _ = second.serving.await;

    let clock = Arc::new(scene.clock.clone());
    let cosigning = Cosigning::new(Arc::new(TokioNet), clock, WitnessPolicy::default());
    let cosigning = Arc::new(cosigning);
    let passages = scene.dir.path().join("passage");
    let passages = Passages::open(Arc::new(RealDisk), &passages, &scene.key()).unwrap();
    let passages = Arc::new(passages);
    let ledger = scene.ledger(&cosigning).await;
    scene.ask_for(0, &ledger, &first.policy()).await;
    let record = Arc::clone(&scene.record);
    let key = scene.key();
    let begun = cosigning.begin(record, Arc::clone(&passages), (ORIGIN, &key), None, 1);
    begun.await.unwrap();

    let finality = || ledger.finality().borrow().as_ref().map(|held| held.size());
    ledger.publish_now().await.unwrap();
    assert_eq!((finality(), passages.newest()), (Some(1), 1));

    scene.ask_for(1, &ledger, &wanted).await;
    let short = ledger.publish_now().await.unwrap();
    assert_eq!(
        (short.size(), finality(), passages.newest()),
        (2, Some(1), 1)
    );
    cosignature::verify(&short, &first.key).unwrap();

    // Under the key that the policy names it would have to be started again; so another policy, and the one
    // in between, that nobody can meet, does not stand in the way.
    let second = scene.onlooker("second-again", &at).await;
    scene.ask_for(2, &ledger, &second.policy()).await;
    let both = ledger.publish_now().await.unwrap();
    assert_eq!((finality(), passages.newest()), (Some(3), 3));
    for key in [&first.key, &second.key] {
        cosignature::verify(&both, key).unwrap();
    }
    // Whoever was away is led over both.
    assert_eq!(passages.after(0).unwrap().size(), 1);
    assert_eq!(passages.after(1).unwrap().size(), 3);

    first.serving.abort();
    scene.append(&ledger).await;
    let newest = ledger.publish_now().await.unwrap();
    assert_eq!(
        (newest.size(), finality(), passages.newest()),
        (4, Some(4), 3)
    );
    cosignature::verify(&newest, &second.key).unwrap();
    ledger.shutdown().await.unwrap();
}
