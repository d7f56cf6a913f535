//! Subject tags (DESIGN.md §8): who is asked about, who is in the answer, and exchanges about many.

use std::collections::BTreeSet;

use bytes::Bytes;
use entente_evidence::commitment::{Field, Subject};
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::Body as Says;
use entente_evidence::tag::{SubjectKey, Tag, TagKey};
use entente_identity::ServiceName;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::Body;
use entente_proto::VITAL_EVENTS_DESCRIPTOR_SET;
use entente_proto::status::Told;
use entente_reason::Reason;
use entente_security_server::Deps;
use entente_sidecar::tag_keys;
use entente_signing::Digest;
use entente_testkit::contracts::{compile_source, source_of};
use entente_tests::offer::{Terms, agree, offer};
use entente_tests::town::Town;
use entente_tests::world::{Site, World};
use tonic::Status;

/// A question about many persons at once.
const ROLL: &str = "
    service Roll { rpc Match(Persons) returns (Matched); }
    message Persons { repeated uint64 number = 1 [(entente.v1.privacy) =
        {element: \"person.number\" subject: \"ca.sin\"}]; }
    message Matched {
        uint32 count = 1 [(entente.v1.privacy) = {element: \"match.count\"}];
        repeated uint64 number = 2 [(entente.v1.privacy) =
            {element: \"match.number\" subject: \"ca.sin\"}];
    }";
const MATCH: &str = "test.v1.Roll/Match";
const LIST: &str = "entente.demo.vitalevents.v1.VitalEvents/ListDeaths";

fn set(elements: &[&str]) -> BTreeSet<String> {
    elements
        .iter()
        .map(|element| (*element).to_owned())
        .collect()
}

/// Both methods agreed on, in one mode; lists hold `released`. Up to `named` subjects are named.
async fn town(mode: &str, released: &[&str], named: u32) -> Town {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    if named != 128 {
        let changed = world.change_policy(|policy| policy.tagged_subjects = named);
        changed.await.unwrap();
    }
    let roll: ServiceName = "test.v1.Roll".parse().unwrap();
    let contract = Bytes::from(compile_source(&source_of("test.v1", ROLL)));
    offer(&world, &roll, contract.clone()).await.unwrap();
    let terms = Terms {
        name: "ROLL-001",
        service: &roll,
        contract: Digest::of(&contract),
        method: "Match",
        mode,
        asked: &set(&["person.number"]),
        released: &set(&["match.count", "match.number"]),
        keeps_payload: false,
    };
    agree(&world, &terms).await.unwrap();
    let terms = Terms {
        name: "DEATHS-001",
        service: &"entente.demo.vitalevents.v1.VitalEvents".parse().unwrap(),
        contract: Digest::of(VITAL_EVENTS_DESCRIPTOR_SET),
        method: "ListDeaths",
        asked: &set(&["period.from"]),
        released: &set(released),
        ..terms
    };
    agree(&world, &terms).await.unwrap();
    let town = Town::of(world, dir, &Deps::real()).await.unwrap();
    // To whatever is asked first: nothing about anybody.
    town.source.answer_with(Ok(Bytes::new()));
    town
}

/// Persons 1 to `count`, as the contract of [`ROLL`] has them: one after the other, each in two bytes.
fn persons(count: u8) -> Bytes {
    let fields = (1..=count).map(|person| [0x08, person | 0x80, person >> 7]);
    fields.collect::<Vec<_>>().concat().into()
}

/// Deaths of persons 1 to `count`, as ListDeaths answers; neither number nor place is released.
fn deaths(count: u8) -> Bytes {
    let rows = (1..=count).map(|person| {
        let number = person.to_string();
        let death = [
            &[0x0a, number.len() as u8],
            number.as_bytes(),
            b"\x12\x0a2026-01-01",
        ]
        .concat();
        [&[0x0a, death.len() as u8][..], &death].concat()
    });
    rows.collect::<Vec<_>>().concat().into()
}

async fn ask(town: &Town, method: &str, body: Bytes) -> Result<Bytes, Status> {
    let asked = town.system.call(&format!("/{method}"), body, &[]).await;
    asked.map(tonic::Response::into_inner)
}

fn reason(status: &Status) -> Reason {
    Told::from_status(status)
        .and_then(|told| Reason::parse(&told.reason))
        .unwrap()
}

/// A site's statements with all tags its ledger has of each.
fn tagged(site: &Site) -> Vec<(SignedStatement, Vec<Tag>)> {
    let origin = site.origin().unwrap();
    let (mut late, mut tagged) = (Vec::new(), Vec::new());
    for body in site.entries().unwrap() {
        let (bytes, own) = match body {
            Body::Tags(tags) => {
                late.push(tags);
                continue;
            }
            Body::In(body) => (body.statement, body.tags),
            Body::Out(body) => (body.statement, Vec::new()),
            _ => continue,
        };
        let signed = SignedStatement::parse(bytes).unwrap();
        let mut tags = own;
        if signed.statement().log.as_str() == origin {
            tags.extend_from_slice(signed.statement().tags.as_slice());
        }
        for more in late.iter().filter(|more| more.statement == signed.hash()) {
            assert!(more.tags.len().is_multiple_of(64), "padded");
            tags.extend_from_slice(&more.tags);
        }
        tagged.push((signed, tags));
    }
    tagged
}

/// For each statement of a site's ledger: whether it answers, which of persons 1 to 250 it is tagged for,
/// and whether for everybody.
fn found(site: &Site) -> Vec<(bool, Vec<u8>, bool)> {
    let folder = site.dir.join("keys/kek");
    let secrets = tag_keys(&RealDisk, &folder).unwrap();
    let keys: Vec<TagKey> = secrets
        .iter()
        .map(|secret| TagKey::new(&secret.bytes))
        .collect();
    let statements = tagged(site).into_iter().map(|(signed, tags)| {
        let says = signed.statement();
        let log = site.origin().unwrap().parse().unwrap();
        let has = |key: SubjectKey| tags.contains(&key.tag(&log, &says.message_id));
        let named = (1..=250).filter(|person: &u8| {
            let subject = Subject::new("ca.sin", &person.to_string()).unwrap();
            keys.iter().any(|key| has(key.subject_key(&subject)))
        });
        let named: Vec<u8> = named.collect();
        let everybody = keys
            .iter()
            .any(|key| has(key.subject_key(&Subject::many())));
        (matches!(says.body, Says::Response { .. }), named, everybody)
    });
    statements.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_in_an_answer_is_known_to_the_provider_also_when_no_number_is_released() {
    let town = town("query", &["death.date"], 128).await;
    town.source.answer_with(Ok(deaths(3)));
    ask(&town, LIST, Bytes::new()).await.unwrap();
    assert_eq!(
        town.source.elements(),
        "death.date,person.number",
        "the system is asked whom its answer is about, whatever is released"
    );
    let (world, _dir) = town.stop().await;
    let all = (true, vec![1, 2, 3], false);
    let nobody = (false, Vec::new(), false);
    assert_eq!(found(&world.provider), [nobody.clone(), all]);
    // The consumer was not told whom the rows are about, and cannot tag them.
    assert_eq!(
        found(&world.consumer),
        [nobody.clone(), (true, Vec::new(), false)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_query_may_be_about_is_refused_before_it_leaves_or_its_answer_does() {
    let town = town("query", &["death.date"], 128).await;
    ask(&town, MATCH, persons(128)).await.unwrap();
    let refused = ask(&town, MATCH, persons(129)).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::TooManySubjects);
    assert_eq!(town.source.asked(), 1);
    town.source.answer_with(Ok(deaths(129)));
    let refused = ask(&town, LIST, Bytes::new()).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::TooManySubjects);
    assert_eq!(town.source.asked(), 2);
    let (world, _dir) = town.stop().await;
    let named: Vec<u8> = (1..=128).collect();
    for site in [&world.consumer, &world.provider] {
        let found = found(site);
        assert_eq!(
            found[..2],
            [(false, named.clone(), false), (true, named.clone(), false)]
        );
        let rest = found[2..].iter();
        assert!(
            rest.clone()
                .all(|(_, named, everybody)| named.is_empty() && !everybody)
        );
        assert_eq!(rest.len(), 2, "the request, and that it failed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_about_many_is_tagged_for_everybody_in_both_ledgers() {
    let town = town("bulk", &["person.number"], 128).await;
    ask(&town, MATCH, persons(129)).await.unwrap();
    town.source.answer_with(Ok(deaths(129)));
    ask(&town, LIST, Bytes::new()).await.unwrap();
    let (world, _dir) = town.stop().await;
    let everybody = |answers| (answers, Vec::new(), true);
    let expected = [
        everybody(false),
        everybody(true),
        (false, Vec::new(), false),
        everybody(true),
    ];
    for site in [&world.consumer, &world.provider] {
        assert_eq!(found(site), expected);
    }
    let requests = tagged(&world.consumer).into_iter();
    let request = requests.map(|(signed, _)| signed).next().unwrap();
    // As one about a single person: nobody who reads the ledger can tell them apart.
    assert_eq!(request.statement().tags.as_slice().len(), 1);
    assert!(
        request
            .statement()
            .commitments
            .contains_key(&Field::SUBJECTS)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_in_the_answer_is_named_however_many_the_request_was_padded_with() {
    let town = town("bulk", &["death.date"], 128).await;
    // The contract's answer may name whom it found.
    town.source.answer_with(Ok(Bytes::from_static(b"\x10\x07")));
    ask(&town, MATCH, persons(129)).await.unwrap();
    let (world, _dir) = town.stop().await;
    let expected = [(false, Vec::new(), true), (true, vec![7], true)];
    for site in [&world.consumer, &world.provider] {
        assert_eq!(found(site), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_to_the_bound_of_the_policy_everyone_is_named_in_entries_beside_the_statement() {
    let town = town("bulk", &["death.date"], 200).await;
    let named = town
        .world
        .change_policy(|policy| policy.tagged_subjects = 200);
    named.await.unwrap();
    ask(&town, MATCH, persons(200)).await.unwrap();
    town.source.answer_with(Ok(deaths(20)));
    ask(&town, LIST, Bytes::new()).await.unwrap();
    let (world, _dir) = town.stop().await;
    let to = |last: u8| (1..=last).collect::<Vec<u8>>();
    let expected = [
        (false, to(200), false),
        (true, to(200), false),
        (false, Vec::new(), false),
        (true, to(20), false),
    ];
    assert_eq!(found(&world.provider), expected);
    let consumer = found(&world.consumer);
    assert_eq!(consumer[..2], expected[..2]);
}
