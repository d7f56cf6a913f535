//! The registry: reached with the key of the anchor, its copy verified, and how old that is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use entente_clock::Timestamp;
use entente_follow::{Alarm, View};
use entente_sandbox::{Desk, DeskError};
use entente_tls::net::Endpoint;

use super::super::dial::{Dialled, dial};
use super::super::log::Scratch;
use super::finding::{Finding, Group, Remedy, Said};
use super::site::{Role, Site};
use crate::exit::{Exit, Failure};
use crate::texts::Text;

/// What was seen of the registry.
#[derive(Debug)]
pub(super) struct Registry {
    /// Each address of the anchor, and what answered there.
    pub(super) addresses: Vec<(Endpoint, Dialled)>,
    pub(super) copy: Copy,
    /// The newest view that could be verified: from the copy, and from the registry where it answers.
    pub(super) view: Option<Arc<View>>,
    /// How many changes the registry showed; none when it showed nothing that verifies.
    pub(super) newest: Option<u64>,
    pub(super) alarm: Option<Alarm>,
    /// What time it had, and what time it was here.
    pub(super) clocks: Option<(Timestamp, Timestamp)>,
    /// How long a copy may be relied on.
    pub(super) validity: Duration,
    /// Where the view reads agreements from.
    held: Option<Scratch>,
}

/// The role's own copy of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Copy {
    /// What was written is not what was verified then.
    Damaged {
        dir: PathBuf,
    },
    Held {
        size: u64,
        /// Since the registry was last heard; none when it never was.
        age: Option<Duration>,
    },
    /// There is none.
    Missing,
    /// The role has none: it is the registry, or needs none.
    NotKept,
    Unreadable {
        dir: PathBuf,
        why: String,
    },
}

/// Asks the registry, and opens a copy of the role's copy.
pub(super) async fn gather(site: &Site) -> Registry {
    let mut registry = Registry {
        addresses: Vec::new(),
        copy: Copy::NotKept,
        view: None,
        newest: None,
        alarm: None,
        clocks: None,
        validity: Duration::ZERO,
        held: None,
    };
    let Some(anchor) = &site.anchor else {
        return registry;
    };
    for address in &anchor.addresses {
        let keys = anchor.tls_keys.iter().copied();
        let dialled = dial(&*site.seams.net, address, keys, &site.identity).await;
        registry.addresses.push((address.clone(), dialled));
    }
    let dir = match &site.role {
        Role::Server(config) => Some(config.data.as_path().join("directory")),
        Role::Adapter(_) | Role::Registry(_) => None,
    };
    let mut scratch = match &dir {
        // The copy is opened as a copy of itself: the role may be using it.
        Some(dir) if dir.join("FORMAT").is_file() => match Scratch::copy_of(dir) {
            Ok(scratch) => Some(scratch),
            Err(error) => {
                registry.copy = unreadable(dir, error.to_string());
                None
            }
        },
        Some(_) => {
            registry.copy = Copy::Missing;
            None
        }
        None => None,
    };
    if let (Some(dir), Some(copy)) = (&dir, &scratch) {
        match follow(site, copy, &mut registry, true).await {
            Ok(()) => {
                registry.held = scratch;
                return registry;
            }
            Err(DeskError::Open { source, .. }) => {
                use entente_follow::OpenError;
                registry.copy = match source {
                    OpenError::Damaged { .. } => Copy::Damaged { dir: dir.clone() },
                    error => unreadable(dir, Failure::of(Exit::Failed, &error).because.join(": ")),
                };
            }
            Err(error) => registry.copy = unreadable(dir, error.to_string()),
        }
        scratch = None;
    }
    // From nothing, so that the other checks know what the registry has.
    if let Ok(empty) = scratch.map_or_else(Scratch::empty, Ok) {
        let _ = follow(site, &empty, &mut registry, false).await;
        registry.held = Some(empty);
    }
    registry
}

fn unreadable(dir: &std::path::Path, why: String) -> Copy {
    Copy::Unreadable {
        dir: dir.to_owned(),
        why,
    }
}

/// Follows the registry for a moment.
async fn follow(
    site: &Site,
    copy: &Scratch,
    registry: &mut Registry,
    is_held: bool,
) -> Result<(), DeskError> {
    let Some(anchor) = site.anchor.clone() else {
        return Ok(());
    };
    let lang = entente_reason::Lang::En;
    let desk = Desk::open(anchor, copy.path(), &site.seams, lang).await?;
    let directory = desk.directory();
    if is_held {
        let age = directory.age();
        registry.copy = Copy::Held {
            size: desk.view().size,
            age: (age != Duration::MAX).then_some(age),
        };
    }
    let is_there = |(_, dialled): &(_, Dialled)| matches!(dialled, Dialled::Proven(_));
    if registry.addresses.iter().any(is_there) {
        registry.newest = desk.refresh().await.ok().map(|view| view.size);
        let heard = async {
            let mut tick = tokio::time::interval(TICK);
            while directory.registry_clock().is_none() && directory.alarms().borrow().is_none() {
                tick.tick().await;
            }
        };
        let _ = tokio::time::timeout(HEARD_WITHIN, heard).await;
    }
    registry.clocks = directory.registry_clock();
    registry.alarm = directory.alarms().borrow().clone();
    registry.validity = directory.validity();
    let view = desk.view();
    registry.view = (view.size > 0).then_some(view);
    desk.close().await;
    Ok(())
}

pub(super) fn judge(site: &Site, registry: &Registry) -> Vec<Finding> {
    if site.anchor.is_none() {
        return Vec::new();
    }
    let is_own = matches!(site.role, Role::Registry(_));
    let mut findings: Vec<Finding> = registry
        .addresses
        .iter()
        .map(|(address, dialled)| reachable(address, dialled, is_own))
        .collect();
    findings.extend(registry.alarm.as_ref().map(alarmed));
    findings.extend(copy(&registry.copy));
    findings.extend(age(registry, site.runs));
    findings
}

fn alarmed(alarm: &Alarm) -> Finding {
    let found = Said::of(Text::DoctorRegistryAlarm).with("kind", alarm.kind.as_str());
    let (exit, remedy) = (Exit::Integrity, Text::DoctorRegistryAlarmDo);
    Finding::fail(GROUP, "registry.honest", exit, found, remedy)
}

fn reachable(address: &Endpoint, dialled: &Dialled, is_own: bool) -> Finding {
    const CHECK: &str = "registry.reachable";
    let said = |text| Said::of(text).with("address", address);
    match dialled {
        Dialled::Proven(proven) => {
            let found = said(Text::DoctorRegistryReached).with("group", &proven.group);
            Finding::ok(GROUP, CHECK, found)
        }
        Dialled::OtherKey => {
            let found = said(Text::DoctorRegistryOtherKey);
            Finding::fail(GROUP, CHECK, Exit::Integrity, found, Text::DoctorAnchorDo)
        }
        Dialled::NoTls(why) | Dialled::Unreached(why) => {
            let found = said(Text::DoctorUnreached).with("why", why);
            let remedy: Remedy = match is_own {
                true => Text::DoctorRegistryStartDo.into(),
                false => said(Text::DoctorRegistryUnreachedDo).into(),
            };
            Finding::fail(GROUP, CHECK, Exit::Unavailable, found, remedy)
        }
    }
}

fn copy(copy: &Copy) -> Option<Finding> {
    const CHECK: &str = "registry.copy";
    Some(match copy {
        Copy::NotKept => return None,
        Copy::Held { size, .. } => {
            let found = Said::of(Text::DoctorCopySound).with("size", size);
            Finding::ok(GROUP, CHECK, found)
        }
        Copy::Missing => {
            let found = Said::of(Text::DoctorCopyMissing);
            Finding::warn(GROUP, CHECK, found, Text::DoctorCopyMissingDo)
        }
        Copy::Damaged { dir } => {
            let found = Said::of(Text::DoctorCopyDamaged).with("dir", dir.display());
            let away = format!("mv {0} {0}.damaged", dir.display());
            let remedy = Said::of(Text::DoctorCopyDamagedDo).with("command", away);
            Finding::fail(GROUP, CHECK, Exit::Integrity, found, remedy)
        }
        Copy::Unreadable { dir, why } => {
            let found = Said::of(Text::DoctorPathUnreadable);
            let found = found.with("path", dir.display()).with("why", why);
            Finding::fail(
                GROUP,
                CHECK,
                Exit::Failed,
                found,
                Text::DoctorPathUnreadableDo,
            )
        }
    })
}

/// How old the copy is against how old it may be. A role that is down does not follow: then a copy that is
/// too old matters only when the registry does not answer.
fn age(registry: &Registry, runs: bool) -> Option<Finding> {
    const CHECK: &str = "registry.fresh";
    let Copy::Held { size, age } = registry.copy else {
        return None;
    };
    let valid = registry.validity;
    let shown = age.map_or_else(|| "-".to_owned(), words);
    let said = |text| {
        Said::of(text)
            .with("age", &shown)
            .with("validity", words(valid))
    };
    let is_stale = age.is_none_or(|age| age > valid);
    let is_answered = registry.newest.is_some();
    let is_behind = registry.newest.is_some_and(|newest| newest > size);
    Some(match (is_stale, is_answered) {
        (true, false) => {
            let found = said(Text::DoctorCopyStale);
            Finding::fail(
                GROUP,
                CHECK,
                Exit::Unavailable,
                found,
                Text::DoctorCopyStaleDo,
            )
        }
        (true, true) if runs => {
            let found = said(Text::DoctorCopyStale);
            Finding::fail(GROUP, CHECK, Exit::Failed, found, Text::DoctorCopyDeafDo)
        }
        (_, true) if !runs => Finding::ok(GROUP, CHECK, said(Text::DoctorCopyAtStart)),
        _ if age.is_some_and(|age| age > valid / 2) => {
            let found = said(Text::DoctorCopyAging);
            Finding::warn(GROUP, CHECK, found, Text::DoctorCopyStaleDo)
        }
        _ if runs && is_behind && age.is_some_and(|age| age > BEHIND) => {
            let found = said(Text::DoctorCopyAging);
            Finding::warn(GROUP, CHECK, found, Text::DoctorCopyDeafDo)
        }
        _ => Finding::ok(GROUP, CHECK, said(Text::DoctorCopyFresh)),
    })
}

/// A time in the unit that says most: `40s`, `12m`, `3h`, `9d`.
pub(crate) fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, 'd', 3), (3_600, 'h', 2), (60, 'm', 2), (1, 's', 0)];
    let unit = units
        .iter()
        .find(|(size, _, least)| seconds >= size * least);
    unit.map_or_else(
        || format!("{seconds}s"),
        |(size, letter, _)| format!("{}{letter}", seconds / size),
    )
}

const GROUP: Group = Group::Registry;
const TICK: Duration = Duration::from_millis(50);
/// Heartbeats come each second.
const HEARD_WITHIN: Duration = Duration::from_secs(3);
/// How long a role that runs may not have noted a change.
const BEHIND: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::super::finding::{Verdict, remedies};
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn held(old: Duration, newest: Option<u64>) -> Registry {
        Registry {
            addresses: Vec::new(),
            copy: Copy::Held {
                size: 7,
                age: Some(old),
            },
            view: None,
            newest,
            alarm: None,
            clocks: None,
            validity: 24 * HOUR,
            held: None,
        }
    }

    #[test]
    fn a_copy_that_is_too_old_fails_unless_the_role_is_down_and_can_fetch_it() {
        let verdict = |old, newest, runs| age(&held(old, newest), runs).unwrap().verdict();
        assert_eq!(verdict(HOUR, Some(7), true), Verdict::Ok);
        assert_eq!(verdict(25 * HOUR, Some(7), false), Verdict::Ok);
        assert_eq!(
            verdict(25 * HOUR, None, false),
            Verdict::Fail(Exit::Unavailable)
        );
        assert_eq!(
            verdict(25 * HOUR, Some(7), true),
            Verdict::Fail(Exit::Failed)
        );
        assert_eq!(verdict(13 * HOUR, None, true), Verdict::Warn);
        assert_eq!(verdict(HOUR, Some(8), true), Verdict::Warn);
        let deaf = age(&held(25 * HOUR, Some(7)), true).unwrap();
        assert!(remedies(&deaf)[0].contains("registry.lost"), "{deaf:?}");
        let away = age(&held(25 * HOUR, None), true).unwrap();
        assert!(remedies(&away)[0].contains("REGISTRY_STALE"), "{away:?}");
    }

    #[test]
    fn a_registry_that_showed_two_trees_is_evidence() {
        let alarmed = alarmed(&Alarm {
            kind: entente_follow::AlarmKind::Fork,
            at: Timestamp::default(),
            origin: "o".to_owned(),
            evidence: None,
        });
        assert_eq!(alarmed.verdict(), Verdict::Fail(Exit::Integrity));
        assert!(remedies(&alarmed)[0].contains("call the registrar"));
        let address: Endpoint = "127.0.0.1:1".parse().unwrap();
        let other = reachable(&address, &Dialled::OtherKey, false);
        assert_eq!(other.verdict(), Verdict::Fail(Exit::Integrity));
        assert!(remedies(&other)[0].contains("by a way you trust"));
    }

    #[test]
    fn times_are_in_the_unit_that_says_most() {
        let said = [40, 119, 150, 7_200, 200_000, 400_000].map(|s| words(Duration::from_secs(s)));
        assert_eq!(said, ["40s", "119s", "2m", "2h", "55h", "4d"]);
    }
}
