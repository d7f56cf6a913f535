//! What a figure has to reach, and what figures are made of.

use anyhow::bail;

use super::Options;

/// How a goal came out.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    goal: &'static str,
    measured: Option<f64>,
    met: bool,
}

// === impl Outcome ===

impl Outcome {
    /// A goal to reach; what was not measured does not reach it.
    pub(crate) fn at_least(goal: &'static str, measured: Option<f64>, floor: f64) -> Self {
        Self {
            goal,
            measured,
            met: measured.is_some_and(|value| value >= floor),
        }
    }

    /// A goal to stay within.
    pub(crate) fn at_most(goal: &'static str, measured: Option<f64>, ceiling: f64) -> Self {
        Self {
            goal,
            measured,
            met: measured.is_some_and(|value| value <= ceiling),
        }
    }

    /// Whether the goal was reached.
    pub(crate) const fn met(&self) -> bool {
        self.met
    }

    /// What was measured.
    #[cfg(test)]
    pub(crate) const fn measured(&self) -> Option<f64> {
        self.measured
    }

    /// One line.
    pub(crate) fn text(&self) -> String {
        let word = if self.met { "met   " } else { "MISSED" };
        let value = self
            .measured
            .map_or_else(|| "not measured".to_owned(), |v| format!("{}", rounded(v)));
        format!("{word} {}: {value}", self.goal)
    }
}

/// Says which goals were met; fails when they had to be.
pub(crate) fn judge(goals: &[Outcome], options: &Options) -> anyhow::Result<()> {
    if !options.json {
        for goal in goals {
            println!("{}", goal.text());
        }
    }
    let missed: Vec<String> = goals
        .iter()
        .filter(|goal| !goal.met())
        .map(Outcome::text)
        .collect();
    if options.check && !missed.is_empty() {
        bail!("{}", missed.join("; "));
    }
    Ok(())
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The least and the most.
pub(crate) fn range(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (
        least,
        values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    )
}

/// Three decimals: more is noise.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert_eq!(range(&[3.0, 1.0]), (1.0, 3.0));
    }

    #[test]
    fn a_missed_goal_fails_only_a_check() {
        let missed = [Outcome::at_most("few", Some(2.0), 1.0)];
        let options = |words: &[&str]| Options::parse(words).unwrap();
        assert!(judge(&missed, &options(&[])).is_ok());
        let error = judge(&missed, &options(&["--check"])).unwrap_err();
        assert_eq!(error.to_string(), "MISSED few: 2");
        let met = [Outcome::at_most("few", Some(1.0), 1.0)];
        assert!(judge(&met, &options(&["--check"])).is_ok());
    }
}
