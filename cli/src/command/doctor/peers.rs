//! Peers: the servers of every active agreement's other parties accept connections with the registered key.

use std::collections::{BTreeMap, BTreeSet};

use entente_agreement::lifecycle;
use entente_clock::Timestamp;
use entente_directory::ServerRecord;
use entente_follow::View;
use entente_identity::{MemberId, ServerId, SystemId};
use entente_signing::Digest;
use entente_tls::net::Endpoint;
use tokio::task::JoinSet;

use super::super::dial::{Dialled, dial};
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
    /// Those under other registries, whose servers only those know.
    abroad: BTreeSet<MemberId>,
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
    let mut others = Others::of(view, &config.server.member(), now);
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
    judge(&reached.into_values().collect::<Vec<_>>(), &others)
}

// === impl Others ===

impl Others {
    /// Of this member's active agreements.
    fn of(view: &View, member: &MemberId, now: Timestamp) -> Self {
        let state = &view.state;
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
            let clauses = document.clauses.iter();
            let systems =
                clauses.flat_map(|clause| clause.consumers.iter().chain(&clause.providers));
            for system in systems.filter(|system| system.member() != *member) {
                if system.jurisdiction() != member.jurisdiction() {
                    others.abroad.insert(system.member());
                    continue;
                }
                let mut servers = state.servers_for(system).peekable();
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

fn judge(reached: &[(Peer, Dialled)], others: &Others) -> Vec<Finding> {
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
    if !others.abroad.is_empty() {
        let found = Said::of(Text::DoctorPeersAbroad).with("count", others.abroad.len());
        findings.push(Finding::ok(Group::Peers, CHECK, found));
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
            abroad: BTreeSet::from(["ca-on/health".parse().unwrap()]),
            ..Others::default()
        };
        let findings = judge(&[], &others);
        assert_eq!(findings[0].verdict(), Verdict::Ok);
        assert_eq!(findings[1].verdict(), Verdict::Ok, "not known here");
        assert!(remedies(&findings[2])[0].contains("entente peer trace"));
    }

    #[test]
    fn an_agreement_whose_text_was_lost_is_fetched_again() {
        let others = Others {
            unread: BTreeSet::from(["DEMO-001".to_owned()]),
            ..Others::default()
        };
        let unread = &judge(&[], &others)[1];
        assert_eq!(unread.verdict(), Verdict::Fail(Exit::Failed));
        assert!(remedies(unread)[0].contains("data/directory"));
    }

    #[test]
    fn a_system_that_no_server_signs_for_is_its_members_to_register() {
        let others = Others {
            unserved: BTreeSet::from(["ca-demo/pensions/benefits".parse().unwrap()]),
            ..Others::default()
        };
        let unserved = &judge(&[], &others)[1];
        assert_eq!(unserved.verdict(), Verdict::Fail(Exit::Refused));
        assert!(remedies(unserved)[0].contains("entente server update"));
    }
}
