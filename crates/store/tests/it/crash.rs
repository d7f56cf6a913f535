//! Killing the process at random points: the index that is found again is a whole prefix of the
//! ledger, and holds at least what was said to be durable.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use entente_store::RUN;

use crate::{assert_reflects, fill, open, settle};

const FOLDER: &str = "ENTENTE_TEST_STORE";
const ROUNDS: u64 = 8;
const LEDGER: u64 = 100_000_000;

/// Not a test of its own: what the killed process does. Returns at once in an ordinary run.
#[test]
fn writer_to_be_killed() {
    let Some(folder) = env::var_os(FOLDER) else {
        return;
    };
    let opened = open(Path::new(&folder), LEDGER);
    let mut out = std::io::stdout().lock();
    let mut said = opened.replay_from;
    for index in opened.replay_from.. {
        fill(&opened.store, index, index + 1);
        if opened.store.position() != said {
            said = opened.store.position();
            writeln!(out, "durable {said}").unwrap();
        }
    }
}

#[test]
fn a_killed_store_reflects_a_whole_prefix_and_all_that_was_durable() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=ROUNDS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::writer_to_be_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut durable = 0;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = 0;
        while heard < 1 + round % 4 {
            let line = lines.next().unwrap().unwrap();
            if let Some((_, position)) = line.split_once("durable ") {
                durable = position.parse().unwrap();
                heard += 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            // A line cut by the kill says nothing.
            if let Some(Ok(position)) = line.split_once("durable ").map(|(_, p)| p.parse::<u64>())
                && position % RUN as u64 == 0
            {
                durable = durable.max(position);
            }
        }

        let opened = open(folder.path(), LEDGER);
        assert_eq!(opened.rebuild, None, "round {round}");
        assert!(opened.replay_from >= durable, "round {round}");
        assert_reflects(&opened.store, opened.replay_from);
        // And goes on as if nothing had happened.
        let next = opened.replay_from;
        fill(&opened.store, next, next + RUN as u64);
        settle(&opened.store, next + RUN as u64);
        assert_reflects(&opened.store, next + RUN as u64);
    }
}
