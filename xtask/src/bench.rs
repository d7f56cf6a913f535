//! Benchmarks, by name. Each prints a table, or one JSON object per figure with `-o json`.

use anyhow::bail;

/// Runs the benchmark named first in `words`.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    match words.first() {
        Some(name) => bail!("no benchmark `{name}`"),
        None => bail!("which benchmark?"),
    }
}
