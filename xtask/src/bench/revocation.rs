//! How long a revocation takes until it holds, beside what one exchange takes.

use super::Options;
use super::conditions::Conditions;
use super::goals::{Outcome, judge};
use super::measured::{Measuring, Results};

/// Builds the measuring program, follows it to its end, and prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let measuring = Measuring::prepare("revocation", options)?;
    let mut results = Results::default();
    results.follow(
        measuring
            .command()
            .arg(measuring.folder().join("sandbox"))
            .arg(options.rounds.to_string()),
    )?;

    let conditions = Conditions::read(measuring.folder(), !options.dev);
    if options.json {
        for figure in results.json("revocation", &conditions, &[]) {
            println!("{figure}");
        }
    } else {
        println!(
            "{}\ntwo registries and four servers in one process, over TLS on loopback; from before an act is \
             signed; medians of {} rounds; in brackets the least and the most\n\n{}",
            conditions.disk_text(),
            options.rounds,
            results.lines(),
        );
    }
    judge(&goals(&results), options)
}

/// What DESIGN.md §9 promises of a connected server, judged by the slowest of all rounds.
fn goals(results: &Results) -> Vec<Outcome> {
    let most = |case, metric| results.most(case, metric, None);
    vec![
        Outcome::at_most(
            "a suspended member's next call refused within 5 s",
            most("member", "refused_ms"),
            WITHIN_MS,
        ),
        Outcome::at_most(
            "the next call under a suspended agreement refused within 5 s",
            most("agreement", "refused_ms"),
            WITHIN_MS,
        ),
        Outcome::at_most(
            "the next call across a suspended recognition refused within 5 s",
            most("recognition", "refused_ms"),
            WITHIN_MS,
        ),
        Outcome::at_most(
            "a revoked session held for revoked within 5 s",
            most("session", "held_ms"),
            WITHIN_MS,
        ),
    ]
}

const WITHIN_MS: f64 = 5_000.0;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bench::measured::results;

    #[test]
    fn the_slowest_round_is_judged_and_what_is_missing_is_missed() {
        let lines = [
            ("member", "refused_ms", 8.0, json!({})),
            ("member", "refused_ms", 5_001.0, json!({})),
            ("agreement", "refused_ms", 8.0, json!({})),
            ("recognition", "held_ms", 8.0, json!({})),
            ("session", "held_ms", 8.0, json!({})),
        ];
        let met: Vec<bool> = goals(&results(&lines)).iter().map(Outcome::met).collect();
        assert_eq!(met, [false, true, false, true]);
    }
}
