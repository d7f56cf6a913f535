//! The rules a compiler does not know, checked over the tree and over what cargo resolved.
//!
//! Each rule is a function from files or packages to findings, so that its tests can plant a fault.

mod bans;
mod directions;
mod licences;
mod markdown;
mod names;
mod paths;
mod pure;
mod source;
mod testing;

use anyhow::bail;

use crate::{docs, workspace};

/// What a rule found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// What must be mended.
    pub(crate) faults: Vec<String>,
    /// What wants a look.
    pub(crate) warnings: Vec<String>,
}

/// Runs every rule and fails when one found a fault.
pub(crate) fn run() -> anyhow::Result<()> {
    let files = workspace::files()?;
    let packages = workspace::packages()?;
    let sources: Vec<_> = files.iter().filter_map(source::Source::of).collect();

    let mut findings = Findings::default();
    findings.add("directions", directions::check(&packages));
    findings.add("bans", bans::check_declared(&packages));
    findings.add("bans", bans::check_built(&packages, &bans::CargoTree)?);
    findings.add("licences", licences::check(&packages));
    findings.add("lengths", source::check_lengths(&sources));
    findings.add("names", names::check(&sources));
    findings.add("tests", testing::check(&sources));
    findings.add("pure", pure::check(&sources));
    findings.add("ciphers", pure::check_ciphers(&sources));
    findings.add("paths", paths::check(&files));
    findings.add("links", markdown::check_links(&files));
    findings.add("threats", markdown::check_tests_named(&files, &sources));
    findings.add("docs", docs::check_reasons(&files));

    for warning in &findings.warnings {
        println!("warning  {warning}");
    }
    for fault in &findings.faults {
        println!("fault    {fault}");
    }
    println!(
        "tidy: {} sources, {} packages, {} warnings, {} faults",
        sources.len(),
        packages.len(),
        findings.warnings.len(),
        findings.faults.len()
    );
    match findings.faults.len() {
        0 => Ok(()),
        count => bail!("tidy found {count} faults"),
    }
}

// === impl Findings ===

impl Findings {
    /// Findings that are all faults.
    pub(crate) fn faults(faults: Vec<String>) -> Self {
        Self {
            faults,
            warnings: Vec::new(),
        }
    }

    fn add(&mut self, rule: &str, other: Self) {
        let named = |found: String| format!("[{rule}] {found}");
        self.faults.extend(other.faults.into_iter().map(named));
        self.warnings.extend(other.warnings.into_iter().map(named));
    }
}
