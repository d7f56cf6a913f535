//! What an auditor does with a ledger's folder: check it whole, and prove parts of it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use entente_ledger::Reader;
use entente_ledger::disk::RealDisk;
use entente_ledger::proof::TlogProof;
use entente_ledger::tree::leaf_hash;
use entente_signing::Signer as _;

use crate::measured::Measured;
use crate::subject::{Subject, note_key, signing_key};
use crate::usage::{now, peak_mib};

/// Checks the whole ledger.
pub(crate) fn fsck(subject: &Subject) -> anyhow::Result<Vec<Measured>> {
    let key = signing_key()?.verifying_key().clone();
    let start = now();
    let report =
        entente_ledger::fsck::fsck(Arc::new(RealDisk), subject.dir(), &key, &mut |_, _| {})?;
    let took = start.elapsed();
    if let Some(finding) = report.findings.first() {
        bail!("the ledger is not sound: {finding:?}");
    }
    ensure!(report.size > 0, "an empty ledger was checked");
    Ok(vec![
        Measured::new("fsck", "s", "s", took.as_secs_f64()),
        Measured::new("fsck", "rss_mib", "MiB", peak_mib()?),
    ])
}

/// Builds and verifies `count` proofs of each kind, spread over the ledger, with no tile in memory at
/// first.
pub(crate) fn prove(subject: &Subject, count: u64) -> anyhow::Result<Vec<Measured>> {
    let mut reader = Reader::open(Arc::new(RealDisk), subject.dir())?;
    let checkpoint = reader.checkpoint(&note_key()?)?;
    let checkpoint = checkpoint.context("the ledger has no checkpoint")?;
    let (size, root) = (checkpoint.size(), checkpoint.root());
    let (mut inclusion, mut consistency) = (Kind::new("inclusion"), Kind::new("consistency"));
    for number in 0..count {
        // Far from each other: the golden section of the ledger, again and again.
        let index = (number as f64 * 0.618_033_988_75).fract() * size as f64;
        let index = (index as u64).min(size - 1);

        let start = now();
        let proof = reader.inclusion(index, size)?.context("no such entry")?;
        let took = start.elapsed();
        let entry = reader.entry(index)?.context("no such entry")?;
        proof.verify(&leaf_hash(&entry), &root)?;
        let text = TlogProof {
            extra: None,
            index,
            path: proof.path.clone(),
            checkpoint: checkpoint.note().to_string(),
        };
        inclusion.add(took, proof.path.len(), Some(text.to_string().len()));

        let old_size = index + 1;
        let old_root = reader.root(old_size)?.context("no such size")?;
        let start = now();
        let proof = reader.consistency(old_size, size)?;
        let took = start.elapsed();
        let proof = proof.context("no such size")?;
        proof.verify(&old_root, &root)?;
        consistency.add(took, proof.path.len(), None);
    }
    Ok([inclusion.measured(), consistency.measured()].concat())
}

/// What the ledger takes on the disk, without its attachments.
pub(crate) fn space(subject: &Subject) -> anyhow::Result<Vec<Measured>> {
    let reader = Reader::open(Arc::new(RealDisk), subject.dir())?;
    let entries = reader.size() as f64;
    let mut space = Space::default();
    space.walk(&subject.dir())?;
    Ok(vec![
        Measured::new("growth", "bytes_per_entry", "B", space.bytes / entries),
        Measured::new(
            "growth",
            "disk_bytes_per_entry",
            "B",
            space.on_disk / entries,
        ),
        Measured::new("growth", "files", "1", space.files),
    ])
}

/// Proofs of one kind.
#[derive(Debug)]
struct Kind {
    case: &'static str,
    micros: Vec<f64>,
    hashes: Vec<f64>,
    texts: Vec<f64>,
}

// === impl Kind ===

impl Kind {
    const fn new(case: &'static str) -> Self {
        Self {
            case,
            micros: Vec::new(),
            hashes: Vec::new(),
            texts: Vec::new(),
        }
    }

    fn add(&mut self, took: Duration, hashes: usize, text: Option<usize>) {
        self.micros.push(took.as_secs_f64() * 1e6);
        self.hashes.push(hashes as f64 * 32.0);
        self.texts.extend(text.map(|text| text as f64));
    }

    fn measured(self) -> Vec<Measured> {
        let mut measured = Vec::new();
        let mut push = |metric: &str, unit: &str, values: &[f64], share: f64| {
            if let Some(value) = quantile(values, share) {
                measured.push(Measured::new(self.case, metric, unit, value));
            }
        };
        push("p50_us", "us", &self.micros, 0.5);
        push("p99_us", "us", &self.micros, 0.99);
        push("p50_bytes", "B", &self.hashes, 0.5);
        push("max_bytes", "B", &self.hashes, 1.0);
        push("max_text_bytes", "B", &self.texts, 1.0);
        measured
    }
}

/// Bytes and files below a folder.
#[derive(Debug, Default)]
struct Space {
    bytes: f64,
    on_disk: f64,
    files: f64,
}

// === impl Space ===

impl Space {
    fn walk(&mut self, dir: &Path) -> anyhow::Result<()> {
        let listed = fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))?;
        for item in listed {
            let item = item?;
            let metadata = item.metadata()?;
            // Blocks of 512 bytes, whatever the file system's own; those of folders count too.
            self.on_disk += (metadata.blocks() * 512) as f64;
            if metadata.is_dir() {
                self.walk(&item.path())?;
            } else {
                self.bytes += metadata.len() as f64;
                self.files += 1.0;
            }
        }
        Ok(())
    }
}

/// The value that this share of all does not exceed; `None` of none.
fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), Some(50.0));
        assert_eq!(quantile(&values, 0.99), Some(99.0));
        assert_eq!(quantile(&values, 1.0), Some(100.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
