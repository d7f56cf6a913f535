//! Reading an agreement as its author writes it: strict YAML, errors that point at the line.

use entente_config::ConfigError;

use crate::Document;

impl Document {
    /// Reads YAML; `name` is what errors call it, usually the path. Unknown and repeated keys are
    /// refused with the nearest known one; every bound and structural rule is checked.
    ///
    /// # Errors
    /// Where the text departs from the format, or which rule the document breaks.
    pub fn from_yaml_named(text: &str, name: &str) -> Result<Self, ConfigError> {
        let document: Self = entente_config::parse(text, name)?;
        document
            .check_rules()
            .map_err(|rule| ConfigError::new(name, rule.to_string()))?;
        Ok(document)
    }

    /// Reads YAML, as [`Document::from_yaml_named`] does, with no name to show.
    ///
    /// # Errors
    /// As [`Document::from_yaml_named`].
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        Self::from_yaml_named(text, "agreement")
    }
}
