//! Whether an answer rests on all ledgers there are, as far as a registry knows.

use std::collections::BTreeSet;

use entente_directory::Mode;
use entente_follow::View;
use serde_json::{Value, json};

use crate::command::log::sound::Reach;
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// What the registry's directory says beside what was found. Each list holds origins.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Coverage {
    /// Ledgers that the servers of those found opened, and that are not here.
    missing: Vec<String>,
    /// Ledgers that have ended, of which the copy is not shown to reach the end.
    short: Vec<String>,
    /// Ledgers the directory does not know: whose they are, and what stands beside them.
    unknown: Vec<String>,
    /// Whether any ledger was found that it does know.
    is_known: bool,
}

// === impl Coverage ===

impl Coverage {
    /// Of what was found, by the directory. A ledger for tests tells nothing of a person, but the live
    /// ones beside it do.
    pub(super) fn of(view: &View, reaches: &[Reach]) -> Self {
        let state = &view.state;
        let mut coverage = Self::default();
        let mut opened = BTreeSet::new();
        for reach in reaches {
            let origin = reach.origin();
            // The registry's own ledger is about nobody.
            if origin == view.origin {
                continue;
            }
            let Some(shard) = state.shard_by_origin(origin) else {
                coverage.unknown.push(origin.to_owned());
                continue;
            };
            coverage.is_known = true;
            if state.shard_end(origin).is_some_and(|end| !reach.shows(end)) {
                coverage.short.push(origin.to_owned());
            }
            for mode in BTreeSet::from([Mode::Live, shard.mode]) {
                let shards = state.shards(&shard.server, mode).iter();
                opened.extend(shards.map(|shard| shard.origin.as_str()));
            }
        }
        let found: BTreeSet<&str> = reaches.iter().map(Reach::origin).collect();
        let missing = opened.difference(&found);
        coverage.missing = missing.map(|origin| (*origin).to_owned()).collect();
        coverage
    }

    /// Whether all is there; none where nobody knows.
    fn is_complete(&self) -> Option<bool> {
        match self {
            Self { missing, short, .. } if !missing.is_empty() || !short.is_empty() => Some(false),
            Self {
                unknown, is_known, ..
            } => (unknown.is_empty() && *is_known).then_some(true),
        }
    }

    /// For scripts.
    pub(super) fn put(coverage: Option<&Self>, view: Option<&View>, document: &mut Value) {
        let list = |of: fn(&Self) -> &Vec<String>| coverage.map(of);
        document["complete"] = json!(coverage.and_then(Self::is_complete));
        document["missing"] = json!(list(|coverage| &coverage.missing));
        document["short"] = json!(list(|coverage| &coverage.short));
        document["unknown"] = json!(list(|coverage| &coverage.unknown));
        document["registry"] = json!(view.map(|view| {
            json!({
                "ledger": view.origin,
                "size": view.size,
                "verified": view.verified_at.to_string(),
            })
        }));
    }

    /// For people; that something is not there is said as the command ends.
    pub(super) fn print(coverage: Option<&Self>, view: Option<&View>, screen: &Screen) {
        match coverage.and_then(Self::is_complete) {
            None => print_out(screen.text(Text::LookedUnknown, &[])),
            Some(true) => print_out(screen.text(Text::LookedComplete, &[])),
            Some(false) => {}
        }
        if let Some(view) = view {
            let facts: [Fact<'_>; 3] = [
                ("registry", &view.origin),
                ("size", &view.size),
                ("time", &view.verified_at),
            ];
            print_out(screen.dim(&screen.text(Text::LookedAsOf, &facts)));
        }
    }

    /// How the command ends.
    pub(super) fn judge(&self, screen: &Screen) -> Result<(), Failure> {
        let (what, way) = if !self.missing.is_empty() {
            let facts: [Fact<'_>; 1] = [("missing", &self.missing.join(", "))];
            let what = screen.text(Text::LookedIncomplete, &facts);
            (what, screen.text(Text::LookedIncompleteDo, &[]))
        } else if !self.short.is_empty() {
            let facts: [Fact<'_>; 1] = [("short", &self.short.join(", "))];
            let what = screen.text(Text::LookedShort, &facts);
            (what, screen.text(Text::LookedShortDo, &[]))
        } else {
            return Ok(());
        };
        Err(Failure::new(Exit::NeedsPerson, what).note(Text::LabelDo, way))
    }
}
