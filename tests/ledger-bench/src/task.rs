//! The tasks, each a process of its own.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use tokio::runtime::{Builder, Runtime};

use crate::measured::Measured;
use crate::plan::{Plan, run};
use crate::subject::Subject;
use crate::{grow, prove};

/// What a process does: the first words of its command line, the folder and the segments' length after.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Follow a plan.
    Plan(Plan),
    /// Grow the ledger to a size with so many appends in flight, and write the same to a bare file.
    Grow {
        /// Entries afterwards.
        size: u64,
        /// Appends waiting at any time.
        in_flight: u64,
    },
    /// Fill a segment, say so, and wait to be killed.
    Fill,
    /// Open and close.
    Open,
    /// Check everything.
    Fsck,
    /// Build so many proofs.
    Prove {
        /// Of each kind.
        count: u64,
    },
    /// Measure the space it takes.
    Space,
}

// === impl Task ===

impl Task {
    /// Understands a command line, without the program's name.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(words: &[&str]) -> anyhow::Result<(Self, PathBuf, u64)> {
        let [name, folder, segment, rest @ ..] = words else {
            bail!("{USAGE}");
        };
        let number = |word: &str| word.parse::<u64>().with_context(|| format!("`{word}`"));
        let task = match (*name, rest) {
            ("plan", [rounds, proofs, in_flight, sizes @ ..]) => Self::Plan(Plan {
                segment_bytes: number(segment)?,
                rounds: number(rounds)?,
                proofs: number(proofs)?,
                in_flight: in_flight.split(',').map(number).collect::<Result<_, _>>()?,
                sizes: sizes
                    .iter()
                    .map(|size| number(size))
                    .collect::<Result<_, _>>()?,
            }),
            ("grow", [size, in_flight]) => Self::Grow {
                size: number(size)?,
                in_flight: number(in_flight)?,
            },
            ("fill", []) => Self::Fill,
            ("open", []) => Self::Open,
            ("fsck", []) => Self::Fsck,
            ("prove", [count]) => Self::Prove {
                count: number(count)?,
            },
            ("space", []) => Self::Space,
            _ => bail!("{USAGE}"),
        };
        Ok((task, PathBuf::from(folder), number(segment)?))
    }

    /// Does it; what it measures goes to `told`, line by line.
    ///
    /// # Errors
    /// When it could not be measured.
    pub fn execute(
        &self,
        folder: PathBuf,
        segment_bytes: u64,
        told: &mut dyn FnMut(&str),
    ) -> anyhow::Result<()> {
        let subject = Subject::new(&folder, segment_bytes);
        let measured: Vec<Measured> = match self {
            Self::Plan(plan) => return run(plan, &folder, told),
            Self::Grow { size, in_flight } => {
                runtime()?.block_on(grow::grow(&subject, *size, *in_flight))?
            }
            Self::Fill => {
                let runtime = runtime()?;
                let _ledger = runtime.block_on(grow::fill(&subject))?;
                told(FILLED);
                // Until we are killed, or whoever should do so is gone.
                std::io::stdin().read_to_end(&mut Vec::new())?;
                bail!("not killed");
            }
            Self::Open => runtime()?.block_on(grow::open(&subject))?,
            Self::Fsck => prove::fsck(&subject)?,
            Self::Prove { count } => prove::prove(&subject, *count)?,
            Self::Space => prove::space(&subject)?,
        };
        for measured in measured {
            told(&measured.line());
        }
        Ok(())
    }
}

/// One thread, as one caller of the ledger's own two.
fn runtime() -> anyhow::Result<Runtime> {
    let built = Builder::new_current_thread().enable_all().build();
    built.context("starting tokio")
}

/// What [`Task::Fill`] says when it is done.
pub(crate) const FILLED: &str = "filled";

const USAGE: &str = "\
bench-ledger TASK FOLDER SEGMENT-BYTES …
  plan … ROUNDS PROOFS IN-FLIGHT,… SIZE…   grow a ledger to each size and measure it there
  grow … SIZE IN-FLIGHT, fill, open, fsck, prove … COUNT, space: what a plan starts";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_understood() {
        let (task, folder, segment) = Task::parse(&["grow", "/a", "4096", "10", "2"]).unwrap();
        let grow = Task::Grow {
            size: 10,
            in_flight: 2,
        };
        assert_eq!((task, segment), (grow, 4096));
        assert_eq!(folder, PathBuf::from("/a"));
        for words in [
            &["grow", "/a", "4096", "10"][..],
            &["open"],
            &["open", "/a", "many"],
            &["shrink", "/a", "1"],
        ] {
            assert!(Task::parse(words).is_err(), "{words:?}");
        }
    }
}
