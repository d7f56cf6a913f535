//! Benchmarks, by name. Each prints a table, or one JSON object per figure with `-o json`.

use anyhow::bail;

use crate::needs;

/// Runs the benchmark named first in `words`.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    needs::provide(needs::BENCH)?;
    match words.first() {
        Some(name) => bail!("no benchmark `{name}`"),
        None => bail!("which benchmark?"),
    }
}
