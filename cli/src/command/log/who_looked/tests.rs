//! What counts as about a person, over the golden statements.

use entente_evidence::commitment::Subject;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::LogOrigin;
use entente_evidence::tag::{Tag, TagKey};
use entente_ledger::entry::{Body, Denied, DeniedCall, In, LateTags, Out, Outcome, OutcomeKind};
use entente_signing::Digest;

use super::*;

const REQUEST: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/conformance/vectors/evidence/direct-request.hex"
));
const RESPONSE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/conformance/vectors/evidence/direct-response.hex"
));

fn statement(vector: &str) -> SignedStatement {
    let lines = vector.lines().filter_map(|line| line.split('#').next());
    let digits: String = lines.flat_map(str::split_whitespace).collect();
    SignedStatement::parse(hex::decode(digits).unwrap().into()).unwrap()
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn due(month: &str, person: &str, is_withheld: bool) -> Due {
    let subject = Subject::new("ca.sin", person).unwrap();
    Due {
        month: month.to_owned(),
        is_withheld,
        is_bulk: false,
        key: TagKey::new(&[9; 32]).subject_key(&subject),
    }
}

/// The key under which everybody finds exchanges about many.
fn bulk(month: &str) -> Due {
    Due {
        month: month.to_owned(),
        is_withheld: false,
        is_bulk: true,
        key: TagKey::new(&[9; 32]).subject_key(&Subject::many()),
    }
}

fn received(signed: &SignedStatement, tags: Vec<Tag>) -> Body {
    Body::In(In {
        statement: signed.bytes().clone(),
        sidecar: None,
        view: None,
        tags,
    })
}

fn sent(signed: &SignedStatement) -> Body {
    Body::Out(Out {
        statement: signed.bytes().clone(),
        sidecar: None,
        view: None,
    })
}

fn feed(search: &mut Search<'_>, entries: Vec<(&str, Body)>) {
    for (index, (time, body)) in (0..).zip(entries) {
        search.take(index, &Entry { at: at(time), body });
    }
}

const TIME: &str = "2026-11-30T23:59:59.000Z";
const AFTER_MIDNIGHT: &str = "2026-12-01T00:00:04.000Z";

/// A ledger that is not the sender's, as the provider's is for a request.
fn other() -> LogOrigin {
    "ss1.vital-events.ca-demo/access/2026h2.1".parse().unwrap()
}

#[test]
fn finds_the_person_under_the_key_of_the_month_also_across_its_end() {
    let request = statement(REQUEST);
    let keys = [due("2026-11", "046454286", false)];
    let tag = keys[0].key.tag(&other(), &request.statement().message_id);
    for (time, tags, expected) in [
        (TIME, vec![tag], 1),
        (AFTER_MIDNIGHT, vec![[7; 16], tag], 1),
        (TIME, vec![[7; 16]], 0),
        (TIME, Vec::new(), 0),
        ("2026-12-15T00:00:00.000Z", vec![tag], 0),
    ] {
        let mut search = Search::new(other(), &keys);
        feed(&mut search, vec![(time, received(&request, tags))]);
        assert_eq!(search.end().exchanges.len(), expected, "{time}");
    }
    let nobody = [due("2026-11", "193456787", false)];
    let mut search = Search::new(other(), &nobody);
    feed(&mut search, vec![(TIME, received(&request, vec![tag]))]);
    assert!(search.end().exchanges.is_empty());
}

#[test]
fn finds_the_person_among_more_subjects_than_a_statement_holds() {
    let request = statement(REQUEST);
    let origin = request.statement().log.clone();
    let keys = [due("2026-11", "046454286", false)];
    let tag = keys[0].key.tag(&origin, &request.statement().message_id);
    let late = |tags| {
        Body::Tags(LateTags {
            statement: request.hash(),
            tags,
        })
    };
    let mut of_it = Search::new(origin.clone(), &keys);
    let entries = vec![
        (TIME, late(vec![[1; 16]; 64])),
        (TIME, late(vec![[2; 16], tag])),
        (TIME, sent(&request)),
    ];
    feed(&mut of_it, entries);
    assert_eq!(of_it.end().exchanges.len(), 1);
    let mut of_another = Search::new(origin.clone(), &keys);
    let stray = Body::Tags(LateTags {
        statement: Digest::of(b"another"),
        tags: vec![tag],
    });
    feed(&mut of_another, vec![(TIME, stray), (TIME, sent(&request))]);
    assert!(of_another.end().exchanges.is_empty());
}

#[test]
fn an_exchange_is_one_line_with_its_outcome_and_a_withheld_one_is_only_counted() {
    let (request, response) = (statement(REQUEST), statement(RESPONSE));
    let id = request.statement().message_id;
    assert_eq!(id, response.statement().message_id);
    for is_withheld in [false, true] {
        let keys = [due("2026-11", "046454286", is_withheld)];
        let tag = keys[0].key.tag(&other(), &id);
        let mut search = Search::new(other(), &keys);
        let entries = vec![
            (TIME, received(&request, vec![tag])),
            (AFTER_MIDNIGHT, sent(&response)),
        ];
        feed(&mut search, entries);
        let found = search.end();
        if is_withheld {
            assert_eq!((found.exchanges.len(), found.withheld()), (0, [1, 0]));
            continue;
        }
        assert_eq!((found.exchanges.len(), found.withheld()), (1, [0, 0]));
        let ((time, _), exchange) = found.exchanges.first_key_value().unwrap();
        assert_eq!(exchange.outcome.as_deref(), Some("answered"));
        let told = value(*time, exchange, "x", None, Lang::En);
        let said = request.statement();
        assert_eq!(told["who"], said.sender.to_string());
        assert_eq!(told["purpose"], said.purpose.to_string());
        assert_eq!(told["time"], TIME);
    }
}

#[test]
fn who_is_only_in_the_answer_is_told_who_asked() {
    let (request, response) = (statement(REQUEST), statement(RESPONSE));
    let id = request.statement().message_id;
    let origin = request.statement().log.clone();
    let keys = [due("2026-11", "046454286", false)];
    let tag = keys[0].key.tag(&origin, &id);
    let mut search = Search::new(origin, &keys);
    let entries = vec![
        (TIME, sent(&request)),
        (AFTER_MIDNIGHT, received(&response, vec![tag])),
    ];
    feed(&mut search, entries);
    let found = search.end();
    let ((time, _), exchange) = found.exchanges.first_key_value().unwrap();
    assert_eq!((time.to_string().as_str(), exchange.index), (TIME, 0));
    assert_eq!(exchange.request.as_ref().unwrap().hash(), request.hash());
    assert_eq!(exchange.outcome.as_deref(), Some("answered"));
    assert!(!exchange.is_bulk);
}

#[test]
fn an_exchange_about_many_is_in_everybodys_answer_and_says_so_unless_one_is_named() {
    let (request, response) = (statement(REQUEST), statement(RESPONSE));
    let id = request.statement().message_id;
    let keys = [
        due("2026-11", "046454286", false),
        due("2026-12", "046454286", false),
        bulk("2026-11"),
        bulk("2026-12"),
    ];
    let everybody = keys[2].key.tag(&other(), &id);
    let own = keys[0].key.tag(&other(), &id);
    for (tags, is_bulk) in [(vec![everybody], true), (vec![everybody, own], false)] {
        let mut search = Search::new(other(), &keys);
        let entries = vec![
            (TIME, received(&request, tags)),
            (AFTER_MIDNIGHT, sent(&response)),
        ];
        feed(&mut search, entries);
        let found = search.end();
        assert_eq!(found.exchanges.len(), 1);
        let ((time, _), exchange) = found.exchanges.first_key_value().unwrap();
        assert_eq!(exchange.outcome.as_deref(), Some("answered"));
        let told = value(*time, exchange, "x", None, Lang::En);
        assert_eq!(told["bulk"], is_bulk);
    }
}

/// The provider logs refused calls before it knows that their message id is new, and anybody may choose one.
#[test]
fn what_a_refused_call_claims_changes_nothing_about_an_exchange() {
    let (request, response) = (statement(REQUEST), statement(RESPONSE));
    let id = request.statement().message_id;
    let keys = [due("2026-11", "046454286", false)];
    let tag = keys[0].key.tag(&other(), &id);
    let denied = |call: &SignedStatement| {
        Body::Denied(Denied {
            reason: "SENDER_NOT_ALLOWED".to_owned(),
            peer: None,
            call: DeniedCall::Statement(call.bytes().clone()),
            sidecar: None,
            view: None,
            tags: vec![tag],
        })
    };
    let mut search = Search::new(other(), &keys);
    let entries = vec![
        (TIME, denied(&request)),
        (TIME, received(&request, vec![tag])),
        (AFTER_MIDNIGHT, denied(&response)),
    ];
    feed(&mut search, entries);
    let found = search.end();
    assert_eq!(found.exchanges.len(), 1);
    let exchange = found.exchanges.values().next().unwrap();
    assert_eq!((exchange.index, exchange.outcome.as_deref()), (1, None));
}

#[test]
fn requests_that_ended_without_an_answer_are_not_kept_in_mind() {
    let request = statement(REQUEST);
    let mut search = Search::new(other(), &[]);
    let outcome = Body::Outcome(Outcome {
        request: request.hash(),
        kind: OutcomeKind::Timeout,
    });
    feed(&mut search, vec![(TIME, received(&request, Vec::new()))]);
    assert_eq!(search.open(), 1);
    feed(&mut search, vec![(TIME, outcome)]);
    assert_eq!(search.open(), 0);
}

#[test]
fn withheld_exchanges_about_many_are_counted_apart() {
    let request = statement(REQUEST);
    let id = request.statement().message_id;
    let mut keys = [due("2026-11", "046454286", true), bulk("2026-11")];
    keys[1].is_withheld = true;
    let [own, everybody] = [&keys[0], &keys[1]].map(|due| due.key.tag(&other(), &id));
    for (tags, expected) in [(vec![everybody], [0, 1]), (vec![everybody, own], [1, 0])] {
        let mut search = Search::new(other(), &keys);
        feed(&mut search, vec![(TIME, received(&request, tags))]);
        let found = search.end();
        assert_eq!((found.exchanges.len(), found.withheld()), (0, expected));
    }
}
