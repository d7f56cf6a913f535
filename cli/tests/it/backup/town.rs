//! A sandbox whose roles are processes of their own, one of which is stopped, killed, and started again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{MEMBER, SERVER, SITE};
use crate::doctor::site::Serving;
use crate::run::{Ran, entente};

/// A sandbox's roles, each a process of its own.
pub(super) struct Town {
    dir: PathBuf,
    server: Option<Serving>,
    _others: Vec<Serving>,
}

impl Town {
    pub(super) fn start(dir: &Path) -> Self {
        let up = entente(dir, &["sandbox", "up"]);
        assert_eq!(up.code, 0, "{up:?}");
        assert_eq!(entente(dir, &["sandbox", "down"]).code, 0);
        // The server comes and goes, and nobody else may take its ports meanwhile.
        let yaml = fs::read_to_string(dir.join(SERVER)).unwrap();
        fs::write(dir.join(SERVER), yaml.replace("127.0.0.1:", OWN)).unwrap();
        let serve = |role: &str, file: &str, event: &str| {
            let serving = Serving::start(dir, &[role, "--config", file]);
            serving.hears(event);
            serving
        };
        let registry = "sandbox/registry/registry.yaml";
        let adapter = "sandbox/vital-events/adapter/vital-events.adapter.yaml";
        let consumer = "sandbox/pensions/security-server.yaml";
        let mut town = Self {
            dir: dir.to_owned(),
            server: None,
            _others: vec![
                serve("registry", registry, "registry.started"),
                serve("adapter", adapter, "adapter.listening"),
                serve("security-server", consumer, "server.listening"),
            ],
        };
        town.up();
        let (_, address) = yaml.split_once("127.0.0.1:").unwrap();
        let address = format!("{OWN}{}", address.lines().next().unwrap());
        let update = ["server", "update", "ca-demo/vital-events/@ss1", "--address"];
        let moved = town.run(&[&update[..], &[&address, "--config", MEMBER]].concat());
        assert_eq!(moved.code, 0, "{moved:?}");
        // Until the consumer's server has heard of it.
        let heard = (0..150).any(|_| {
            town.ask().code == 0 || {
                std::thread::park_timeout(Duration::from_millis(100));
                false
            }
        });
        assert!(heard, "{:?}", town.ask());
        town
    }

    /// Starts the provider's server.
    pub(super) fn up(&mut self) {
        let serving = Serving::start(&self.dir, &["security-server", "--config", SERVER]);
        serving.hears("server.listening");
        self.server = Some(serving);
    }

    /// Stops it well.
    pub(super) fn down(&mut self) {
        self.server.take().unwrap().stop();
    }

    /// Its machine dies.
    pub(super) fn die(&mut self) {
        drop(self.server.take());
    }

    pub(super) fn run(&self, args: &[&str]) -> Ran {
        entente(&self.dir, args)
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    /// One exchange; its transaction.
    #[track_caller]
    pub(super) fn exchange(&self) -> String {
        let ran = self.ask();
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.json()["transaction"].as_str().unwrap().to_owned()
    }

    fn ask(&self) -> Ran {
        let call = [
            "call",
            "ca-demo/vital-events/registry",
            "entente.demo.vitalevents.v1.VitalEvents/LookupDeath",
            "-d",
            r#"{"person_number": "046454286"}"#,
            "--purpose",
            "PROGRAM_ADMINISTRATION",
            "-o",
            "json",
        ];
        self.run(&call)
    }

    pub(super) fn backup(&self, to: &str, more: &[&str]) -> Ran {
        let backup = ["server", "backup", "-c", SERVER, "--to", to, "-o", "json"];
        self.run(&[&backup[..], more].concat())
    }

    pub(super) fn restore(&self, from: &str, more: &[&str]) -> Ran {
        let restore = ["server", "restore", "-c", SERVER, "--from", from];
        self.run(&[&restore[..], more].concat())
    }

    /// The newest checkpoint, as it is kept beside the keys.
    pub(super) fn mark(&self) -> Vec<u8> {
        fs::read(self.path(SITE).join("keys/newest-checkpoint")).unwrap()
    }

    /// Waits until a checkpoint was signed since.
    pub(super) fn signs_more_than(&self, mark: &[u8]) {
        let signed = (0..600).any(|_| {
            self.mark() != mark || {
                std::thread::park_timeout(Duration::from_millis(100));
                false
            }
        });
        assert!(signed, "no checkpoint within a minute");
    }

    pub(super) fn shards(&self) -> Vec<String> {
        let found = fs::read_dir(self.path(SITE).join("data/ledger")).unwrap();
        let folders = found.flatten().filter(|item| item.path().is_dir());
        let mut names: Vec<String> = folders
            .map(|item| item.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// What the first entry of a shard says.
    pub(super) fn opening(&self, shard: &str) -> String {
        let dir = format!("{SITE}/data/ledger/{shard}");
        let shown = self.run(&[
            "log", "show", &dir, "--kind", "BOOT", "-o", "ndjson", "--limit", "0",
        ]);
        let lines = shown.lines();
        let first = lines.iter().find(|line| line["index"] == 0).unwrap();
        first.to_string()
    }

    /// The transactions in the provider's ledgers.
    pub(super) fn logged(&self) -> Vec<String> {
        let show = [
            "log", "show", SITE, "--kind", "IN", "-o", "ndjson", "--limit", "0",
        ];
        let lines = self.run(&show).lines();
        let of = |line: &Value| line["transaction"].as_str().map(str::to_owned);
        lines.iter().filter_map(of).collect()
    }

    /// Every shard that is here is sound, and signed.
    #[track_caller]
    pub(super) fn is_sound(&self) {
        let verified = self.run(&["log", "verify", SITE, "--config", MEMBER]);
        assert_eq!(verified.code, 0, "{verified:?}");
    }

    pub(super) fn incident(&self) -> Value {
        let json = self
            .run(&["doctor", "ledger", "-c", SERVER, "-o", "json"])
            .json();
        let checks = json["checks"].as_array().unwrap();
        let mut of_it = checks
            .iter()
            .filter(|check| check["check"] == "ledger.whole");
        of_it.next().cloned().unwrap_or_default()
    }
}

/// A loopback address that nobody else listens on.
const OWN: &str = "127.0.0.77:";
