//! From samples to figures: medians over rounds, ratios round by round, goals.

use serde_json::{Value, json};

use super::conditions::Conditions;
use super::goals::{Outcome, median, range, rounded};

/// What one load measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) calls_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Processor time of the case's servers, user and system, divided by calls.
    pub(crate) cpu_us_per_call: f64,
    /// The most that any one of the case's servers ever held.
    pub(crate) rss_mib: f64,
    /// Calls that failed, warm-up included.
    pub(crate) errors: u64,
    /// Share of the machine's time that neither the load nor a server used.
    pub(crate) not_ours: f64,
}

/// One case measured once: with many calls in flight, and with one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    pub(crate) full: Sample,
    pub(crate) single: Sample,
}

/// Every round of every case, in the order measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    cases: Vec<(&'static str, Vec<Round>)>,
}

/// One figure: a value for each round.
#[derive(Clone, Debug)]
struct Figure {
    case: String,
    metric: &'static str,
    unit: &'static str,
    in_flight: usize,
    values: Vec<f64>,
}

/// What all figures of one run have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) conditions: &'a Conditions,
    pub(crate) seconds: f64,
}

// === impl Results ===

impl Results {
    /// Adds one round of `case`.
    pub(crate) fn add(&mut self, case: &'static str, round: Round) {
        match self.cases.iter_mut().find(|(name, _)| *name == case) {
            Some((_, rounds)) => rounds.push(round),
            None => self.cases.push((case, vec![round])),
        }
    }

    /// Whether a call failed anywhere.
    pub(crate) fn errors(&self) -> u64 {
        let rounds = self.cases.iter().flat_map(|(_, rounds)| rounds);
        rounds.map(|r| r.full.errors + r.single.errors).sum()
    }

    /// One JSON object for each figure.
    pub(crate) fn json(&self, setting: Setting<'_>) -> Vec<Value> {
        let figures = self.figures().into_iter().chain(self.comparisons());
        figures.map(|figure| figure.json(setting)).collect()
    }

    /// A table, the comparisons and what the machine did besides.
    pub(crate) fn text(&self, setting: Setting<'_>) -> String {
        let mut text = format!(
            "{}\n{PAYLOAD} byte payload; medians of {} rounds of {:.0} s, cases in turn; in brackets \
             the least and the most\n\n",
            setting.conditions.text(),
            self.cases.first().map_or(0, |(_, rounds)| rounds.len()),
            setting.seconds,
        );
        text += &format!(
            "{:<10}{:>26}{:>10}{:>10}{:>11}{:>11}{:>13}{:>9}\n",
            "", "calls/s at 64", "p50 us", "p99 us", "p50 us 1", "p99 us 1", "cpu us/call", "MiB"
        );
        for (case, rounds) in &self.cases {
            let of = |pick: fn(&Round) -> f64| rounds.iter().map(pick).collect::<Vec<_>>();
            let rate = of(|r| r.full.calls_per_s);
            let (low, high) = range(&rate);
            text += &format!(
                "{case:<10}{:>26}{:>10.0}{:>10.0}{:>11.0}{:>11.0}{:>13.0}{:>9.1}\n",
                format!("{:.0} ({low:.0}–{high:.0})", median(&rate)),
                median(&of(|r| r.full.p50_us)),
                median(&of(|r| r.full.p99_us)),
                median(&of(|r| r.single.p50_us)),
                median(&of(|r| r.single.p99_us)),
                median(&of(|r| r.full.cpu_us_per_call)),
                median(&of(|r| r.full.rss_mib)),
            );
        }
        text.push('\n');
        for figure in self.comparisons() {
            let (low, high) = range(&figure.values);
            let digits = if figure.unit == "us" { 0 } else { 2 };
            text += &format!(
                "{:<18}{:<18}{:>9.digits$} {:<6} ({low:.digits$}–{high:.digits$})\n",
                figure.case,
                figure.metric,
                median(&figure.values),
                figure.unit,
            );
        }
        let foreign: Vec<f64> = self.rounds().map(|r| r.full.not_ours * 100.0).collect();
        let (_, most) = range(&foreign);
        text += &format!(
            "\nother work on the machine: {:.0} % of its time, {most:.0} % at most{}\n",
            median(&foreign),
            if most > 12.0 {
                "; more than 12 % distorts even ratios: measure again when it is quiet"
            } else {
                ""
            },
        );
        if self.errors() > 0 {
            text += &format!("FAILED CALLS: {}\n", self.errors());
        }
        text
    }

    /// What this goals come to. A goal whose case was not measured is not met.
    pub(crate) fn goals(&self) -> Vec<Outcome> {
        let compared = |case: &str, metric: &str| {
            self.comparisons()
                .into_iter()
                .find(|figure| figure.case == case && figure.metric == metric)
                .map(|figure| median(&figure.values))
        };
        vec![
            Outcome::at_least(
                "calls/s at least 0.25 of hops2",
                compared("exchange/hops2", RATIO),
                0.25,
            ),
            Outcome::at_least(
                "calls/s at least 0.4 of nginx2",
                compared("exchange/nginx2", RATIO),
                0.4,
            ),
            Outcome::at_most(
                "p50 at 1 in flight at most 2,000 us above direct",
                compared("exchange-direct", "p50_us"),
                2_000.0,
            ),
            Outcome::at_most(
                "at most 64 MiB in each server under load",
                self.of("exchange").map(|rounds| {
                    let peaks: Vec<f64> = rounds.iter().map(|r| r.full.rss_mib).collect();
                    range(&peaks).1
                }),
                64.0,
            ),
        ]
    }

    fn of(&self, case: &str) -> Option<&[Round]> {
        let found = self.cases.iter().find(|(name, _)| *name == case);
        found.map(|(_, rounds)| rounds.as_slice())
    }

    fn rounds(&self) -> impl Iterator<Item = &Round> {
        self.cases.iter().flat_map(|(_, rounds)| rounds)
    }

    fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (case, rounds) in &self.cases {
            let mut push = |metric, unit, in_flight, pick: fn(&Round) -> f64| {
                figures.push(Figure {
                    case: (*case).to_owned(),
                    metric,
                    unit,
                    in_flight,
                    values: rounds.iter().map(pick).collect(),
                });
            };
            push("calls_per_s", "1/s", IN_FLIGHT, |r| r.full.calls_per_s);
            push("p50_us", "us", IN_FLIGHT, |r| r.full.p50_us);
            push("p99_us", "us", IN_FLIGHT, |r| r.full.p99_us);
            push("p50_us", "us", 1, |r| r.single.p50_us);
            push("p99_us", "us", 1, |r| r.single.p99_us);
            push("cpu_us_per_call", "us", IN_FLIGHT, |r| {
                r.full.cpu_us_per_call
            });
            push("rss_mib", "MiB", IN_FLIGHT, |r| r.full.rss_mib);
        }
        figures
    }

    /// The exchange beside each other case, round by round: neighbours in time are comparable even
    /// where the machine's speed drifts.
    fn comparisons(&self) -> Vec<Figure> {
        let Some(exchange) = self.of("exchange") else {
            return Vec::new();
        };
        let mut figures = Vec::new();
        for (other, rounds) in self.cases.iter().filter(|(name, _)| *name != "exchange") {
            let mut push = |case, metric, unit, in_flight, compare: fn(&Round, &Round) -> f64| {
                figures.push(Figure {
                    case,
                    metric,
                    unit,
                    in_flight,
                    values: exchange
                        .iter()
                        .zip(rounds)
                        .map(|(a, b)| compare(a, b))
                        .collect(),
                });
            };
            if *other == "direct" {
                push("exchange-direct".to_owned(), "p50_us", "us", 1, |a, b| {
                    a.single.p50_us - b.single.p50_us
                });
                continue;
            }
            let case = format!("exchange/{other}");
            push(case.clone(), RATIO, "ratio", IN_FLIGHT, |a, b| {
                a.full.calls_per_s / b.full.calls_per_s
            });
            push(case, "cpu_us_per_call", "ratio", IN_FLIGHT, |a, b| {
                a.full.cpu_us_per_call / b.full.cpu_us_per_call
            });
        }
        figures
    }
}

// === impl Figure ===

impl Figure {
    fn json(&self, setting: Setting<'_>) -> Value {
        let (low, high) = range(&self.values);
        let mut conditions = setting.conditions.json();
        conditions["payload_bytes"] = json!(PAYLOAD);
        conditions["in_flight"] = json!(self.in_flight);
        conditions["connections"] = json!(CONNECTIONS.min(self.in_flight));
        conditions["seconds"] = json!(setting.seconds);
        conditions["least"] = json!(rounded(low));
        conditions["most"] = json!(rounded(high));
        json!({
            "bench": "exchange",
            "case": self.case,
            "metric": self.metric,
            "value": rounded(median(&self.values)),
            "unit": self.unit,
            "n": self.values.len(),
            "conditions": conditions,
        })
    }
}

/// Bytes in each call and each answer.
pub(crate) const PAYLOAD: usize = 1024;
/// Calls in flight at full load.
pub(crate) const IN_FLIGHT: usize = 64;
/// Connections of the client at full load.
pub(crate) const CONNECTIONS: usize = 4;

const RATIO: &str = "calls_per_s";

#[cfg(test)]
mod tests {
    use super::*;

    fn round(rate: f64, p50: f64) -> Round {
        let sample = |calls_per_s, p50_us| Sample {
            calls_per_s,
            p50_us,
            cpu_us_per_call: 10.0,
            rss_mib: 30.0,
            ..Sample::default()
        };
        Round {
            full: sample(rate, 1.0),
            single: sample(1.0, p50),
        }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let mut results = Results::default();
        // The machine halves its speed in the second round: the ratio must not see it.
        for (speed, p50) in [(1.0, 100.0), (0.5, 200.0)] {
            results.add("direct", round(400.0 * speed, p50));
            results.add("hops2", round(200.0 * speed, p50));
            results.add("nginx2", round(100.0 * speed, p50));
            results.add("exchange", round(50.0 * speed, p50 + 1_000.0));
        }
        let goals = results.goals();
        let measured: Vec<Option<f64>> = goals.iter().map(Outcome::measured).collect();
        assert_eq!(measured, [Some(0.25), Some(0.5), Some(1_000.0), Some(30.0)]);
        assert!(goals.iter().all(Outcome::met));
    }

    #[test]
    fn a_goal_that_was_not_measured_is_missed() {
        let mut results = Results::default();
        results.add("direct", round(1.0, 1.0));
        results.add("exchange", round(1.0, 5_000.0));
        let goals = results.goals();
        let met: Vec<bool> = goals.iter().map(Outcome::met).collect();
        assert_eq!(met, [false, false, false, true]);
        assert!(goals[0].text().contains("not measured"));
    }
}
