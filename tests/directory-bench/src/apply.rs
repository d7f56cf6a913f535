//! Applying all changes, as a server does that follows a registry from nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use entente_directory::{Kind, RegistryEntry, State, apply as apply_change};
use entente_ledger_bench::Measured;
use entente_ledger_bench::usage::{held_mib, now, peak_mib, processor_s};

use crate::pack::{Entries, Packed};

/// What all changes of one kind took.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    count: u64,
    time: Duration,
    /// Memory that was added while they were applied, one after the other.
    mib: f64,
}

/// Applies what [`crate::write()`] wrote, and says what it took.
///
/// # Errors
/// When a change is refused, or a file cannot be read.
pub fn apply(folder: &Path) -> anyhow::Result<Vec<Measured>> {
    let members = crate::members_of(folder)?;
    let blobs = Packed::open(folder)?;
    let before = held_mib()?;
    let mut state = State::empty();
    let mut kinds: BTreeMap<Kind, Spent> = BTreeMap::new();
    let (mut last, mut held) = (Kind::Genesis, before);
    for entry in Entries::open(folder)? {
        let entry = entry?;
        let began = now();
        let entry = RegistryEntry::parse(&entry)?;
        let parsed = began.elapsed();
        let kind = entry.change.kind();
        if kind != last {
            let now = held_mib()?;
            kinds.entry(last).or_default().mib += now - held;
            (last, held) = (kind, now);
        }
        let began = now();
        state = apply_change(&state, &entry.change, entry.at, &blobs)
            .with_context(|| format!("change {}", state.size()))?;
        let took = parsed + began.elapsed();
        let spent = kinds.entry(kind).or_default();
        spent.count += 1;
        spent.time += took;
    }
    kinds.entry(last).or_default().mib += held_mib()? - held;
    let peak = peak_mib()?;
    let changes = state.size();
    let all: Duration = kinds.values().map(|spent| spent.time).sum();
    let us = |time: Duration, count: u64| time.as_secs_f64() * 1e6 / count as f64;
    let mut measured = vec![
        Measured::new("apply", "us_per_change", "us", us(all, changes)),
        Measured::new("apply", "s", "s", all.as_secs_f64()),
        Measured::new("apply", "processor_s", "s", processor_s()?),
        Measured::new("apply", "rss_mib", "MiB", peak - before),
        Measured::new("apply", "changes", "1", changes as f64),
    ];
    for (kind, spent) in kinds {
        let name = kind.as_str();
        let kib = spent.mib * 1024.0 / spent.count as f64;
        let us = us(spent.time, spent.count);
        measured.push(Measured::new(name, "us", "us", us));
        measured.push(Measured::new(name, "kib", "KiB", kib));
    }
    let measured = measured.into_iter();
    Ok(measured.map(|one| one.with("members", members)).collect())
}
