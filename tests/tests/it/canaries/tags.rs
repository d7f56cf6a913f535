//! Subject tags: a person's exchanges are found with the member's key, and linked by nothing else.

use std::collections::{BTreeMap, BTreeSet};

use entente_evidence::commitment::Subject;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::{LogOrigin, MessageId};
use entente_evidence::tag::{Tag, TagKey};
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::Body;
use entente_signing::Digest;
use entente_tests::town::Town;
use entente_tests::world::{Site, lookup};

/// What one ledger says of one exchange.
#[derive(Default)]
struct Traces {
    tags: BTreeSet<Tag>,
    commitments: BTreeSet<Digest>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persons_exchanges_are_linked_by_the_members_key_and_by_nothing_else() {
    let town = Town::start().await.unwrap();
    for person in ["046 454 286", "046454286", "130 692 544"] {
        town.system.ask(lookup(person), &[]).await.unwrap();
    }
    let (world, _dir) = town.stop().await;

    let person = Subject::new("ca.sin", "046454286").unwrap();
    let mut tags = BTreeSet::new();
    for site in [&world.consumer, &world.provider] {
        let (origin, traces) = traces(site);
        assert_eq!(traces.len(), 3);
        let mut commitments = BTreeSet::new();
        // No tag and no commitment stands in two exchanges, and no tag in both ledgers.
        for traces in traces.values() {
            assert!(!traces.tags.is_empty());
            for tag in &traces.tags {
                assert!(tags.insert(*tag), "a tag twice");
            }
            for commitment in &traces.commitments {
                assert!(commitments.insert(*commitment), "a commitment twice");
            }
        }
        let found = |key: &TagKey| {
            let key = key.subject_key(&person);
            let has = |(message, traces): &(&MessageId, &Traces)| {
                traces.tags.contains(&key.tag(&origin, message))
            };
            traces.iter().filter(has).count()
        };
        assert_eq!(found(&tag_key(site)), 2);
        // Not with the other member's key, nor with one that anybody could guess.
        let other = [&world.consumer, &world.provider];
        let other = other.into_iter().find(|other| other.server != site.server);
        assert_eq!(found(&tag_key(other.unwrap())), 0);
        assert_eq!(found(&TagKey::new(&[0; 32])), 0);
    }
}

fn traces(site: &Site) -> (LogOrigin, BTreeMap<MessageId, Traces>) {
    let mut origin = None;
    let mut found: BTreeMap<MessageId, Traces> = BTreeMap::new();
    for entry in site.dated_entries().unwrap() {
        let (statement, own) = match entry.body {
            Body::In(entry) => (entry.statement, entry.tags),
            Body::Out(entry) => (entry.statement, Vec::new()),
            _ => continue,
        };
        let signed = SignedStatement::parse(statement).unwrap();
        let said = signed.statement();
        let traces = found.entry(said.message_id).or_default();
        traces.tags.extend(own);
        // A statement's tags are for its sender's ledger.
        if said.sender_server == site.server {
            traces.tags.extend(said.tags.as_slice());
            origin = Some(said.log.clone());
        }
        traces.commitments.extend(said.commitments.values());
    }
    (origin.unwrap(), found)
}

fn tag_key(site: &Site) -> TagKey {
    let keys = entente_sidecar::tag_keys(&RealDisk, &site.dir.join("keys/kek")).unwrap();
    TagKey::new(&keys[0].bytes)
}
