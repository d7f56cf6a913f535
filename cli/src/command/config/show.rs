//! `entente config show`: what a role would run with, and where each value comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use entente_central_registry::Config as RegistryConfig;
use entente_config::places;
use entente_security_server::Config as ServerConfig;
use entente_telemetry::LOG_VARIABLE;
use serde_json::{Value, json};

use super::FileKind;
use crate::exit::{Exit, Failure};
use crate::output::{Column, Screen};
use crate::texts::Text;

/// Show what a role would run with, defaults filled in
///
/// With --origin also where each value comes from: a flag, the environment, the file and its line, or the
/// default. Flags win over the environment, the environment over the file. Secrets are only ever paths.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowArgs {
    /// A security server's or a registry's configuration
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Also say where each value comes from
    #[arg(long)]
    origin: bool,
    /// As `serve` would be given it
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Default,
    Environment(&'static str),
    File(u64),
    Flag(&'static str),
}

/// A key of the file, and the variable that may stand over it.
type Over = (&'static str, &'static str);

/// One effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    key: String,
    value: Value,
    origin: Origin,
}

pub(super) fn run(args: &ShowArgs, screen: &Screen) -> Result<(), Failure> {
    let file = super::super::in_folder(&args.file);
    let text = String::from_utf8_lossy(&super::super::read_file(&file)?).into_owned();
    let (effective, variables) = effective(&file, &text, screen)?;
    let places = places(&text, &file.display().to_string())?;
    let set = |name: &str| std::env::var_os(name).is_some();
    let mut settings = settings(&effective, &places, &variables, &set);
    settings.push(log_setting(args.log.as_deref(), &|name| {
        std::env::var(name).ok()
    }));
    let items: Vec<Value> = settings
        .iter()
        .map(|setting| setting.value(&file, args.origin, screen))
        .collect();
    let columns: [Column; 3] = [
        ("key", Text::HeadKey),
        ("value", Text::HeadValue),
        ("from", Text::HeadOrigin),
    ];
    let shown = if args.origin { 3 } else { 2 };
    screen.list("config.settings", &items, &columns[..shown]);
    Ok(())
}

/// A role's whole configuration, and the variables that may stand over its file.
fn effective(file: &Path, text: &str, screen: &Screen) -> Result<(Value, Vec<Over>), Failure> {
    let (value, variables) = match FileKind::of(text) {
        Some(FileKind::SecurityServer) => {
            let config = ServerConfig::load(file)?;
            let variables = ServerConfig::OVERRIDES.iter();
            let variables = variables.map(|over| (over.key, over.variable)).collect();
            (serde_json::to_value(config), variables)
        }
        Some(FileKind::Registry) => {
            let config: RegistryConfig = entente_config::load(file)?;
            (serde_json::to_value(config), Vec::new())
        }
        _ => {
            let what = screen.text(Text::StatusNoRole, &[("file", &file.display())]);
            let check = format!("entente config check --effective {}", file.display());
            return Err(Failure::new(Exit::Usage, what).note(Text::LabelDo, check));
        }
    };
    let value = value.map_err(|error| Failure::of(Exit::Failed, &error))?;
    Ok((value, variables))
}

/// Each value with its origin, by key.
fn settings(
    effective: &Value,
    places: &BTreeMap<String, u64>,
    variables: &[Over],
    is_set: &dyn Fn(&str) -> bool,
) -> Vec<Setting> {
    let mut flat = Vec::new();
    flatten(effective, String::new(), &mut flat);
    let origin = |key: &str| {
        let mut over = variables.iter().filter(|(over, _)| *over == key);
        match over.next() {
            Some((_, variable)) if is_set(variable) => Origin::Environment(variable),
            _ => places
                .get(key)
                .copied()
                .map_or(Origin::Default, Origin::File),
        }
    };
    let settings = flat.into_iter().map(|(key, value)| Setting {
        origin: origin(&key),
        key,
        value,
    });
    settings.collect()
}

fn flatten(value: &Value, path: String, flat: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(items) if !items.is_empty() => {
            for (key, value) in items {
                let path = match path.is_empty() {
                    true => key.clone(),
                    false => format!("{path}.{key}"),
                };
                flatten(value, path, flat);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                flatten(value, format!("{path}[{index}]"), flat);
            }
        }
        value => flat.push((path, value.clone())),
    }
}

/// What is logged is no part of the file.
fn log_setting(flag: Option<&str>, environment: &dyn Fn(&str) -> Option<String>) -> Setting {
    let (value, origin) = match (flag, environment(LOG_VARIABLE)) {
        (Some(flag), _) => (flag.to_owned(), Origin::Flag("--log")),
        (None, Some(text)) => (text, Origin::Environment(LOG_VARIABLE)),
        (None, None) => ("info".to_owned(), Origin::Default),
    };
    Setting {
        key: "log".to_owned(),
        value: value.into(),
        origin,
    }
}

// === impl Setting ===

impl Setting {
    fn value(&self, file: &Path, with_origin: bool, screen: &Screen) -> Value {
        let mut value = json!({ "key": self.key, "value": self.value });
        if with_origin {
            value["origin"] = self.origin.code().into();
            value["from"] = match &self.origin {
                Origin::Default => screen.text(Text::OriginDefault, &[]),
                Origin::File(line) => format!("{}:{line}", file.display()),
                Origin::Environment(variable) => {
                    screen.text(Text::OriginEnvironment, &[("variable", variable)])
                }
                Origin::Flag(flag) => screen.text(Text::OriginFlag, &[("flag", flag)]),
            }
            .into();
        }
        value
    }
}

// === impl Origin ===

impl Origin {
    const fn code(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Environment(_) => "environment",
            Self::File(_) => "file",
            Self::Flag(_) => "flag",
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  entente config show security-server.yaml --origin
  entente config show registry.yaml -o json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let effective = json!({ "data": "/b", "limits": { "drain": "30s", "in_flight": 5 } });
        let places = BTreeMap::from([("data".to_owned(), 2), ("limits.in_flight".to_owned(), 7)]);
        let variables = [("data", "ENTENTE_DATA")];
        let origins = |set: bool| {
            let settings = settings(&effective, &places, &variables, &|_| set);
            settings
                .into_iter()
                .map(|setting| setting.origin)
                .collect::<Vec<_>>()
        };
        let rest = [Origin::Default, Origin::File(7)];
        assert_eq!(origins(false), [&[Origin::File(2)][..], &rest].concat());
        let over = Origin::Environment("ENTENTE_DATA");
        assert_eq!(origins(true), [&[over][..], &rest].concat());
        let environment = |_: &str| Some("debug".to_owned());
        assert_eq!(
            log_setting(Some("trace"), &environment).origin,
            Origin::Flag("--log")
        );
        let from = log_setting(None, &environment).origin;
        assert_eq!(from, Origin::Environment(LOG_VARIABLE));
        assert_eq!(log_setting(None, &|_| None).origin, Origin::Default);
    }
}
