//! What the ledger costs at 10⁴, 10⁵ and 10⁶ entries, and its appends beside a bare file.

use super::Options;
use super::conditions::Conditions;
use super::goals::{Outcome, judge};
use super::measured::{Measuring, Results};

/// Builds the measuring program, follows it to its end, and prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let measuring = Measuring::prepare("ledger", options)?;
    let results = measure(options, &measuring)?;

    let conditions = Conditions::read(measuring.folder(), !options.dev);
    if options.json {
        let of_each = [
            ("entry_bytes", ENTRY_BYTES),
            ("attachment_bytes", ATTACHMENT_BYTES),
            ("attachment_share", 1),
        ];
        for figure in results.json("ledger", &conditions, &of_each) {
            println!("{figure}");
        }
    } else {
        println!("{}", text(&results, &conditions, options.rounds));
    }
    judge(&goals(&results), options)
}

fn measure(options: &Options, measuring: &Measuring) -> anyhow::Result<Results> {
    let mut results = Results::default();
    results.follow(
        measuring
            .command()
            .arg("plan")
            .arg(measuring.folder())
            .args([SEGMENT_BYTES.to_string(), options.rounds.to_string()])
            .args([
                PROOFS.to_string(),
                IN_FLIGHT.map(|n| n.to_string()).join(","),
            ])
            .args(SIZES.map(|size| size.to_string())),
    )?;
    Ok(results)
}

fn text(results: &Results, conditions: &Conditions, rounds: usize) -> String {
    let mut text = format!(
        "{}\nentries of {ENTRY_BYTES} bytes, each with an attachment of {ATTACHMENT_BYTES}; \
         medians of {rounds} rounds; in brackets the least and the most; files in the page cache\n\n",
        conditions.disk_text(),
    );
    text += &results.lines();
    if results
        .median("machine", "not_ours", None)
        .is_some_and(|share| share > 0.12)
    {
        text += "\nmore than 12 % of the machine was not ours: measure again when it is quiet\n";
    }
    if results
        .median("machine", "create_us", None)
        .is_some_and(|us| us > SLOW_TO_CREATE)
    {
        text += "\nmaking files is slow here, perhaps because many were removed: measure again in five minutes\n";
    }
    text
}

/// What the ledger has to reach. A goal whose figure is missing is not met.
fn goals(results: &Results) -> Vec<Outcome> {
    let largest = SIZES.last().map(|size| ("entries", *size));
    let waiting = |in_flight| {
        let setting = Some(("in_flight", in_flight));
        results.median("append/same", "entries_per_s", setting)
    };
    vec![
        Outcome::at_least(
            "durable appends, 64 waiting, at least 0.5 of a bare file in the same commits",
            waiting(IN_FLIGHT[0]),
            0.5,
        ),
        Outcome::at_least(
            "durable appends, 256 waiting, at least 0.5 of a bare file in the same commits",
            waiting(IN_FLIGHT[1]),
            0.5,
        ),
        Outcome::at_most(
            "fsck of 10^6 entries at most 10 s",
            results.median("fsck", "s", largest),
            10.0,
        ),
        Outcome::at_most(
            "fsck of 10^6 entries at most 200 MiB",
            results.most("fsck", "rss_mib", largest),
            200.0,
        ),
        Outcome::at_most(
            "opening 10^6 entries at most 1 s",
            results.median("open", "s", largest),
            1.0,
        ),
        Outcome::at_most(
            "opening 10^6 entries after a kill at most 1 s",
            results.median("open_killed", "s", largest),
            1.0,
        ),
    ]
}

const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];
/// Appends that wait at any time: as many as the exchange has in flight, and a quarter of what a server
/// takes.
const IN_FLIGHT: [u64; 2] = [64, 256];
/// Proofs of each kind at each size.
const PROOFS: u64 = 1_000;
/// A file made in more microseconds than this is slow: the ledger makes two for 256 entries, which the bare
/// file does not.
const SLOW_TO_CREATE: f64 = 60.0;
/// The ledger's default.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// What `bench-ledger` appends, for the record.
const ENTRY_BYTES: u64 = 560;
const ATTACHMENT_BYTES: u64 = 400;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bench::measured::results;

    #[test]
    fn goals_are_for_the_largest_ledger() {
        let at = |entries| json!({ "entries": entries });
        let mut lines = vec![
            (
                "append/same",
                "entries_per_s",
                0.6,
                json!({ "in_flight": 64 }),
            ),
            ("fsck", "s", 11.0, at(1_000_000)),
            ("fsck", "rss_mib", 100.0, at(1_000_000)),
            ("open", "s", 0.5, at(1_000_000)),
            ("open_killed", "s", 2.0, at(100_000)),
        ];
        let met = |lines: &[_]| -> Vec<bool> {
            goals(&results(lines)).iter().map(Outcome::met).collect()
        };
        assert_eq!(met(&lines), [true, false, false, true, true, false]);
        // Memory is judged by the most that was ever held.
        lines.push(("fsck", "rss_mib", 201.0, at(1_000_000)));
        assert_eq!(met(&lines), [true, false, false, false, true, false]);
    }
}
