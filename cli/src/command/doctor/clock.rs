//! The clock, against the registry's, the newest entry of the ledger, and the time-stamping authority's.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use entente_clock::Timestamp;
use entente_ledger::Reader;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::Entry;
use entente_security_server::{StampError, request_stamp};
use entente_signing::Digest;
use entente_timestamp::Authorities;

use super::finding::{Finding, Group, Said};
use super::registry::Registry;
use super::site::{Role, Site};
use super::{ledger, seconds_between};
use crate::exit::{Exit, Failure};
use crate::texts::Text;

/// What time others have.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    now: Timestamp,
    /// Whether there is a registry to compare with.
    is_follower: bool,
    /// What time the registry had, and what time it was here.
    registry: Option<(Timestamp, Timestamp)>,
    /// The newest entry of the role's own ledger.
    newest: Option<Timestamp>,
    authority: Option<Authority>,
}

/// What the time-stamping authority did with a question.
#[derive(Debug)]
struct Authority {
    url: String,
    /// Whether exchange stops without it.
    is_required: bool,
    answer: Result<(), NoStamp>,
}

#[derive(Debug)]
enum NoStamp {
    /// Its time and ours differ by so many seconds.
    Off(i64),
    Refused(String),
    Silent(String),
    Unconfigured(String),
}

pub(super) async fn gather(site: &Site, registry: &Registry) -> Clocks {
    let newest = match &site.role {
        Role::Adapter(_) => return Clocks::default(),
        Role::Registry(config) => newest_entry(&config.ledger(), true),
        Role::Server(config) => {
            let folders = ledger::folders(&config.data.as_path().join("ledger"));
            let newest = folders.iter().filter_map(|dir| newest_entry(dir, false));
            newest.max()
        }
    };
    Clocks {
        is_follower: matches!(site.role, Role::Server(_)),
        registry: registry.clocks,
        newest,
        authority: authority(site, registry).await,
        now: site.seams.clock.now(),
    }
}

fn newest_entry(dir: &std::path::Path, is_registry: bool) -> Option<Timestamp> {
    let mut reader = Reader::open(Arc::new(RealDisk), dir).ok()?;
    let last = reader.size().checked_sub(1)?;
    let entry = reader.entry(last).ok()??;
    if is_registry {
        let entry = entente_directory::RegistryEntry::parse(&entry).ok()?;
        return Some(entry.at);
    }
    Some(Entry::decode(&entry).ok()?.at)
}

async fn authority(site: &Site, registry: &Registry) -> Option<Authority> {
    let config = site.server()?.timestamp.as_ref()?;
    let policy = registry.view.as_ref().and_then(|view| view.state.policy());
    let is_demanded = policy.is_some_and(|policy| policy.stamped_within().is_some());
    let answer = async {
        let failed =
            |error: &(dyn std::error::Error + 'static)| NoStamp::Unconfigured(chain(error));
        let pem = fs::read(config.roots.as_path()).map_err(|error| failed(&error))?;
        let authorities = Authorities::parse(&pem).map_err(|error| failed(&error))?;
        let authorities = authorities.with_policy(config.policy.map(|policy| policy.0));
        // Of a moment, so that no two questions are alike; it says nothing about anybody.
        let asked = Digest::of(&site.seams.clock.now().as_millis().to_be_bytes());
        let (net, clock) = (&*site.seams.net, &*site.seams.clock);
        let stamped = request_stamp(net, clock, &config.url, asked, &authorities).await;
        stamped.map(drop).map_err(|error| match error {
            StampError::Off { stated, here } => NoStamp::Off(seconds_between(stated, here)),
            StampError::Reply(_) | StampError::Status(_) => NoStamp::Refused(chain(&error)),
            error => NoStamp::Silent(chain(&error)),
        })
    };
    Some(Authority {
        url: config.url.to_string(),
        is_required: config.required_within.is_some() || is_demanded,
        answer: answer.await,
    })
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let failure = Failure::of(Exit::Failed, error);
    [&[failure.what][..], &failure.because].concat().join(": ")
}

pub(super) fn judge(clocks: &Clocks) -> Vec<Finding> {
    let registry = clocks.is_follower.then(|| against_registry(clocks));
    let newest = clocks.newest.map(|at| against_ledger(clocks.now, at));
    let authority = clocks.authority.as_ref().map(against_authority);
    [registry, newest, authority]
        .into_iter()
        .flatten()
        .collect()
}

fn against_registry(clocks: &Clocks) -> Finding {
    const CHECK: &str = "clock.registry";
    let Some((there, here)) = clocks.registry else {
        let found = Said::of(Text::DoctorClockAlone);
        return Finding::warn(GROUP, CHECK, found, Text::DoctorClockAloneDo);
    };
    let (ahead, behind) = (here.since(there), there.since(here));
    let sign = if behind.is_zero() { '+' } else { '-' };
    let off = ahead.max(behind);
    let shown = format!("{sign}{} ms", off.as_millis());
    let found = Said::of(Text::DoctorClockRegistry).with("offset", shown);
    if off > FAILS {
        Finding::fail(GROUP, CHECK, Exit::Failed, found, Text::DoctorClockDo)
    } else if off > WARNS {
        Finding::warn(GROUP, CHECK, found, Text::DoctorClockDo)
    } else {
        Finding::ok(GROUP, CHECK, found)
    }
}

fn against_ledger(now: Timestamp, newest: Timestamp) -> Finding {
    const CHECK: &str = "clock.ledger";
    let found = |text| Said::of(text).with("at", newest);
    if newest.since(now) > BEHIND {
        let found = found(Text::DoctorClockBehind);
        Finding::fail(GROUP, CHECK, Exit::Failed, found, Text::DoctorClockDo)
    } else {
        Finding::ok(GROUP, CHECK, found(Text::DoctorClockLedger))
    }
}

fn against_authority(authority: &Authority) -> Finding {
    const CHECK: &str = "clock.timestamp";
    let said = |text| Said::of(text).with("url", &authority.url);
    let ended = |exit, found, remedy: Text| match authority.is_required {
        true => Finding::fail(GROUP, CHECK, exit, found, remedy),
        false => Finding::warn(GROUP, CHECK, found, remedy),
    };
    match &authority.answer {
        Ok(()) => Finding::ok(GROUP, CHECK, said(Text::DoctorStampSound)),
        Err(NoStamp::Off(seconds)) => {
            let found = said(Text::DoctorStampOff).with("seconds", seconds);
            Finding::fail(GROUP, CHECK, Exit::Failed, found, Text::DoctorClockDo)
        }
        Err(NoStamp::Silent(why)) => {
            let found = said(Text::DoctorStampSilent).with("why", why);
            ended(Exit::Unavailable, found, Text::DoctorStampSilentDo)
        }
        Err(NoStamp::Refused(why)) => {
            let found = said(Text::DoctorStampRefused).with("why", why);
            ended(Exit::Failed, found, Text::DoctorStampRefusedDo)
        }
        Err(NoStamp::Unconfigured(why)) => {
            let found = said(Text::DoctorStampRefused).with("why", why);
            Finding::fail(GROUP, CHECK, Exit::Usage, found, Text::DoctorStampRefusedDo)
        }
    }
}

const GROUP: Group = Group::Clock;
/// What a good clock keeps.
const WARNS: Duration = Duration::from_secs(1);
/// Half of what peers accept.
const FAILS: Duration = Duration::from_secs(30);
/// Further behind its newest entry a server signs nothing.
const BEHIND: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::super::finding::{Verdict, remedies};
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn registry(there: Timestamp) -> Finding {
        against_registry(&Clocks {
            registry: Some((there, NOON)),
            ..Clocks::default()
        })
    }

    #[test]
    fn a_clock_is_warned_of_from_a_second_on_and_fails_at_half_of_what_peers_accept() {
        let by = |ms| Duration::from_millis(ms);
        assert_eq!(registry(NOON).verdict(), Verdict::Ok);
        assert_eq!(
            registry(NOON.saturating_add(by(900))).verdict(),
            Verdict::Ok
        );
        let slow = registry(NOON.saturating_add(by(1_100)));
        assert_eq!(slow.verdict(), Verdict::Warn);
        assert!(remedies(&slow)[0].contains("set-ntp"), "{slow:?}");
        let fast = registry(NOON.saturating_sub(by(31_000)));
        assert_eq!(fast.verdict(), Verdict::Fail(Exit::Failed));
        assert!(remedies(&fast)[1].contains("set-ntp"), "{fast:?}");
        let alone = against_registry(&Clocks::default());
        assert_eq!(alone.verdict(), Verdict::Warn);
        assert!(remedies(&alone)[0].contains("registry.reachable"));
    }

    #[test]
    fn a_clock_behind_the_newest_entry_fails_as_the_server_would() {
        let behind = |seconds| {
            let newest = NOON.saturating_add(Duration::from_secs(seconds));
            against_ledger(NOON, newest)
        };
        assert_eq!(behind(60).verdict(), Verdict::Ok);
        let off = behind(61);
        assert_eq!(off.verdict(), Verdict::Fail(Exit::Failed));
        assert!(remedies(&off)[0].contains("set-ntp"));
    }

    #[test]
    fn an_authority_that_is_silent_fails_only_where_a_stamp_is_required() {
        let judged = |is_required, answer| {
            against_authority(&Authority {
                url: "http://tsa.example/".to_owned(),
                is_required,
                answer: Err(answer),
            })
        };
        let silent = || NoStamp::Silent("refused".to_owned());
        assert_eq!(judged(false, silent()).verdict(), Verdict::Warn);
        let failed = judged(true, silent());
        assert_eq!(failed.verdict(), Verdict::Fail(Exit::Unavailable));
        assert!(remedies(&failed)[0].contains("timestamp.url"));
        let off = judged(false, NoStamp::Off(61));
        assert_eq!(off.verdict(), Verdict::Fail(Exit::Failed));
        assert!(remedies(&off)[0].contains("set-ntp"));
        for answer in [
            NoStamp::Refused("status 302".to_owned()),
            NoStamp::Unconfigured("no roots".to_owned()),
        ] {
            let refused = judged(true, answer);
            assert!(remedies(&refused)[0].contains("timestamp.roots"));
        }
    }
}
