//! Benchmarks, by name. Each prints a table, or one JSON object per figure with `-o json`.

mod case;
mod conditions;
mod directory;
mod exchange;
mod figures;
mod goals;
mod ledger;
mod measured;
mod nginx;
mod revocation;
mod running;

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// What the words after the name ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    /// JSON objects on stdout instead of a table.
    json: bool,
    /// How often each case is measured; the figures are medians. 1 to 50.
    rounds: usize,
    /// How long each case is measured at full load in a round; a third less at one call.
    window: Duration,
    /// Fail when a goal is missed.
    check: bool,
    /// Measure unoptimised binaries: to try the benchmark itself, not the product.
    dev: bool,
    /// Measure the binaries as they are.
    built: bool,
    /// Only these cases; all when empty.
    cases: Vec<String>,
}

const USAGE: &str = "\
cargo xtask bench exchange [-o json] [--rounds N] [--seconds S] [--check] [--dev] [--no-build]
                     [--case NAME]…
cargo xtask bench directory [-o json] [--rounds N] [--check] [--dev] [--no-build]
cargo xtask bench ledger [-o json] [--rounds N] [--check] [--dev] [--no-build]
cargo xtask bench revocation [-o json] [--rounds N] [--check] [--dev] [--no-build]
  -o json       one object per figure instead of a table
  --rounds N    measure every case N times in turn, 5 by default; figures are medians
  --seconds S   measure each time for S seconds, 3 by default (exchange)
  --check       exit with 1 when a goal is missed
  --dev         unoptimised binaries, to try the benchmark itself
  --no-build    the binaries as they are, not built anew
  --case NAME   only this case (direct, hops2, nginx2, exchange); repeatable (exchange)";

/// Runs the benchmark named first in `words`.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    match words {
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        ["directory", rest @ ..] => directory::run(&Options::parse(rest)?),
        ["exchange", rest @ ..] => exchange::run(&Options::parse(rest)?),
        ["ledger", rest @ ..] => ledger::run(&Options::parse(rest)?),
        ["revocation", rest @ ..] => revocation::run(&Options::parse(rest)?),
        [name, ..] => bail!("no benchmark `{name}`\n{USAGE}"),
    }
}

// === impl Options ===

impl Options {
    fn parse(words: &[&str]) -> anyhow::Result<Self> {
        let mut options = Self {
            json: false,
            rounds: 5,
            window: Duration::from_secs(3),
            check: false,
            dev: false,
            built: false,
            cases: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let mut value = || {
                let value = words.next().copied();
                value.with_context(|| format!("{word} wants a value\n{USAGE}"))
            };
            match word {
                "-o" => match value()? {
                    "json" => options.json = true,
                    "table" => options.json = false,
                    other => bail!("no output `{other}`\n{USAGE}"),
                },
                "--rounds" => options.rounds = value()?.parse().context("--rounds")?,
                "--seconds" => {
                    options.window = Duration::from_secs(value()?.parse().context("--seconds")?);
                }
                "--check" => options.check = true,
                "--dev" => options.dev = true,
                "--no-build" => options.built = true,
                "--case" => options.cases.push(value()?.to_owned()),
                other => bail!("`{other}` is not understood\n{USAGE}"),
            }
        }
        ensure!((1..=50).contains(&options.rounds), "--rounds is 1 to 50");
        ensure!(
            (1..=60).contains(&options.window.as_secs()),
            "--seconds is 1 to 60"
        );
        Ok(options)
    }

    /// Whether the case is to be measured.
    fn wants(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| wanted == case)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_understood() {
        let words = ["-o", "json", "--rounds", "2", "--seconds", "1", "--check"];
        let options = Options::parse(&words).unwrap();
        assert!(options.json && options.check && !options.dev);
        assert_eq!((options.rounds, options.window.as_secs()), (2, 1));
        assert!(options.wants("direct"));
        let one = Options::parse(&["--case", "hops2"]).unwrap();
        assert!(one.wants("hops2") && !one.wants("direct"));
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        for words in [
            &["--rounds", "0"][..],
            &["--rounds", "51"],
            &["--seconds", "61"],
            &["--rounds"],
            &["-o", "xml"],
            &["--fast"],
        ] {
            assert!(Options::parse(words).is_err(), "{words:?}");
        }
    }
}
