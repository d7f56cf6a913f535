//! A witness of registries' ledgers, and what asks for it.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use entente_clock::{Clock as _, ManualClock};
use entente_directory::{Author, Change, Policy};
use entente_follow::Directory;
use entente_follow::witness::{KnownLogs, Witness, WitnessConfig, WitnessLimits, serve};
use entente_ledger::SignedCheckpoint;
use entente_ledger::cosignature::cosign;
use entente_ledger::disk::RealDisk;
use entente_ledger::note::{NoteKey, WitnessKey};
use entente_ledger::witness::WitnessPolicy;
use entente_signing::{Ed25519Key, Signer};
use entente_tls::net::{Endpoint, Net as _, TokioNet};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::town::Town;

/// A witness of the one ledger of a town's registry.
pub(crate) struct Onlooker {
    name: &'static str,
    dir: PathBuf,
    clock: ManualClock,
    log: NoteKey,
    signer: Arc<dyn Signer>,
    pub(crate) key: WitnessKey,
    pub(crate) endpoint: Endpoint,
    serving: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

#[derive(Debug)]
struct One(NoteKey);

// === impl Onlooker ===

impl Onlooker {
    pub(crate) async fn of(town: &Town, name: &'static str) -> Self {
        let signer: Arc<dyn Signer> = Arc::new(Ed25519Key::generate().unwrap());
        let mut onlooker = Self {
            name,
            dir: town.folder(name),
            clock: town.clock.clone(),
            log: town.anchor.ledger.clone(),
            key: WitnessKey::new(name, signer.verifying_key().clone()).unwrap(),
            signer,
            endpoint: Endpoint::loopback(),
            serving: None,
        };
        onlooker.start().await;
        onlooker
    }

    /// Starts it, again where it was.
    pub(crate) async fn start(&mut self) {
        let witness = Witness::open(WitnessConfig {
            name: self.name.to_owned(),
            signer: self.signer.clone(),
            dir: self.dir.join("data"),
            disk: Arc::new(RealDisk),
            clock: Arc::new(self.clock.clone()),
            logs: Arc::new(One(self.log.clone())),
        });
        let witness = witness.unwrap();
        let listener = TokioNet.listen(&self.endpoint).await.unwrap();
        self.endpoint = listener.endpoint().clone();
        self.key = witness.key().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = serve(
            listener,
            Arc::new(witness),
            WitnessLimits::default(),
            async {
                let _ = stopped.await;
            },
        );
        self.serving = Some((stop, tokio::spawn(serving)));
    }

    pub(crate) async fn stop(&mut self) {
        let (stop, serving) = self.serving.take().unwrap();
        drop(stop);
        serving.await.unwrap();
    }

    /// A policy that asks for it alone.
    pub(crate) fn policy(&self) -> WitnessPolicy {
        alone(&self.key, &self.endpoint)
    }

    /// Cosigns whatever it is shown, as a witness in league with the registry.
    pub(crate) fn cosign_blindly(&self, note: &[u8]) -> Bytes {
        let mut checkpoint = SignedCheckpoint::verify(note, &self.log).unwrap();
        let now = self.clock.now();
        let line = cosign(&checkpoint, now, self.key.name(), &*self.signer).unwrap();
        checkpoint.add(line);
        checkpoint.note().to_string().into()
    }

    /// What it keeps as evidence against the ledger.
    pub(crate) fn evidence(&self) -> usize {
        let kept = std::fs::read_dir(self.dir.join("data/evidence")).unwrap();
        kept.count()
    }

    /// What it has cosigned of the ledger.
    pub(crate) fn has_seen(&self) -> SignedCheckpoint {
        let origin = entente_signing::Digest::of(self.log.name().as_bytes());
        let path = self.dir.join("data/log").join(origin.to_string());
        let note = std::fs::read(path).unwrap();
        SignedCheckpoint::verify(&note, &self.log).unwrap()
    }
}

impl KnownLogs for One {
    fn keys(&self, origin: &str, _size: u64) -> Vec<NoteKey> {
        let known = (origin == self.0.name()).then(|| self.0.clone());
        known.into_iter().collect()
    }
}

pub(crate) fn alone(key: &WitnessKey, at: &Endpoint) -> WitnessPolicy {
    let text = format!("witness w {key} http://{at}\nquorum w\n");
    text.parse().unwrap()
}

/// The policy in force but for who cosigns the registry's checkpoints.
pub(crate) fn witnessed_by(directory: &Directory, witnesses: WitnessPolicy) -> Change {
    let held = directory.view();
    Change::Policy(Policy {
        registry_witnesses: witnesses,
        ..held.state.policy().unwrap().clone()
    })
}

impl Town {
    /// From now on this witness has to cosign the registry's checkpoints.
    pub(crate) async fn trust(&self, directory: &Directory, witnesses: WitnessPolicy) {
        let change = witnessed_by(directory, witnesses);
        let (author, key) = (Author::Registrar, &*self.registrar);
        let put = self.submit(directory, author, key, &change, Vec::new());
        put.await.unwrap();
    }
}
