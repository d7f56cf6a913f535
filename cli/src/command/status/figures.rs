//! What an admin port says, read: conditions of readiness, and metrics in the OpenMetrics text format.

use serde_json::{Value, json};

/// One condition of readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) name: String,
    pub(super) is_ok: bool,
    /// Why it does not hold, as the role says.
    pub(super) why: String,
}

/// The samples of a scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures(Vec<Sample>);

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    /// Without the prefix of every metric.
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

// === impl Condition ===

impl Condition {
    pub(super) fn value(&self) -> Value {
        let why = (!self.is_ok).then_some(&self.why);
        json!({ "condition": self.name, "ok": self.is_ok, "why": why })
    }
}

/// Reads `/readyz?verbose`.
pub(super) fn conditions(text: &str) -> Vec<Condition> {
    let lines = text.lines().filter_map(|line| {
        let (is_ok, said) = match line.split_once(' ')? {
            ("[+]", said) => (true, said),
            ("[-]", said) => (false, said),
            _ => return None,
        };
        let (name, why) = said.split_once(' ').unwrap_or((said, ""));
        let why = why.strip_prefix("failed: ").unwrap_or(why);
        Some(Condition {
            name: name.to_owned(),
            is_ok,
            why: why.to_owned(),
        })
    });
    lines.collect()
}

// === impl Figures ===

impl Figures {
    /// Reads `/metrics`. Lines that are none are passed over.
    pub(super) fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(Sample::parse).collect())
    }

    /// The first sample of a metric.
    pub(super) fn first(&self, name: &str) -> Option<f64> {
        let mut named = self.0.iter().filter(|sample| sample.name == name);
        named.next().map(|sample| sample.value)
    }

    /// Every sample of a metric, by the value of a label.
    pub(super) fn by(&self, name: &str, label: &str) -> Vec<(String, f64)> {
        let named = self.0.iter().filter(|sample| sample.name == name);
        let labelled =
            named.filter_map(|sample| Some((sample.label(label)?.to_owned(), sample.value)));
        labelled.collect()
    }

    /// A label of a metric's first sample.
    pub(super) fn text(&self, name: &str, label: &str) -> Option<String> {
        let sample = self.0.iter().find(|sample| sample.name == name)?;
        sample.label(label).map(str::to_owned)
    }

    /// The sum of a counter's samples, of those that have this label.
    pub(super) fn sum(&self, name: &str, having: Option<(&str, &str)>) -> u64 {
        let named = self.0.iter().filter(|sample| sample.name == name);
        let counted = named.filter(|sample| {
            having.is_none_or(|(label, value)| sample.label(label) == Some(value))
        });
        counted.map(|sample| sample.value.max(0.0) as u64).sum()
    }
}

// === impl Sample ===

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let line = line.strip_prefix(PREFIX)?;
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = Vec::new();
        if let Some(mut inside) = rest.strip_prefix('{') {
            while let Some((label, after)) = inside.split_once("=\"") {
                // Names of the directory and the catalogue have no quotes.
                let (value, after) = after.split_once('"')?;
                labels.push((label.to_owned(), value.to_owned()));
                inside = after.strip_prefix(',').unwrap_or(after);
                if inside.starts_with('}') {
                    break;
                }
            }
            rest = inside.strip_prefix('}')?;
        }
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        Some(Self {
            name: name.to_owned(),
            labels,
            value,
        })
    }

    fn label(&self, label: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        let found = labels.find(|(name, _)| name == label);
        found.map(|(_, value)| value.as_str())
    }
}

const PREFIX: &str = "entente_";
