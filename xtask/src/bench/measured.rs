//! What a measuring program prints, line by line, and what comes of it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::Options;
use super::case::Folder;
use super::conditions::Conditions;
use super::goals::{median, range, rounded};
use super::running::bound;
use crate::workspace;

/// All values of the same thing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    case: String,
    metric: String,
    unit: String,
    /// `{"entries": …}` or `{"in_flight": …}`.
    setting: Value,
    values: Vec<f64>,
}

/// The figures of a run, in the order they were first measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results(Vec<Figure>);

/// A measuring program, and the folder it is to measure in.
#[derive(Debug)]
pub(crate) struct Measuring {
    program: PathBuf,
    folder: Folder,
}

// === impl Measuring ===

impl Measuring {
    /// Builds the program of the crate `entente-NAME-bench`, which is `bench-NAME`.
    pub(crate) fn prepare(name: &str, options: &Options) -> anyhow::Result<Self> {
        ensure!(
            options.cases.is_empty(),
            "the {name} is measured whole, without --case"
        );
        if !options.built {
            build(&format!("entente-{name}-bench"), options.dev)?;
        }
        let target = workspace::target();
        let profile = if options.dev { "debug" } else { "release" };
        let folder = target.join("bench").join(std::process::id().to_string());
        Ok(Self {
            program: target.join(profile).join(format!("bench-{name}")),
            folder: Folder::new(folder)?,
        })
    }

    /// Where it measures.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The program, which ends with this process.
    pub(crate) fn command(&self) -> Command {
        bound(&self.program)
    }
}

fn build(package: &str, dev: bool) -> anyhow::Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "-p", package]);
    if !dev {
        cargo.arg("--release");
    }
    // Not `shown`: stdout is for figures, and cargo tells its progress on stderr.
    let status = cargo.status().context("starting cargo build")?;
    ensure!(status.success(), "cargo build ended with {status}");
    Ok(())
}

// === impl Figure ===

impl Figure {
    pub(crate) fn parse(line: &str) -> Option<Self> {
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

    fn json(&self, bench: &str, conditions: &Value) -> Value {
        let (least, most) = range(&self.values);
        let mut conditions = conditions.clone();
        for (name, value) in self.setting.as_object().into_iter().flatten() {
            conditions[name] = value.clone();
        }
        conditions["least"] = json!(precise(least));
        conditions["most"] = json!(precise(most));
        json!({
            "bench": bench,
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
            "{:<18}{:<22}{:<18}{:>12} {:<6}",
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
    /// Follows a measuring program to its end.
    pub(crate) fn follow(&mut self, program: &mut Command) -> anyhow::Result<()> {
        let mut child = program
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.get_program().display()))?;
        let out = child.stdout.take().context("a child without stdout")?;
        for line in BufReader::new(out).lines() {
            let line = line.context("reading what is measured")?;
            let figure = Figure::parse(&line);
            let figure = figure.with_context(|| format!("`{line}` is no figure"))?;
            eprintln!("   {}", figure.line());
            self.add(figure);
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("{} ended with {status}", program.get_program().display());
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, figure: Figure) {
        match self.0.iter_mut().find(|held| held.is_same(&figure)) {
            Some(held) => held.values.extend(figure.values),
            None => self.0.push(figure),
        }
    }

    /// One JSON object for each figure.
    pub(crate) fn json(
        &self,
        bench: &str,
        machine: &Conditions,
        more: &[(&str, u64)],
    ) -> Vec<Value> {
        let mut conditions = machine.disk_json();
        for (name, value) in more {
            conditions[*name] = json!(value);
        }
        let figures = self.0.iter();
        figures
            .map(|figure| figure.json(bench, &conditions))
            .collect()
    }

    /// One line for each figure.
    pub(crate) fn lines(&self) -> String {
        let lines = self.0.iter().map(|figure| figure.line() + "\n");
        lines.collect()
    }

    pub(crate) fn median(
        &self,
        case: &str,
        metric: &str,
        setting: Option<(&str, u64)>,
    ) -> Option<f64> {
        self.find(case, metric, setting)
            .map(|figure| median(&figure.values))
    }

    pub(crate) fn most(
        &self,
        case: &str,
        metric: &str,
        setting: Option<(&str, u64)>,
    ) -> Option<f64> {
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

/// Results of these lines: case, metric, value, setting.
#[cfg(test)]
pub(crate) fn results(lines: &[(&str, &str, f64, Value)]) -> Results {
    let mut results = Results::default();
    for (case, metric, value, setting) in lines {
        let line = json!({
            "case": case, "metric": metric, "unit": "u", "value": value, "setting": setting,
        });
        results.add(Figure::parse(&line.to_string()).unwrap());
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn small_values_keep_their_digits() {
        assert_eq!(precise(0.001_234_5), 0.001_23);
        assert_eq!(precise(1_234.567_89), 1_234.568);
        assert_eq!(precise(0.0), 0.0);
    }
}
