//! Environment variables over a configuration file, for a short documented list.

use std::path::Path;
use std::str::FromStr;

use serde::de::DeserializeOwned;

use crate::document::load;
use crate::error::ConfigError;

/// One environment variable that a role allows over its file.
#[derive(Clone, Copy, Debug)]
pub struct Override<T> {
    /// The variable: `ENTENTE_…`.
    pub variable: &'static str,
    /// The key of the file it replaces, for documentation: `listen.consumers`.
    pub key: &'static str,
    /// Sets the value; usually one call of [`set`]. The error says what was expected and must not
    /// repeat the text.
    pub apply: fn(&mut T, &str) -> Result<(), String>,
}

/// Reads a file and applies the overrides that `environment` knows, in the order of the list.
///
/// Pass `&|name| std::env::var(name).ok()` for the process's own environment.
///
/// # Errors
/// As [`load`], and when a variable's text is not a value of its key.
pub fn load_with<T: DeserializeOwned>(
    path: &Path,
    overrides: &[Override<T>],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<T, ConfigError> {
    let mut config = load(path)?;
    for Override {
        variable,
        key,
        apply,
    } in overrides
    {
        let Some(text) = environment(variable) else {
            continue;
        };
        apply(&mut config, &text).map_err(|expected| {
            ConfigError::new(
                format!("environment variable {variable}"),
                format!("it stands for `{key}`: {expected}"),
            )
            .with_help(format!("change or unset {variable}"))
        })?;
    }
    Ok(config)
}

/// Parses `text` into `slot`.
///
/// # Errors
/// What was expected, without the text.
pub fn set<V>(slot: &mut V, text: &str) -> Result<(), String>
where
    V: FromStr,
    V::Err: std::fmt::Display,
{
    *slot = text.parse().map_err(|error: V::Err| error.to_string())?;
    Ok(())
}
