//! A witness that is run, named in the policy, and asked.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::run::entente;

const REGISTRY: &str = "sandbox/registry/registry.yaml";

/// A witness's process, ended with the test.
struct Witness {
    process: Child,
    key: String,
    address: String,
    /// Kept open: it goes on logging.
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Witness {
    fn start(dir: &Path) -> Self {
        let yaml = "name: witness.commissioner.example\nlisten: 127.0.0.1:0\ndata: ./witness/data\n\
                    keys: ./witness/keys\nanchors: [./sandbox/registry/anchor.yaml]\n";
        fs::write(dir.join("witness.yaml"), yaml).unwrap();
        fs::create_dir_all(dir.join("witness")).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_entente"))
            .args(["serve", "witness", "--config", "witness.yaml"])
            .current_dir(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It says where it listens, and its key: what a registrar needs.
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listening = lines
            .by_ref()
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
            .find(|line| line["event"] == "witness.listening");
        let listening = listening.unwrap();
        let text = |key: &str| listening[key].as_str().unwrap().to_owned();
        Self {
            key: text("key"),
            address: text("endpoint"),
            process,
            _lines: lines,
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a sandbox that is up.
pub(crate) fn a_witness_named_in_the_policy_cosigns_the_ledgers(dir: &Path) {
    let witness = Witness::start(dir);
    let line = format!(
        "witness commissioner {} http://{}",
        witness.key, witness.address
    );
    let policy = format!("{line}\nquorum commissioner\n");
    fs::write(dir.join("witnesses.policy"), &policy).unwrap();
    let set = |file: &str, more: &[&str]| {
        let set = ["registry", "witnesses", file, "--config", REGISTRY];
        entente(dir, &[&set[..], more].concat())
    };
    let done = set("witnesses.policy", &["--within", "10m", "-o", "json"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.json()["fewest"], 1);
    let again = set("witnesses.policy", &["-o", "json"]).json();
    assert_eq!(again["changed"], false, "{again}");
    let shown = entente(
        dir,
        &["registry", "show", "--config", REGISTRY, "-o", "json"],
    );
    assert_eq!(shown.json()["witnesses"], policy);

    // Fewer, or longer, is refused; so is what is no policy.
    fs::write(dir.join("none.policy"), "quorum none\n").unwrap();
    let fewer = set("none.policy", &[]);
    assert_eq!(fewer.code, 3);
    assert!(fewer.err.contains("in force: witnesses;"), "{fewer:?}");
    assert_eq!(set("witnesses.policy", &["--within", "1h"]).code, 3);
    fs::write(dir.join("bad.policy"), "quorum nobody\n").unwrap();
    let bad = set("bad.policy", &[]);
    assert!(bad.code == 2 && bad.err.contains("line 1"), "{bad:?}");

    // The ledger of each server is cosigned, by itself.
    for site in ["pensions", "vital-events"] {
        let ledgers = dir.join("sandbox").join(site).join("data/ledger");
        let shard = fs::read_dir(ledgers).unwrap().flatten().next().unwrap();
        let checkpoint = shard.path().join("log/checkpoint");
        let is_cosigned = || {
            let note = fs::read_to_string(&checkpoint).unwrap_or_default();
            note.contains("witness.commissioner.example")
        };
        let tries = (0..600).any(|_| {
            is_cosigned() || {
                std::thread::park_timeout(Duration::from_millis(100));
                false
            }
        });
        assert!(tries, "{site} was not cosigned within a minute");
    }
    // And whoever reads them is told so, by the policy and not by the ledger's folder.
    let compare = ["log", "compare", "sandbox/pensions", "sandbox/vital-events"];
    let compared = entente(dir, &[&compare[..], &["-o", "json"]].concat()).json();
    for ledger in compared["ledgers"].as_array().unwrap() {
        assert!(ledger["quorum_size"].as_u64() > Some(0), "{ledger}");
    }
    let told = entente(dir, &compare);
    assert!(told.out.contains("a quorum of witnesses saw"), "{told:?}");

    // The registry's own checkpoints too. That this very change is believed shows that they are cosigned.
    let done = set("witnesses.policy", &["--of-registry", "-o", "json"]);
    assert_eq!(done.code, 0, "{done:?}");
    let shown = entente(
        dir,
        &["registry", "policy", "--config", REGISTRY, "-o", "json"],
    );
    assert_eq!(shown.json()["registry_witnesses"], policy);
    let shown = entente(dir, &["registry", "show", "--config", REGISTRY]);
    assert!(shown.out.contains("registry\u{2019}s"), "{shown:?}");
    let fewer = set("none.policy", &["--of-registry"]);
    assert_eq!(fewer.code, 3);
    assert!(fewer.err.contains("registry-witnesses;"), "{fewer:?}");
}
