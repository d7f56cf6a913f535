//! `entente doctor`: whether a role has what it needs, and what to do where it has not.
//!
//! It reads files and asks the network itself, so it works while the role runs and while it does not. It
//! takes no lock of the role, and writes nothing to it. Each group gathers first and judges then: what is
//! judged is plain values.

mod adapters;
mod clock;
mod config;
mod finding;
mod keys;
mod ledger;
mod peers;
mod registry;
mod site;

use std::path::PathBuf;

use clap::Args;
use entente_clock::Timestamp;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};
pub(crate) use finding::Said;
use finding::{Finding, Group, Verdict};
pub(crate) use ledger::folders;
pub(crate) use registry::words;
use site::Site;

/// Check whether a role has what it needs, and say what to do where it has not
///
/// Looks at the role's files, asks the registry, peers and systems, and changes nothing. The role may be
/// running or not. Exits with 0 when no check failed; otherwise by the gravest: 6 evidence does not hold, 3 the
/// registry has other keys, 1 something here failed, 2 a file or its mode is wrong, 7 a person must decide, 5
/// somebody does not answer.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// Only these groups; otherwise all
    #[arg(value_enum, value_name = "GROUP")]
    groups: Vec<Group>,
    /// The role's configuration; by default the one in this folder
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(crate) async fn run(args: &DoctorArgs, screen: &Screen) -> Result<(), Failure> {
    let file = role_file(args.config.as_deref(), screen)?;
    let began = entente_sandbox::Seams::real().clock.now();
    let (role, mut findings) = examine(&file, &args.groups, screen).await?;
    if !args.groups.is_empty() {
        findings.retain(|finding| args.groups.contains(&finding.group()));
    }
    findings.sort_by_key(Finding::group);
    let took = entente_sandbox::Seams::real().clock.now().since(began);
    show(&role, &findings, took, screen);
    match finding::worst(&findings) {
        None => Ok(()),
        Some(exit) => Err(Failure::told(exit)),
    }
}

/// The file of a role: named, or the one in this folder.
pub(crate) fn role_file(
    named: Option<&std::path::Path>,
    screen: &Screen,
) -> Result<PathBuf, Failure> {
    let here = || {
        let files = ROLE_FILES.map(PathBuf::from);
        files.into_iter().find(|file| file.is_file())
    };
    let file = named.map(PathBuf::from).or_else(here).ok_or_else(|| {
        Failure::new(Exit::Usage, screen.text(Text::NoRoleFile, &[]))
            .note(Text::LabelDo, "--config security-server.yaml")
    })?;
    Ok(super::in_folder(&file))
}

/// Who it is, and what was found.
async fn examine(
    file: &std::path::Path,
    groups: &[Group],
    screen: &Screen,
) -> Result<(String, Vec<Finding>), Failure> {
    let is_asked = |group| groups.is_empty() || groups.contains(&group);
    let site = match Site::load(file, screen).await? {
        Ok(site) => site,
        Err(broken) => return Ok((file.display().to_string(), vec![*broken])),
    };
    let mut findings = config::check(&site);
    let registry = registry::gather(&site).await;
    if is_asked(Group::Registry) {
        findings.extend(registry::judge(&site, &registry));
    }
    if is_asked(Group::Clock) {
        findings.extend(clock::judge(&clock::gather(&site, &registry).await));
    }
    if is_asked(Group::Keys) {
        findings.extend(keys::check(&site, &registry).await);
    }
    if is_asked(Group::Ledger) {
        findings.extend(ledger::check(&site, &registry, screen).await);
    }
    if is_asked(Group::Peers) {
        findings.extend(peers::check(&site, &registry).await);
    }
    if is_asked(Group::Adapters) {
        findings.extend(adapters::check(&site).await);
    }
    Ok((site.name(), findings))
}

fn show(role: &str, findings: &[Finding], took: std::time::Duration, screen: &Screen) {
    let count = |verdict: fn(&Verdict) -> bool| {
        let verdicts = findings.iter().map(Finding::verdict);
        verdicts.filter(verdict).count()
    };
    let warnings = count(|verdict| matches!(verdict, Verdict::Warn));
    let failures = count(|verdict| matches!(verdict, Verdict::Fail(_)));
    let value = json!({
        "role": role,
        "checks": findings.iter().map(|finding| finding.value(screen.lang)).collect::<Vec<_>>(),
        "warnings": warnings,
        "failures": failures,
        "took_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    });
    screen.show("doctor", value, |screen| {
        print_out(screen.bold(role));
        for finding in findings {
            print_out(finding.lines(screen));
        }
        let checks = findings.len();
        let facts: [Fact<'_>; 3] = [
            ("checks", &checks),
            ("warnings", &warnings),
            ("failures", &failures),
        ];
        let sum = screen.text(Text::DoctorSum, &facts);
        print_out(match (failures, warnings) {
            (0, 0) => screen.green(&sum),
            (0, _) => sum,
            _ => screen.red(&sum),
        });
    });
}

/// Seconds from one moment to another, negative when it is the other way round.
fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    let forth = i64::try_from(to.since(from).as_secs()).unwrap_or(i64::MAX);
    let back = i64::try_from(from.since(to).as_secs()).unwrap_or(i64::MAX);
    forth.saturating_sub(back)
}

const ROLE_FILES: [&str; 2] = ["security-server.yaml", "registry.yaml"];
const EXAMPLES: &str = "\
Examples:
  entente doctor -c sandbox/pensions/security-server.yaml
  entente doctor keys ledger -c security-server.yaml
  entente doctor -c registry.yaml -o json";
