//! One measured value, as a line of JSON.

use serde_json::{Value, json};

/// One value. The same case, metric and setting may come again: then it was measured again.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// What was measured: `file`, `append`, `fsck` …
    pub case: String,
    /// Which of its properties.
    pub metric: String,
    /// In what.
    pub unit: String,
    /// How much.
    pub value: f64,
    /// Under which conditions, by name: `entries`, `in_flight`.
    pub setting: Vec<(String, u64)>,
}

// === impl Measured ===

impl Measured {
    /// A value under no condition.
    pub fn new(case: &str, metric: &str, unit: &str, value: f64) -> Self {
        Self {
            case: case.to_owned(),
            metric: metric.to_owned(),
            unit: unit.to_owned(),
            value,
            setting: Vec::new(),
        }
    }

    /// Adds a condition.
    #[must_use]
    pub fn with(mut self, name: &str, value: u64) -> Self {
        self.setting.push((name.to_owned(), value));
        self
    }

    /// The line, without its end.
    pub fn line(&self) -> String {
        let setting: serde_json::Map<String, Value> = self
            .setting
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        json!({
            "case": self.case,
            "metric": self.metric,
            "unit": self.unit,
            "value": self.value,
            "setting": setting,
        })
        .to_string()
    }

    /// Reads what [`Measured::line`] wrote.
    pub fn parse(line: &str) -> Option<Self> {
        let said: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| said[key].as_str().map(str::to_owned);
        let setting = said["setting"].as_object()?.iter();
        Some(Self {
            case: text("case")?,
            metric: text("metric")?,
            unit: text("unit")?,
            value: said["value"].as_f64()?,
            setting: setting
                .map(|(name, value)| Some((name.clone(), value.as_u64()?)))
                .collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_its_line() {
        let measured = Measured::new("append", "entries_per_s", "1/s", 1.5)
            .with("entries", 10)
            .with("in_flight", 2);
        assert_eq!(Measured::parse(&measured.line()), Some(measured));
        assert_eq!(Measured::parse("{}"), None);
        assert_eq!(Measured::parse("waiting"), None);
    }
}
