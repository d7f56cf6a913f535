//! SQLite as a source.

use std::collections::BTreeSet;
use std::time::Duration;

use entente_adapter_sdk::{Mode, Standing};
use entente_adapter_sql::samples::{self, DECEASED, LIVING};
use entente_adapter_sql::{SqlAdapter, check};
use entente_reason::Reason;
use serde_json::json;

use crate::support::{Fixture, Running};

const THINGS: &str = "
CREATE TABLE thing (name TEXT, count INTEGER, state TEXT, whole TEXT, made TEXT, price TEXT,
                    weight REAL, mark BLOB, note TEXT, tags TEXT, secret TEXT);
INSERT INTO thing VALUES
 ('a', 1, 'G', 'Y', '2024-05-03 10:00:00', '12.50', 1.5, x'00ff', NULL, 'x; y', 'poison'),
 ('b', 2, 'B', 'N', '2024-05-03 10:00:00', '0.10', 2.5, x'', 'n', NULL, 'poison'),
 ('c', 3, 'Q', '?', 'yesterday', '1e3', 3.5, NULL, '-', '', 'poison'),
 ('d', 4, 'G', 'Y', NULL, NULL, NULL, NULL, NULL, NULL, 'poison');";

const FIND: &str = "  Find:
    source: db
    query: |
      SELECT * FROM thing -- everything; only what is released is selected from it
      WHERE (:name IS NULL OR name = :name) AND count >= :at_least
        AND (:state = 'STATE_UNSPECIFIED' OR :state = 'STATE_GOOD' AND state = 'G')
    bind:
      name: {from: request.name, absent: null}
      at_least: {from: request.at_least, absent: '0'}
      state: {from: request.inner.state, absent: STATE_UNSPECIFIED}
    fields:
      name: name
      count: count
      state: {column: state, map: {G: STATE_GOOD, B: STATE_BAD}}
      whole: {column: whole, 'true': [Y], 'false': [N]}
      made: {column: made, type: timestamp, zone: '-05:00'}
      price: {column: price, type: decimal}
      weight: weight
      mark: mark
      note: {column: note, empty: '-'}
      tags: {column: tags, split: ';'}
";

const LIST: &str = "  List:
    source: db
    query: SELECT name, count FROM thing WHERE count <= :up_to ORDER BY count DESC
    bind: {up_to: {from: request.up_to}}
    rows_into: things
    fields: {name: name, count: count}
";

#[tokio::test]
async fn answers_one_row_with_every_type_as_the_contract_has_it() {
    let fixture = Fixture::new();
    fixture.database(THINGS);
    let adapter = fixture.things(FIND).await;
    assert_eq!(adapter.adapter.findings(), []);
    let answer = adapter.call("Find", r#"{"name": "a"}"#).await.unwrap();
    assert_eq!(
        answer,
        json!({"name": "a", "count": "1", "state": "STATE_GOOD", "whole": true,
               "made": "2024-05-03T15:00:00Z", "price": "12.50", "weight": 1.5,
               "mark": "AP8=", "tags": ["x", "y"]})
    );
    let answer = adapter
        .call(
            "Find",
            r#"{"atLeast": "4", "inner": {"state": "STATE_GOOD"}}"#,
        )
        .await
        .unwrap();
    assert_eq!(
        answer,
        json!({"name": "d", "count": "4", "state": "STATE_GOOD", "whole": true}),
        "NULL is an absent field"
    );
    assert_eq!(
        adapter.refusal("Find", r#"{"name": "z"}"#).await,
        "NO_RECORD"
    );
}

#[tokio::test]
async fn an_unknown_code_fails_and_names_the_field_but_not_the_value() {
    let fixture = Fixture::new();
    fixture.database(THINGS);
    let adapter = fixture.things(FIND).await;
    for (element, reason) in [
        ("thing.whole", "UNMAPPED_CODE"),
        ("thing.made", "BAD_RECORD"),
        ("thing.price", "BAD_RECORD"),
    ] {
        let mut context = adapter.context("Find");
        context.elements = [element.parse().unwrap()].into();
        let refused = adapter.call_as(context, "Find", r#"{"name": "c"}"#).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), reason, "{element}");
        let field = element.replace("thing.", "");
        assert_eq!(refused.metadata(), [("field", field)]);
    }
    let lenient = FIND.replace("B: STATE_BAD}", "B: STATE_BAD}, else: STATE_UNSPECIFIED");
    let adapter = fixture.things(&lenient).await;
    let mut context = adapter.context("Find");
    context.elements = ["thing.state".parse().unwrap()].into();
    let answer = adapter.call_as(context, "Find", r#"{"name": "c"}"#).await;
    assert_eq!(answer.unwrap(), json!({}));
}

#[tokio::test]
async fn selects_only_columns_whose_element_is_released() {
    let fixture = Fixture::new();
    fixture.database(THINGS);
    // `state` is mapped to a column whose values always fail: as long as nobody may have it, it is
    // not even read.
    let file = FIND.replace("{column: state, map", "{column: secret, map");
    let adapter = fixture.things(&file).await;
    assert_eq!(
        adapter.refusal("Find", r#"{"name": "a"}"#).await,
        "UNMAPPED_CODE"
    );
    let mut context = adapter.context("Find");
    context.elements.remove(&"thing.state".parse().unwrap());
    let answer = adapter
        .call_as(context, "Find", r#"{"name": "a"}"#)
        .await
        .unwrap();
    assert_eq!(answer["name"], "a");
    assert_eq!(answer.get("state"), None);

    let mut context = adapter.context("Find");
    context.elements = BTreeSet::new();
    let answer = adapter.call_as(context, "Find", r#"{"name": "a"}"#).await;
    assert_eq!(answer.unwrap(), json!({}), "a row is there, and none of it");
}

#[tokio::test]
async fn as_many_rows_as_the_limit_pass_and_one_more_fails() {
    let fixture = Fixture::new();
    fixture.database(THINGS);
    let adapter = fixture.things(&format!("{LIST}{FIND}")).await;
    let answer = adapter.call("List", r#"{"upTo": 3}"#).await.unwrap();
    let names: Vec<_> = answer["things"]
        .as_array()
        .unwrap()
        .iter()
        .map(|thing| thing["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["c", "b", "a"], "in the query's order");
    let refused = adapter.call("List", r#"{"upTo": 4}"#).await.unwrap_err();
    assert_eq!(refused.code(), "TOO_MANY_ROWS");
    assert_eq!(refused.metadata(), [("limit", "3".to_owned())]);
    assert_eq!(adapter.call("List", "{}").await.unwrap(), json!({}));
    let refused = adapter.call("Find", "{}").await.unwrap_err();
    assert_eq!(
        refused.code(),
        "TOO_MANY_ROWS",
        "one was promised, four came"
    );
}

#[tokio::test]
async fn as_many_bytes_as_the_limit_pass_and_one_more_fails() {
    let fixture = Fixture::new();
    fixture.database("CREATE TABLE t (x)");
    let adapter = fixture
        .things(
            "  Find:
    source: db
    query: SELECT printf('%.*c', :n, 'x') AS name
    bind: {n: {from: request.at_least}}
    limits: {bytes: 1KiB}
    fields: {name: name}
",
        )
        .await;
    // Tag and length take three bytes of the message.
    assert!(adapter.call("Find", r#"{"atLeast": "1021"}"#).await.is_ok());
    for size in ["1022", "1024", "1025", "9000000"] {
        let request = json!({ "atLeast": size }).to_string();
        assert_eq!(
            adapter.refusal("Find", &request).await,
            "TOO_MANY_BYTES",
            "{size}"
        );
    }
}

#[tokio::test]
async fn stops_a_query_at_the_deadline_and_answers_the_next() {
    let fixture = Fixture::new();
    fixture.database(THINGS);
    let adapter = fixture
        .things(&format!(
            "{LIST}  Find:
    source: db
    query: |
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
      SELECT max(i) AS count FROM n WHERE i <> :at_least
    bind: {{at_least: {{from: request.at_least, absent: '0'}}}}
    limits: {{deadline: 200ms}}
    fields: {{count: count}}
"
        ))
        .await;
    for _ in 0..3 {
        assert_eq!(adapter.refusal("Find", "{}").await, "SOURCE_SLOW");
        // Both threads would be busy by now, had the queries not been interrupted.
        assert!(adapter.call("List", r#"{"upTo": 1}"#).await.is_ok());
    }
}

#[tokio::test]
async fn limits_how_often_and_how_many_at_once() {
    let fixture = Fixture::new();
    fixture.database(THINGS);
    let file = LIST.replace(
        "    rows_into",
        "    limits: {rate: 2/s, in_flight: 1}\n    rows_into",
    );
    let adapter = fixture.things(&file).await;
    for _ in 0..2 {
        assert!(adapter.call("List", r#"{"upTo": 1}"#).await.is_ok());
    }
    let refused = adapter.call("List", r#"{"upTo": 1}"#).await.unwrap_err();
    assert_eq!(refused.code(), "RATE_LIMITED");
    fixture.clock.advance(Duration::from_secs(1));
    assert!(adapter.call("List", r#"{"upTo": 1}"#).await.is_ok());

    let endless = "  Find:
    source: db
    query: |
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
      SELECT count(*) AS count FROM n
    limits: {deadline: 200ms, in_flight: 1}
    fields: {count: count}
";
    let adapter = fixture.things(endless).await;
    let (first, second) = tokio::join!(adapter.call("Find", "{}"), adapter.call("Find", "{}"));
    assert_eq!(first.unwrap_err().code(), "SOURCE_SLOW");
    let refused = second.unwrap_err();
    assert_eq!(refused.code(), "SOURCE_BUSY");
    assert_eq!(refused.metadata(), [("limit", "1".to_owned())]);
}

#[tokio::test]
async fn one_bad_binding_is_set_aside_and_the_others_serve() {
    let fixture = Fixture::new();
    fixture.database(THINGS);
    let broken = FIND
        .replace("request.name", "request.nmae")
        .replace("count: count", "cuont: count");
    let adapter = fixture.things(&format!("{LIST}{broken}")).await;
    assert_eq!(adapter.standing("List"), Standing::Serving);
    assert_eq!(
        adapter.standing("Find"),
        Standing::NotServing(Reason::SourceRefused)
    );
    assert_eq!(adapter.standing("Echo"), Standing::Unbound);
    assert!(adapter.call("List", r#"{"upTo": 1}"#).await.is_ok());
    assert_eq!(adapter.refusal("Find", "{}").await, "SOURCE_REFUSED");
    assert_eq!(adapter.refusal("Echo", "{}").await, "UNKNOWN_METHOD");
    let findings: Vec<_> = adapter
        .adapter
        .findings()
        .iter()
        .map(|finding| finding.error.to_string())
        .collect();
    assert_eq!(
        findings.len(),
        2,
        "every fault is found at once: {findings:?}"
    );
    assert!(
        findings[0].contains("did you mean `name`?"),
        "{}",
        findings[0]
    );
    assert!(
        findings[1].contains("did you mean `count`?"),
        "{}",
        findings[1]
    );

    // A fault only the source can see sets aside the method too.
    let broken = FIND.replace("count: count", "count: no_such_column");
    let adapter = fixture.things(&format!("{LIST}{broken}")).await;
    assert_eq!(adapter.standing("List"), Standing::Serving);
    assert_eq!(
        adapter.standing("Find"),
        Standing::NotServing(Reason::SourceRefused)
    );
    let finding = &adapter.adapter.findings()[0];
    assert!(
        finding.error.message().contains("no_such_column"),
        "{}",
        finding.error
    );
}

#[tokio::test]
async fn a_source_that_is_down_is_tried_again_and_found_when_it_is_back() {
    let fixture = Fixture::new();
    let adapter = fixture.things(LIST).await;
    assert_eq!(
        adapter.standing("List"),
        Standing::NotServing(Reason::SourceDown)
    );
    assert_eq!(
        adapter.refusal("List", r#"{"upTo": 1}"#).await,
        "SOURCE_DOWN"
    );
    fixture.database(THINGS);
    probe(&adapter).await;
    assert_eq!(adapter.standing("List"), Standing::Serving);
    assert!(adapter.call("List", r#"{"upTo": 1}"#).await.is_ok());

    // A file put in the place of the other is the one that is read.
    fixture.database("CREATE TABLE thing (name, count); INSERT INTO thing VALUES ('new', 1)");
    let answer = adapter.call("List", r#"{"upTo": 1}"#).await.unwrap();
    assert_eq!(answer["things"][0]["name"], "new");

    std::fs::remove_file(fixture.path("things.db")).unwrap();
    for _ in 0..5 {
        assert_eq!(
            adapter.refusal("List", r#"{"upTo": 1}"#).await,
            "SOURCE_DOWN"
        );
    }
    fixture.database(THINGS);
    // The breaker leaves the source alone for five seconds, although it is back.
    assert_eq!(
        adapter.refusal("List", r#"{"upTo": 1}"#).await,
        "SOURCE_DOWN"
    );
    assert_eq!(
        adapter.standing("List"),
        Standing::NotServing(Reason::SourceDown)
    );
    fixture.clock.advance(Duration::from_secs(5));
    assert!(adapter.call("List", r#"{"upTo": 1}"#).await.is_ok());
    assert_eq!(adapter.standing("List"), Standing::Serving);
}

async fn probe(adapter: &Running) {
    use entente_adapter_sdk::Adapter;
    adapter.adapter.probe().await;
}

#[tokio::test]
async fn test_mode_answers_from_the_examples_and_never_reaches_the_source() {
    let fixture = Fixture::new();
    fixture.database(THINGS);
    let file = format!(
        "{LIST}examples:
  - call: List
    request: {{up_to: 7}}
    response: {{things: [{{name: 0123, count: 5}}]}}
  - call: List
    request: {{up_to: 8}}
    error: {{code: UNAVAILABLE, reason: SOURCE_DOWN}}
"
    );
    let adapter = fixture.things(&file).await;
    assert_eq!(adapter.adapter.findings(), []);
    std::fs::remove_file(fixture.path("things.db")).unwrap();
    let test = |elements: &[&str]| {
        let mut context = adapter.context("List");
        context.mode = Mode::Test;
        context.elements = elements.iter().map(|name| name.parse().unwrap()).collect();
        context
    };
    let answer = adapter
        .call_as(test(&["thing.name"]), "List", r#"{"upTo": 7}"#)
        .await;
    assert_eq!(answer.unwrap(), json!({"things": [{"name": "0123"}]}));
    let refused = adapter.call_as(test(&[]), "List", r#"{"upTo": 8}"#).await;
    assert_eq!(refused.unwrap_err().code(), "SOURCE_DOWN");
    let refused = adapter.call_as(test(&[]), "List", r#"{"upTo": 9}"#).await;
    assert_eq!(refused.unwrap_err().code(), "NO_RECORD");
}

#[tokio::test]
async fn no_value_stands_in_a_refusal() {
    let fixture = Fixture::new();
    fixture.database(
        "CREATE TABLE thing (name, count); INSERT INTO thing VALUES ('canary-c', 'canary-d')",
    );
    let adapter = fixture
        .things(
            "  Find:
    source: db
    query: SELECT name, count FROM thing WHERE :name <> ''
    bind: {name: {from: request.name, check: 'canary-[a-z]'}}
    fields: {count: count, name: name}
",
        )
        .await;
    for request in [r#"{"name": "canary-a"}"#, r#"{"name": "canary-1"}"#] {
        let refused = adapter.call("Find", request).await.unwrap_err();
        let shown = format!("{refused} {refused:?} {:?}", refused.metadata());
        assert!(!shown.contains("canary"), "{shown}");
        let status = format!("{:?}", refused.into_status());
        assert!(!status.contains("canary"), "{status}");
    }
}

#[tokio::test]
async fn the_sample_passes_its_own_examples_and_its_check() {
    let fixture = Fixture::new();
    let path = samples::vital_events(fixture.folder.path()).unwrap();
    let report = check(&path, &fixture.options()).await;
    assert!(report.is_ready(), "{report}");
    let adapter = SqlAdapter::open(&path, &fixture.options()).await.unwrap();
    let outcomes = adapter.run_examples().await;
    assert_eq!(outcomes.len(), 5);
    for outcome in outcomes {
        assert_eq!(outcome.result, Ok(()), "{outcome:?}");
    }
    let adapter = Running { adapter };
    let mut context = adapter.context("LookupDeath");
    context.elements = ["death.registered", "death.date"]
        .map(|element| element.parse().unwrap())
        .into();
    for (number, expected) in [
        (
            DECEASED,
            json!({"registered": true, "dateOfDeath": "2026-03-14"}),
        ),
        (LIVING, json!({})),
    ] {
        let request = json!({ "personNumber": number }).to_string();
        let answer = adapter
            .call_as(context.clone(), "LookupDeath", &request)
            .await
            .unwrap();
        assert_eq!(answer, expected);
    }
    for person in samples::people() {
        let request = json!({ "personNumber": person.number, "dateOfBirth": person.born });
        fixture.clock.advance(Duration::from_secs(1));
        let answer = adapter
            .call("LookupDeath", &request.to_string())
            .await
            .unwrap();
        let death = person.death.as_ref();
        assert_eq!(answer.get("registered").is_some(), death.is_some());
        let date = answer.get("dateOfDeath").and_then(|date| date.as_str());
        assert_eq!(date, death.map(|death| death.date.as_str()));
        let place = answer.get("placeOfDeath").and_then(|place| place.as_str());
        assert_eq!(place, death.map(samples::Death::place));
    }
}
