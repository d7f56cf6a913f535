//! What the ledger costs at 10⁴, 10⁵ and 10⁶ entries, and its appends beside a bare file.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::Options;
use super::case::Folder;
use super::conditions::Conditions;
use super::goals::{Outcome, judge, median, range, rounded};
use super::running::bound;
use crate::workspace;

/// All values of the same thing.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    case: String,
    metric: String,
    unit: String,
    /// `{"entries": …}` or `{"in_flight": …}`.
    setting: Value,
    values: Vec<f64>,
}

/// The figures of a run, in the order they were first measured.
#[derive(Clone, Debug, Default)]
struct Results(Vec<Figure>);

/// Builds the measuring program, follows it to its end, and prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(
        options.cases.is_empty(),
        "the ledger is measured whole, without --case"
    );
    if !options.built {
        build(options.dev)?;
    }
    let folder = workspace::target()
        .join("bench")
        .join(std::process::id().to_string());
    let folder = Folder::new(folder)?;
    let results = measure(options, &folder)?;

    let conditions = Conditions::read(folder.path(), !options.dev);
    if options.json {
        for figure in &results.0 {
            println!("{}", figure.json(&conditions));
        }
    } else {
        println!("{}", results.text(&conditions, options.rounds));
    }
    judge(&results.goals(), options)
}

fn build(dev: bool) -> anyhow::Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "-p", "entente-ledger-bench"]);
    if !dev {
        cargo.arg("--release");
    }
    // Not `shown`: stdout is for figures, and cargo tells its progress on stderr.
    let status = cargo.status().context("starting cargo build")?;
    ensure!(status.success(), "cargo build ended with {status}");
    Ok(())
}

fn measure(options: &Options, folder: &Folder) -> anyhow::Result<Results> {
    let profile = if options.dev { "debug" } else { "release" };
    let program = workspace::target().join(profile).join("bench-ledger");
    let mut child = bound(&program)
        .arg("plan")
        .arg(folder.path())
        .args([SEGMENT_BYTES.to_string(), options.rounds.to_string()])
        .args([
            PROOFS.to_string(),
            IN_FLIGHT.map(|n| n.to_string()).join(","),
        ])
        .args(SIZES.map(|size| size.to_string()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let out = child.stdout.take().context("a child without stdout")?;
    let mut results = Results::default();
    for line in BufReader::new(out).lines() {
        let line = line.context("reading what is measured")?;
        let figure = Figure::parse(&line);
        let figure = figure.with_context(|| format!("`{line}` is no figure"))?;
        eprintln!("   {}", figure.line());
        results.add(figure);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("bench-ledger ended with {status}");
    }
    Ok(results)
}

// === impl Figure ===

impl Figure {
    fn parse(line: &str) -> Option<Self> {
        let said: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| said[key].as_str().map(str::to_owned);
        Some(Self {
            case: text("case")?,
            metric: text("metric")?,
            unit: text("unit")?,
            setting: said
                .get("setting")?
                .is_object()
                .then(|| said["setting"].clone())?,
            values: vec![said["value"].as_f64()?],
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.case, &self.metric, &self.setting) == (&other.case, &other.metric, &other.setting)
    }

    fn json(&self, machine: &Conditions) -> Value {
        let (least, most) = range(&self.values);
        let mut conditions = machine.disk_json();
        for (name, value) in self.setting.as_object().into_iter().flatten() {
            conditions[name] = value.clone();
        }
        conditions["entry_bytes"] = json!(ENTRY_BYTES);
        conditions["attachment_bytes"] = json!(ATTACHMENT_BYTES);
        conditions["attachment_share"] = json!(1);
        conditions["least"] = json!(precise(least));
        conditions["most"] = json!(precise(most));
        json!({
            "bench": "ledger",
            "case": self.case,
            "metric": self.metric,
            "value": precise(median(&self.values)),
            "unit": self.unit,
            "n": self.values.len(),
            "conditions": conditions,
        })
    }

    fn line(&self) -> String {
        let (least, most) = range(&self.values);
        let setting = self.setting.as_object().into_iter().flatten();
        let setting: Vec<String> = setting
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        let mut line = format!(
            "{:<15}{:<22}{:<18}{:>12} {:<6}",
            self.case,
            self.metric,
            setting.join(" "),
            precise(median(&self.values)),
            self.unit,
        );
        if self.values.len() > 1 {
            line += &format!("({}–{})", precise(least), precise(most));
        }
        line.trim_end().to_owned()
    }
}

// === impl Results ===

impl Results {
    fn add(&mut self, figure: Figure) {
        match self.0.iter_mut().find(|held| held.is_same(&figure)) {
            Some(held) => held.values.extend(figure.values),
            None => self.0.push(figure),
        }
    }

    fn text(&self, conditions: &Conditions, rounds: usize) -> String {
        let mut text = format!(
            "{}\nentries of {ENTRY_BYTES} bytes, each with an attachment of {ATTACHMENT_BYTES}; \
             medians of {rounds} rounds; in brackets the least and the most; files in the page cache\n\n",
            conditions.disk_text(),
        );
        for figure in &self.0 {
            text += &figure.line();
            text.push('\n');
        }
        if self
            .median("machine", "not_ours", None)
            .is_some_and(|share| share > 0.12)
        {
            text +=
                "\nmore than 12 % of the machine was not ours: measure again when it is quiet\n";
        }
        if self
            .median("machine", "create_us", None)
            .is_some_and(|us| us > SLOW_TO_CREATE)
        {
            text += "\nmaking files is slow here, perhaps because many were removed: measure again in five minutes\n";
        }
        text
    }

    /// What the ledger has to reach. A goal whose figure is missing is not met.
    fn goals(&self) -> Vec<Outcome> {
        let largest = SIZES.last().map(|size| ("entries", *size));
        let waiting = |in_flight| {
            let setting = Some(("in_flight", in_flight));
            self.median("append/same", "entries_per_s", setting)
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
                self.median("fsck", "s", largest),
                10.0,
            ),
            Outcome::at_most(
                "fsck of 10^6 entries at most 200 MiB",
                self.most("fsck", "rss_mib", largest),
                200.0,
            ),
            Outcome::at_most(
                "opening 10^6 entries at most 1 s",
                self.median("open", "s", largest),
                1.0,
            ),
            Outcome::at_most(
                "opening 10^6 entries after a kill at most 1 s",
                self.median("open_killed", "s", largest),
                1.0,
            ),
        ]
    }

    fn median(&self, case: &str, metric: &str, setting: Option<(&str, u64)>) -> Option<f64> {
        self.find(case, metric, setting)
            .map(|figure| median(&figure.values))
    }

    fn most(&self, case: &str, metric: &str, setting: Option<(&str, u64)>) -> Option<f64> {
        self.find(case, metric, setting)
            .map(|figure| range(&figure.values).1)
    }

    fn find(&self, case: &str, metric: &str, setting: Option<(&str, u64)>) -> Option<&Figure> {
        let setting = setting.map_or_else(|| json!({}), |(name, value)| json!({ name: value }));
        self.0.iter().find(|figure| {
            figure.case == case && figure.metric == metric && figure.setting == setting
        })
    }
}

/// Three decimals; below one, the first three digits that are not zero: some figures are milliseconds
/// counted in seconds.
fn precise(value: f64) -> f64 {
    if value == 0.0 || value.abs() >= 1.0 {
        return rounded(value);
    }
    let scale = 10_f64.powf(2.0 - value.abs().log10().floor());
    (value * scale).round() / scale
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
    use super::*;

    fn results(lines: &[(&str, &str, f64, Value)]) -> Results {
        let mut results = Results::default();
        for (case, metric, value, setting) in lines {
            let line = json!({
                "case": case, "metric": metric, "unit": "u", "value": value, "setting": setting,
            });
            results.add(Figure::parse(&line.to_string()).unwrap());
        }
        results
    }

    #[test]
    fn values_of_the_same_setting_are_one_figure() {
        let at = |entries| json!({ "entries": entries });
        let results = results(&[
            ("fsck", "s", 1.0, at(10_000)),
            ("fsck", "s", 3.0, at(10_000)),
            ("fsck", "s", 9.0, at(100_000)),
        ]);
        assert_eq!(results.0.len(), 2);
        assert_eq!(
            results.median("fsck", "s", Some(("entries", 10_000))),
            Some(2.0)
        );
        assert_eq!(
            results.most("fsck", "s", Some(("entries", 10_000))),
            Some(3.0)
        );
        assert!(Figure::parse("filled").is_none());
        assert!(Figure::parse("{}").is_none());
    }

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
            results(lines).goals().iter().map(Outcome::met).collect()
        };
        assert_eq!(met(&lines), [true, false, false, true, true, false]);
        // Memory is judged by the most that was ever held.
        lines.push(("fsck", "rss_mib", 201.0, at(1_000_000)));
        assert_eq!(met(&lines), [true, false, false, false, true, false]);
    }

    #[test]
    fn small_values_keep_their_digits() {
        assert_eq!(precise(0.001_234_5), 0.001_23);
        assert_eq!(precise(1_234.567_89), 1_234.568);
        assert_eq!(precise(0.0), 0.0);
    }
}
