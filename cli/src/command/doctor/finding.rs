//! What one check found, and what to do about it.

use std::fmt::{Display, Write as _};

use clap::ValueEnum;
use entente_reason::Lang;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::output::Screen;
use crate::texts::{Fact, Text};

/// What belongs together. In the order in which it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Group {
    /// The file, and the paths it names
    Config,
    /// Against the registry, the ledger and the time-stamping authority
    Clock,
    /// There, usable, and in force in the registry
    Keys,
    /// Reached, verified, fresh
    Registry,
    /// Sound, signed, witnessed, with room to grow
    Ledger,
    /// Every agreement's other party accepts connections with its registered key
    Peers,
    /// The systems and adapters behind the role answer
    Adapters,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and will not for ever, or cannot be told.
    Warn,
    /// It does not work; what that is for a script.
    Fail(Exit),
}

/// A sentence that is not written out in a language yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    text: Text,
    facts: Vec<(&'static str, String)>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// This command.
    Run(String),
    /// This.
    Do(Said),
}

/// One check's end. Whatever is not OK has a remedy: there is no way to make one without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    group: Group,
    check: &'static str,
    verdict: Verdict,
    found: Said,
    remedy: Option<Remedy>,
}

// === impl Said ===

impl Said {
    pub(crate) const fn of(text: Text) -> Self {
        Self {
            text,
            facts: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.facts.push((name, value.to_string()));
        self
    }

    pub(crate) fn fill(&self, lang: Lang) -> String {
        let facts = self.facts.iter();
        let facts: Vec<Fact<'_>> = facts
            .map(|(name, value)| (*name, value as &dyn Display))
            .collect();
        self.text.fill(lang, &facts)
    }
}

// === impl Remedy ===

impl Remedy {
    pub(super) fn run(command: impl Into<String>) -> Self {
        Self::Run(command.into())
    }

    fn fill(&self, lang: Lang) -> String {
        match self {
            Self::Run(command) => command.clone(),
            Self::Do(said) => said.fill(lang),
        }
    }
}

impl From<Said> for Remedy {
    fn from(said: Said) -> Self {
        Self::Do(said)
    }
}

impl From<Text> for Remedy {
    fn from(text: Text) -> Self {
        Self::Do(Said::of(text))
    }
}

// === impl Finding ===

impl Finding {
    pub(super) const fn ok(group: Group, check: &'static str, found: Said) -> Self {
        Self {
            group,
            check,
            verdict: Verdict::Ok,
            found,
            remedy: None,
        }
    }

    pub(super) fn warn(
        group: Group,
        check: &'static str,
        found: Said,
        remedy: impl Into<Remedy>,
    ) -> Self {
        Self {
            group,
            check,
            verdict: Verdict::Warn,
            found,
            remedy: Some(remedy.into()),
        }
    }

    pub(super) fn fail(
        group: Group,
        check: &'static str,
        exit: Exit,
        found: Said,
        remedy: impl Into<Remedy>,
    ) -> Self {
        Self {
            verdict: Verdict::Fail(exit),
            ..Self::warn(group, check, found, remedy)
        }
    }

    pub(super) const fn group(&self) -> Group {
        self.group
    }

    pub(super) const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// For scripts.
    pub(super) fn value(&self, lang: Lang) -> Value {
        let group = self.group.to_possible_value();
        let group = group.as_ref().map(clap::builder::PossibleValue::get_name);
        json!({
            "group": group,
            "check": self.check,
            "verdict": self.verdict.code(),
            "found": self.found.fill(lang),
            "do": self.remedy.as_ref().map(|remedy| remedy.fill(lang)),
        })
    }

    /// For people: what was found, and below it what to do.
    pub(super) fn lines(&self, screen: &Screen) -> String {
        let mark = format!("{:<5}", screen.text(self.verdict.text(), &[]));
        let mark = match self.verdict {
            Verdict::Ok => screen.green(&mark),
            Verdict::Warn => screen.bold(&mark),
            Verdict::Fail(_) => screen.red(&mark),
        };
        let found = self.found.fill(screen.lang).replace('\n', INDENT);
        let mut lines = format!("{mark}  {:<20}  {found}", self.check);
        if let Some(remedy) = &self.remedy {
            let label = screen.text(Text::LabelDo, &[]);
            let remedy = remedy.fill(screen.lang);
            let _ = write!(lines, "{INDENT}{label:<8} {remedy}");
        }
        lines
    }
}

/// The exit code of the gravest failure; none when nothing failed.
pub(super) fn worst(findings: &[Finding]) -> Option<Exit> {
    let failed = findings.iter().filter_map(|finding| match finding.verdict {
        Verdict::Fail(exit) => Some(exit),
        Verdict::Ok | Verdict::Warn => None,
    });
    failed.min_by_key(|exit| GRAVEST.iter().position(|grave| grave == exit))
}

// === impl Verdict ===

impl Verdict {
    const fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail(_) => "fail",
        }
    }

    const fn text(self) -> Text {
        match self {
            Self::Ok => Text::DoctorOk,
            Self::Warn => Text::DoctorWarn,
            Self::Fail(_) => Text::DoctorFail,
        }
    }
}

/// A new line below what was found.
const INDENT: &str = "\n                             ";

const GRAVEST: [Exit; 7] = [
    Exit::Integrity,
    Exit::Refused,
    Exit::Failed,
    Exit::Usage,
    Exit::NeedsPerson,
    Exit::NotFound,
    Exit::Unavailable,
];

/// In a test: that a finding is no success, and what its remedy is in either language.
#[cfg(test)]
pub(super) fn remedies(finding: &Finding) -> [String; 2] {
    assert_ne!(finding.verdict, Verdict::Ok, "{finding:?}");
    [Lang::En, Lang::Fr].map(|lang| {
        let screen = Screen {
            format: crate::output::Format::Table,
            lang,
            color: false,
            quiet: false,
            verbose: false,
        };
        let lines = finding.lines(&screen);
        assert!(!lines.contains('{'), "{lines}");
        let (_, remedy) = lines.rsplit_once(INDENT).unwrap();
        let label = screen.text(Text::LabelDo, &[]);
        remedy.strip_prefix(&label).unwrap().trim_start().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(exit: Exit) -> Finding {
        let found = Said::of(Text::DoctorOk);
        Finding::fail(Group::Config, "x", exit, found, Text::DoctorOk)
    }

    #[test]
    fn the_exit_code_is_that_of_the_gravest_failure_and_a_warning_is_none() {
        let ok = Finding::ok(Group::Config, "x", Said::of(Text::DoctorOk));
        let found = Said::of(Text::DoctorOk);
        let warning = Finding::warn(Group::Config, "x", found, Remedy::run("y"));
        assert_eq!(worst(&[ok.clone(), warning.clone()]), None);
        let unavailable = failing(Exit::Unavailable);
        assert_eq!(
            worst(&[warning, unavailable.clone()]),
            Some(Exit::Unavailable)
        );
        let evidence = failing(Exit::Integrity);
        assert_eq!(worst(&[unavailable, ok, evidence]), Some(Exit::Integrity));
    }
}
