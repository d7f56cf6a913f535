//! What time-stamping authorities say of a ledger: each token over what the ledger held, and every
//! entry's own time between the tokens around it.
//!
//! An entry below a token's size existed when the authority made the token. An entry after a logged
//! token came after it was made. Between the two lies the entry's true time, whatever its server says.

use std::path::Path;
use std::time::Duration;

use entente_clock::Timestamp;
use entente_ledger::entry::{Body, TimeStamp};
use entente_ledger::log::LogError;
use entente_ledger::{Checkpoint, Entry, Reader};
use entente_security_server::{Config, Timestamp as Timestamps};
use entente_signing::Digest;
use entente_timestamp::{Authorities, Stamp, TokenError, verify};
use serde_json::{Value, json};

use super::keys::nearest_config;
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// What was found in one ledger.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    /// How many tokens there are.
    tokens: u64,
    /// Whether their signatures were checked: only when it is known whose count.
    is_checked: bool,
    /// How far the newest good token reaches, and when its entries existed at the latest.
    vouched: Option<(u64, Timestamp)>,
    faults: Vec<Found>,
    /// Every entry's bracket, when asked for.
    times: Vec<Bracket>,
}

/// A fault, and the entry that shows it.
#[derive(Debug)]
struct Found {
    index: u64,
    fault: StampFault,
}

/// What is wrong. Variants are alphabetical.
#[derive(Debug)]
enum StampFault {
    /// The entry says it is older than a token logged before it.
    Backdated { at: Timestamp, after: Timestamp },
    /// The entry says it is younger than a token over it.
    Postdated { at: Timestamp, before: Timestamp },
    /// The token reaches no further than one logged before it: no server has reason to ask for that.
    Repeated { size: u64 },
    /// The size and root beside a token are not this ledger's before the entry.
    Root,
    /// The token does not verify.
    Token(TokenError),
}

/// When an entry was made: by its own word, and by the tokens around it.
#[derive(Clone, Copy, Debug)]
struct Bracket {
    index: u64,
    at: Timestamp,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

/// A good token.
#[derive(Debug)]
struct Good {
    index: u64,
    size: u64,
    stamp: Stamp,
}

/// The authorities that count: those in `roots`, or of the configuration that `config` is or that is
/// nearest above the folder, whose policy holds for either. `None` when nobody names any.
pub(super) fn authorities(
    dir: &Path,
    roots: Option<&Path>,
    config: Option<&Path>,
) -> Result<Option<Authorities>, Failure> {
    let named = configured(dir, config)?;
    let of_config = named.as_ref().map(|named| named.roots.as_path());
    let Some(path) = roots.or(of_config) else {
        return Ok(None);
    };
    let pem = std::fs::read(path)
        .map_err(|error| Failure::new(Exit::Usage, path.display().to_string()).because(&error))?;
    let authorities = Authorities::parse(&pem).map_err(|error| Failure::of(Exit::Usage, &error))?;
    let policy = named.and_then(|named| named.policy);
    Ok(Some(authorities.with_policy(policy.map(|policy| policy.0))))
}

/// What the server's configuration says about time stamps: the one that `config` is, or that is nearest
/// above the folder.
pub(super) fn configured(dir: &Path, config: Option<&Path>) -> Result<Option<Timestamps>, Failure> {
    let named = config
        .map(Path::to_owned)
        .filter(|config| is_server(config));
    // One of a member or a registry says nothing about time stamps: the server's does.
    let nearest = || nearest_config(dir).filter(|config| is_server(config));
    match named.or_else(nearest) {
        Some(config) => Ok(Config::load(&config)?.timestamp),
        None => Ok(None),
    }
}

fn is_server(file: &Path) -> bool {
    let text = std::fs::read_to_string(file);
    text.is_ok_and(|text| text.lines().any(|line| line.starts_with("server:")))
}

/// Checks all tokens of a ledger, and every entry's time against them.
pub(super) fn check(
    reader: &mut Reader,
    origin: &str,
    authorities: Option<&Authorities>,
    wants_times: bool,
) -> Result<Stamps, LogError> {
    let mut stamps = Stamps {
        is_checked: authorities.is_some(),
        ..Stamps::default()
    };
    let mut good = Vec::new();
    let mut reach = None;
    for index in 0..reader.size() {
        let Some(bytes) = reader.entry(index)? else {
            break;
        };
        let Ok(Entry {
            body: Body::TimeStamp(stamp),
            ..
        }) = Entry::decode(&bytes)
        else {
            continue;
        };
        stamps.tokens += 1;
        let size = stamp.size;
        match check_token(reader, index, stamp, origin, authorities)? {
            Ok(stamp) => {
                if reach.is_some_and(|reach| size <= reach) {
                    stamps.find(index, StampFault::Repeated { size });
                }
                reach = reach.max(Some(size));
                good.extend(stamp.map(|stamp| Good { index, size, stamp }));
            }
            Err(fault) => stamps.find(index, fault),
        }
    }
    stamps.vouched = good
        .iter()
        .max_by_key(|good| good.size)
        .map(|good| (good.size, good.stamp.latest()));
    if !good.is_empty() || wants_times {
        stamps.check_times(reader, &good, wants_times)?;
    }
    Ok(stamps)
}

/// One token: over a size and root that this ledger had, and by an authority that counts.
fn check_token(
    reader: &mut Reader,
    index: u64,
    logged: TimeStamp,
    origin: &str,
    authorities: Option<&Authorities>,
) -> Result<Result<Option<Stamp>, StampFault>, LogError> {
    let TimeStamp { size, root, token } = logged;
    // A ledger's token is over what came before it.
    if size > index || reader.root(size)? != Some(root) {
        return Ok(Err(StampFault::Root));
    }
    let Some(authorities) = authorities else {
        return Ok(Ok(None));
    };
    let checkpoint = Checkpoint {
        origin: origin.to_owned(),
        size,
        root,
    };
    let imprint = Digest::of(checkpoint.to_string().as_bytes());
    let verified = verify(&token, imprint, authorities);
    Ok(verified.map(Some).map_err(StampFault::Token))
}

/// By size, when everything below it existed at the latest: as the earliest token says that is over it.
fn deadlines(good: &[Good]) -> Vec<(u64, Timestamp)> {
    let tokens = good.iter().map(|good| (good.size, good.stamp.latest()));
    let mut deadlines: Vec<_> = tokens.collect();
    deadlines.sort_unstable();
    let mut earliest = Timestamp::MAX;
    for (_, before) in deadlines.iter_mut().rev() {
        earliest = earliest.min(*before);
        *before = earliest;
    }
    deadlines
}

// === impl Stamps ===

impl Stamps {
    /// Whether nothing was found.
    pub(super) fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    fn find(&mut self, index: u64, fault: StampFault) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Found { index, fault });
        }
    }

    fn check_times(
        &mut self,
        reader: &mut Reader,
        good: &[Good],
        wants_times: bool,
    ) -> Result<(), LogError> {
        let (mut logged, mut after) = (good.iter().peekable(), None);
        let (deadlines, mut covering) = (deadlines(good), 0);
        for index in 0..reader.size() {
            let Some(bytes) = reader.entry(index)? else {
                break;
            };
            let Some(at) = Entry::time_of(&bytes) else {
                continue;
            };
            // The latest of those logged before: an old token that is logged again takes nothing back.
            while let Some(token) = logged.next_if(|token| token.index < index) {
                let made = token.stamp.at().saturating_sub(token.stamp.accuracy());
                after = after.max(Some(made));
            }
            while deadlines
                .get(covering)
                .is_some_and(|(size, _)| *size <= index)
            {
                covering += 1;
            }
            let bracket = Bracket {
                index,
                at,
                after,
                before: deadlines.get(covering).map(|(_, before)| *before),
            };
            if let Some(after) = bracket.after
                && after.since(at) > SKEW
            {
                self.find(index, StampFault::Backdated { at, after });
            }
            if let Some(before) = bracket.before
                && at.since(before) > SKEW
            {
                self.find(index, StampFault::Postdated { at, before });
            }
            if wants_times {
                self.times.push(bracket);
            }
        }
        Ok(())
    }

    /// For a program.
    pub(super) fn value(&self, wants_times: bool) -> Value {
        let mut value = json!({
            "tokens": self.tokens,
            "checked": self.is_checked,
            "vouched_size": self.vouched.map(|(size, _)| size),
            "vouched_by": self.vouched.map(|(_, at)| at.to_string()),
            "findings": self.faults.iter().map(|found| json!({
                "entry": found.index,
                "fault": found.fault.code(),
            })).collect::<Vec<_>>(),
        });
        if wants_times {
            let times = self.times.iter().map(|time| {
                json!({
                    "entry": time.index,
                    "at": time.at.to_string(),
                    "after": time.after.map(|at| at.to_string()),
                    "before": time.before.map(|at| at.to_string()),
                })
            });
            value["times"] = times.collect();
        }
        value
    }

    /// For people.
    pub(super) fn print(&self, screen: &Screen) {
        if self.tokens > 0 {
            let tokens: Fact<'_> = ("tokens", &self.tokens);
            let said = match self.vouched {
                Some((size, at)) => {
                    screen.text(Text::StampedUpTo, &[tokens, ("size", &size), ("at", &at)])
                }
                None if self.is_checked => screen.text(Text::StampsBad, &[tokens]),
                None => screen.text(Text::StampsUnchecked, &[tokens]),
            };
            print_out(format!(
                "  {:<11} {said}",
                screen.text(Text::HeadStamped, &[])
            ));
        }
        for found in &self.faults {
            let said = found.fault.text(found.index, screen);
            print_out(screen.red(&format!("  {said}")));
        }
        for time in &self.times {
            let or_open =
                |at: Option<Timestamp>| at.map_or_else(|| "…".into(), |at| at.to_string());
            let (after, before) = (or_open(time.after), or_open(time.before));
            print_out(format!(
                "  {:>8}  {}  {after:>24} < {before}",
                time.index, time.at
            ));
        }
    }

    /// How the command ends when a token or a time does not hold.
    pub(super) fn failure(&self, dir: &Path, screen: &Screen) -> Failure {
        let first = self.faults.first();
        let file = first.map_or_else(
            || "-".to_owned(),
            |found| found.fault.text(found.index, screen),
        );
        let facts: [Fact<'_>; 2] = [("dir", &dir.display()), ("file", &file)];
        Failure::new(Exit::Integrity, screen.text(Text::IntegrityFailed, &facts))
            .note(Text::LabelDo, screen.text(Text::IntegrityDo, &[]))
    }
}

// === impl StampFault ===

impl StampFault {
    const fn code(&self) -> &'static str {
        match self {
            Self::Backdated { .. } => "backdated",
            Self::Postdated { .. } => "postdated",
            Self::Repeated { .. } => "repeated",
            Self::Root => "root",
            Self::Token(_) => "token",
        }
    }

    fn text(&self, index: u64, screen: &Screen) -> String {
        let index: Fact<'_> = ("index", &index);
        match self {
            Self::Backdated { at, after } => {
                screen.text(Text::StampBackdated, &[index, ("at", at), ("after", after)])
            }
            Self::Postdated { at, before } => screen.text(
                Text::StampPostdated,
                &[index, ("at", at), ("before", before)],
            ),
            Self::Repeated { size } => screen.text(Text::StampRepeated, &[index, ("size", size)]),
            Self::Root => screen.text(Text::StampOfOther, &[index]),
            Self::Token(error) => screen.text(Text::StampRefused, &[index, ("why", error)]),
        }
    }
}

/// How far a server's clock may be from an authority's (DESIGN.md §16, clock skew).
const SKEW: Duration = Duration::from_secs(60);
const MAX_FAULTS: usize = 1_000;
