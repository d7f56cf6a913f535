//! What a directory the size of a country costs a server that follows it: to apply, to get from its registry,
//! and to keep up with.

use anyhow::{Context as _, ensure};

use super::Options;
use super::conditions::Conditions;
use super::goals::{Outcome, judge};
use super::measured::{Measuring, Results};

/// Builds the measuring program, has it make directories and apply them, and prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let measuring = Measuring::prepare("directory", options)?;
    let results = measure(options, &measuring)?;

    let conditions = Conditions::read(measuring.folder(), !options.dev);
    if options.json {
        for figure in results.json("directory", &conditions, &[]) {
            println!("{figure}");
        }
    } else {
        println!("{}\n\n{}", conditions.disk_text(), results.lines());
    }
    judge(&goals(&results), options)
}

fn measure(options: &Options, measuring: &Measuring) -> anyhow::Result<Results> {
    let mut results = Results::default();
    for members in MEMBERS {
        let country = measuring.folder().join(members.to_string());
        let written = measuring
            .command()
            .arg("write")
            .arg(&country)
            .arg(members.to_string())
            .status()
            .context("starting bench-directory")?;
        ensure!(written.success(), "bench-directory ended with {written}");
        for _ in 0..options.rounds {
            results.follow(measuring.command().arg("apply").arg(&country))?;
        }
        if members == LARGEST {
            let rounds = options.rounds.to_string();
            results.follow(measuring.command().arg("sync").arg(&country).arg(rounds))?;
        }
    }
    Ok(results)
}

/// What a directory has to stay within. A goal whose figure is missing is not met.
fn goals(results: &Results) -> Vec<Outcome> {
    let [small, .., large] = MEMBERS.map(|members| Some(("members", members)));
    let per_change = |at| results.median("apply", "us_per_change", at);
    let growth = per_change(large).zip(per_change(small));
    vec![
        Outcome::at_most(
            "a change applied within 200 us, its part of the state's hash included",
            per_change(large),
            200.0,
        ),
        Outcome::at_most(
            "a change of the largest directory at most 1.5 times one of the smallest",
            growth.map(|(large, small)| large / small),
            1.5,
        ),
        Outcome::at_most(
            "10,000 members, 30,000 servers, 50,000 services, 100,000 agreements in 300 MiB",
            results.most("apply", "rss_mib", large),
            300.0,
        ),
        Outcome::at_most(
            "that country followed from nothing, over TLS, within 60 s",
            results.median("sync", "s", large),
            60.0,
        ),
        Outcome::at_most(
            "a process that follows it from nothing in 300 MiB at most, all of it included",
            results.most("sync", "rss_mib", large),
            300.0,
        ),
        Outcome::at_most(
            "a follower that was away for 1,000 changes receives at most 2 KiB for each",
            results
                .median("away", "received_mib", large)
                .map(|mib| mib * 1024.0 / 1000.0),
            2.0,
        ),
    ]
}

/// A country: 10,000 members with three servers, five services and ten agreements each.
const LARGEST: u64 = 10_000;
const MEMBERS: [u64; 3] = [100, 1_000, LARGEST];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bench::measured::results;

    #[test]
    fn goals_are_for_the_largest_directory() {
        let at = |members| json!({ "members": members });
        let lines = [
            ("apply", "us_per_change", 90.0, at(100)),
            ("apply", "us_per_change", 190.0, at(10_000)),
            ("apply", "rss_mib", 299.0, at(10_000)),
            ("apply", "rss_mib", 301.0, at(10_000)),
            ("sync", "s", 59.0, at(10_000)),
            ("sync", "rss_mib", 299.0, at(10_000)),
            ("away", "received_mib", 2.5, at(10_000)),
        ];
        let met: Vec<bool> = goals(&results(&lines)).iter().map(Outcome::met).collect();
        assert_eq!(met, [true, false, false, true, true, false]);
        assert!(goals(&results(&[])).iter().all(|goal| !goal.met()));
    }
}
