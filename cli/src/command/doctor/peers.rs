//! Peers: the servers of every active agreement's other parties accept connections with the registered key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_agreement::lifecycle;
use entente_clock::Timestamp;
use entente_directory::ServerRecord;
use entente_follow::View;
use entente_identity::{Jurisdiction, MemberId, ServerId, SystemId};
use entente_security_server::Config as ServerConfig;
use entente_signing::Digest;
use entente_tls::net::Endpoint;
use tokio::task::JoinSet;

use super::super::abroad::{Bond, federation};
use super::super::dial::{Dialled, dial};
use super::super::log::{Registry as Followed, Scratch, recognised};
use super::finding::{Finding, Group, Said};
use super::registry::Registry;
use super::site::Site;
use crate::exit::Exit;
use crate::texts::Text;

/// A server that this one exchanges with, and how it was reached.
#[derive(Clone, Debug)]
struct Peer {
    server: ServerId,
    agreement: String,
    address: Option<Endpoint>,
    keys: Vec<Digest>,
}

/// The other parties to active agreements.
#[derive(Debug, Default)]
struct Others {
    /// Their servers, at most [`MOST`].
    peers: Vec<Peer>,
    /// How many servers there are beyond those.
    left_out: usize,
    /// How the jurisdictions of those under other registries stand with the own one.
    abroad: BTreeMap<Jurisdiction, Bond>,
    /// Agreements whose text is not in the copy of the registry.
    unread: BTreeSet<String>,
    /// Their systems that no server may sign for.
    unserved: BTreeSet<SystemId>,
}

pub(super) async fn check(site: &Site, registry: &Registry) -> Vec<Finding> {
    let (Some(config), Some(view)) = (site.server(), registry.view.as_ref()) else {
        return Vec::new();
    };
    let now = site.seams.clock.now();
    let registries = registries(config, view).await;
    let mut others = Others::of(view, &registries, &config.server.member(), now);
    let mut reached = BTreeMap::new();
    let mut waiting = std::mem::take(&mut others.peers).into_iter();
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < AT_ONCE
            && let Some(peer) = waiting.next()
        {
            let (net, identity) = (site.net(), site.identity.clone());
            under_way.spawn(async move {
                let dialled = match &peer.address {
                    Some(to) => dial(&*net, to, peer.keys.iter().copied(), &identity).await,
                    None => Dialled::Unreached("-".to_owned()),
                };
                (peer, dialled)
            });
        }
        match under_way.join_next().await {
            None => break,
            Some(Ok((peer, dialled))) => {
                reached.insert(peer.server.clone(), (peer, dialled));
            }
            // A task that ended otherwise is a peer that nobody knows anything of.
            Some(Err(_)) => {}
        }
    }
    let home = config.server.jurisdiction();
    judge(&home, &reached.into_values().collect::<Vec<_>>(), &others)
}

/// The registries that the own one recognises: from copies of the role's copies, and from them where they answer.
async fn registries(config: &ServerConfig, view: &View) -> Vec<Followed> {
    let copies = config.data.as_path().join("abroad");
    // What cannot be copied is followed from nothing.
    let Ok(scratch) = Scratch::copy_of(&copies).or_else(|_| Scratch::empty()) else {
        return Vec::new();
    };
    let (scratch, lang) = (Arc::new(scratch), entente_reason::Lang::En);
    recognised(view, scratch.path(), &scratch, true, lang).await
}

// === impl Others ===

impl Others {
    /// Of this member's active agreements.
    fn of(view: &View, registries: &[Followed], member: &MemberId, now: Timestamp) -> Self {
        let (state, home) = (&view.state, member.jurisdiction());
        let federation = federation(view, registries);
        let mut others = Self::default();
        let mut found: BTreeMap<ServerId, Peer> = BTreeMap::new();
        for record in state.agreements() {
            let is_ours = record.terms.has_party(member);
            if !is_ours || state.agreement_state(record, now) != lifecycle::State::Active {
                continue;
            }
            let Some(agreement) = view.agreement(&record.id()) else {
                others.unread.insert(record.terms.name.to_string());
                continue;
            };
            let document = agreement.document();
            let parties = record.terms.parties.iter().map(MemberId::jurisdiction);
            for other in parties.filter(|other| *other != home) {
                let bond = || Bond::with(&other, view, registries);
                others.abroad.entry(other.clone()).or_insert_with(bond);
            }
            // Not in force for as long as one of their registries says otherwise, or does not count.
            if federation.agreement_state(record, now) != lifecycle::State::Active {
                continue;
            }
            let clauses = document.clauses.iter();
            let systems =
                clauses.flat_map(|clause| clause.consumers.iter().chain(&clause.providers));
            for system in systems.filter(|system| system.member() != *member) {
                let mut servers = federation.servers_for(system).peekable();
                if servers.peek().is_none() {
                    others.unserved.insert(system.clone());
                }
                for server in servers {
                    found.entry(server.id.clone()).or_insert_with(|| Peer {
                        server: server.id.clone(),
                        agreement: document.id.to_string(),
                        address: address(server),
                        keys: server.tls_keys().map(|key| key.spki_digest()).collect(),
                    });
                }
            }
        }
        others.left_out = found.len().saturating_sub(MOST);
        others.peers = found.into_values().take(MOST).collect();
        others
    }
}

/// Where calls go: the first that it registered.
fn address(server: &ServerRecord) -> Option<Endpoint> {
    server.addresses.first()?.as_str().parse().ok()
}

fn judge(home: &Jurisdiction, reached: &[(Peer, Dialled)], others: &Others) -> Vec<Finding> {
    let mut findings: Vec<Finding> = reached.iter().filter_map(fault).collect();
    let sound = reached.len() - findings.len();
    if findings.is_empty() || sound > 0 {
        let text = match reached.is_empty() {
            true => Said::of(Text::DoctorNoPeers),
            false => Said::of(Text::DoctorPeersReached)
                .with("sound", sound)
                .with("count", reached.len()),
        };
        findings.insert(0, Finding::ok(Group::Peers, CHECK, text));
    }
    for agreement in &others.unread {
        let found = Said::of(Text::DoctorAgreementUnread).with("agreement", agreement);
        let remedy = Text::DoctorAgreementUnreadDo;
        let exit = Exit::Failed;
        findings.push(Finding::fail(Group::Peers, CHECK, exit, found, remedy));
    }
    for system in &others.unserved {
        let found = Said::of(Text::DoctorPeerUnserved).with("system", system);
        let remedy = Said::of(Text::DoctorPeerUnservedDo).with("member", system.member());
        let exit = Exit::Refused;
        findings.push(Finding::fail(Group::Peers, CHECK, exit, found, remedy));
    }
    for (other, bond) in &others.abroad {
        let found = bond.found(home, other);
        findings.push(match bond.remedy(home, other) {
            None => Finding::ok(Group::Peers, RECOGNISED, found),
            Some(remedy) => Finding::fail(Group::Peers, RECOGNISED, bond.exit(), found, remedy),
        });
    }
    if others.left_out > 0 {
        let found = Said::of(Text::DoctorPeersLeft).with("count", others.left_out);
        findings.push(Finding::warn(
            Group::Peers,
            CHECK,
            found,
            Text::DoctorPeersLeftDo,
        ));
    }
    findings
}

fn fault((peer, dialled): &(Peer, Dialled)) -> Option<Finding> {
    let address = peer.address.as_ref();
    let address = address.map_or_else(|| "-".to_owned(), ToString::to_string);
    let member = peer.server.member();
    let said = |text| {
        Said::of(text)
            .with("server", &peer.server)
            .with("address", &address)
            .with("agreement", &peer.agreement)
    };
    let ask = |text| {
        Said::of(text)
            .with("member", &member)
            .with("server", &peer.server)
    };
    match dialled {
        Dialled::Proven(_) => None,
        Dialled::OtherKey => {
            let found = said(Text::DoctorPeerOtherKey);
            let remedy = ask(Text::DoctorPeerOtherKeyDo);
            Some(Finding::fail(
                Group::Peers,
                CHECK,
                Exit::Refused,
                found,
                remedy,
            ))
        }
        Dialled::NoTls(why) | Dialled::Unreached(why) => {
            let found = said(Text::DoctorPeerUnreached).with("why", why);
            let remedy = ask(Text::DoctorPeerUnreachedDo);
            Some(Finding::fail(
                Group::Peers,
                CHECK,
                Exit::Unavailable,
                found,
                remedy,
            ))
        }
    }
}

const CHECK: &str = "peers.reached";
const RECOGNISED: &str = "peers.recognised";
/// Servers that are asked.
const MOST: usize = 64;
/// Of them at once: each takes at most ten seconds, so all take at most forty.
const AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use super::super::finding::{Verdict, remedies};
    use super::*;

    fn peer(dialled: Dialled) -> (Peer, Dialled) {
        let peer = Peer {
            server: "ca-demo/pensions/@ss1".parse().unwrap(),
            agreement: "DEMO-001".to_owned(),
            address: Some("127.0.0.1:1".parse().unwrap()),
            keys: Vec::new(),
        };
        (peer, dialled)
    }

    fn home() -> Jurisdiction {
        "ca-demo".parse().unwrap()
    }

    /// Each way in which two jurisdictions do not stand with each other is somebody's to mend, and says whose.
    #[test]
    fn a_jurisdiction_that_does_not_count_is_a_failure_with_a_remedy() {
        let hours = |hours: u64| std::time::Duration::from_secs(hours * 3_600);
        let stale = |age| Bond::Stale {
            age,
            validity: hours(24),
        };
        let refused = Verdict::Fail(Exit::Refused);
        for (bond, verdict, says) in [
            (Bond::Suspended, refused, "your registrar"),
            (Bond::Unrecognised, refused, "entente trust add"),
            (Bond::Unreturned, refused, "the registrar of ca-demo-qc"),
            (
                stale(None),
                Verdict::Fail(Exit::Unavailable),
                "REGISTRY_STALE",
            ),
            (
                stale(Some(hours(30))),
                Verdict::Fail(Exit::Unavailable),
                "ca-demo-qc",
            ),
        ] {
            let others = Others {
                abroad: [("ca-demo-qc".parse().unwrap(), bond)].into(),
                ..Others::default()
            };
            let findings = judge(&home(), &[], &others);
            assert_eq!(findings[1].verdict(), verdict);
            assert!(remedies(&findings[1])[0].contains(says), "{findings:?}");
        }
    }

    #[test]
    fn a_peer_that_is_away_or_holds_another_key_is_its_members_to_mend() {
        let other = fault(&peer(Dialled::OtherKey)).unwrap();
        assert_eq!(other.verdict(), Verdict::Fail(Exit::Refused));
        let away = fault(&peer(Dialled::Unreached("refused".to_owned()))).unwrap();
        assert_eq!(away.verdict(), Verdict::Fail(Exit::Unavailable));
        for finding in [other, away] {
            let remedies = remedies(&finding);
            assert!(
                remedies
                    .iter()
                    .all(|remedy| remedy.contains("ca-demo/pensions"))
            );
        }
    }

    #[test]
    fn those_not_asked_are_counted_aloud() {
        let others = Others {
            left_out: 3,
            ..Others::default()
        };
        let findings = judge(&home(), &[], &others);
        assert_eq!(findings[0].verdict(), Verdict::Ok);
        assert!(remedies(&findings[1])[0].contains("entente peer trace"));
    }

    #[test]
    fn an_agreement_whose_text_was_lost_is_fetched_again() {
        let others = Others {
            unread: BTreeSet::from(["DEMO-001".to_owned()]),
            ..Others::default()
        };
        let unread = &judge(&home(), &[], &others)[1];
        assert_eq!(unread.verdict(), Verdict::Fail(Exit::Failed));
        assert!(remedies(unread)[0].contains("data/directory"));
    }

    #[test]
    fn a_system_that_no_server_signs_for_is_its_members_to_register() {
        let others = Others {
            unserved: BTreeSet::from(["ca-demo/pensions/benefits".parse().unwrap()]),
            ..Others::default()
        };
        let unserved = &judge(&home(), &[], &others)[1];
        assert_eq!(unserved.verdict(), Verdict::Fail(Exit::Refused));
        assert!(remedies(unserved)[0].contains("entente server update"));
    }
}
