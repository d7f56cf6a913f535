//! What an owner reads when the file is wrong.

use entente_adapter_sql::{OpenError, check};

use crate::support::{Fixture, descriptors, things_file};

const GOOD: &str = "  List:
    source: db
    query: SELECT name FROM thing WHERE count <= :up_to
    bind: {up_to: {from: request.up_to}}
    rows_into: things
    fields: {name: name}
";

async fn fatal(text: &str) -> String {
    let fixture = Fixture::new();
    match fixture.open("things", text).await {
        Err(OpenError::Load(error)) => {
            let folder = fixture.folder.path().display().to_string();
            error.to_string().replace(&folder, "…")
        }
        other => panic!("{other:?}", other = other.map(|_| ())),
    }
}

/// The findings of a file that opens, without the file's path.
async fn found(methods: &str) -> String {
    let fixture = Fixture::new();
    fixture.database("CREATE TABLE thing (name, count)");
    let adapter = fixture.things(methods).await;
    let folder = fixture.folder.path().display().to_string();
    let findings: Vec<_> = adapter
        .adapter
        .findings()
        .iter()
        .map(|finding| finding.error.to_string().replace(&folder, "…"))
        .collect();
    findings.join("\n\n")
}

#[tokio::test]
async fn a_file_that_is_not_strict_is_refused_with_its_line() {
    let good = things_file(GOOD);
    insta::assert_snapshot!(
        "unknown_key",
        fatal(&good.replace("rows_into", "row_into")).await
    );
    insta::assert_snapshot!(
        "duplicate_key",
        fatal(&good.replace("limits:", "name: x\nlimits:")).await
    );
    insta::assert_snapshot!("driver", fatal(&good.replace("sqlite", "mysql")).await);
    insta::assert_snapshot!(
        "source_kind",
        fatal(&good.replace(
            "sql: {driver: sqlite, file: ./things.db, pool: {max: 2}}",
            "soap: {}"
        ))
        .await
    );
    insta::assert_snapshot!(
        "version",
        fatal(&good.replace("adapter: v1", "adapter: v2")).await
    );
    insta::assert_snapshot!(
        "contract",
        fatal(&good.replace("all.binpb", "none.binpb")).await
    );
    insta::assert_snapshot!(
        "registry",
        fatal(&good.replace("./all.binpb", "{registry: demo/things@1}")).await
    );
    insta::assert_snapshot!(
        "service",
        fatal(&good.replace("v1.Things", "v1.Thing")).await
    );
    insta::assert_snapshot!("rate", fatal(&good.replace("1000/s", "often")).await);
}

#[tokio::test]
async fn every_fault_of_a_binding_is_told_at_once() {
    insta::assert_snapshot!(
        "many_faults",
        found(
            "  Find:
    source: bd
    query: SELECT 1
    fields: {name: name}
  List:
    source: db
    query: |
      SELECT name FROM thing
      WHERE count <= :up_to AND name = :nam; SELECT 2
    bind:
      up_to: {from: request.upto}
      name: {from: request.up_to, check: '('}
    rows_into: thing
    fields: {name: name}
  Echo:
    source: db
    query: SELECT :text AS text
    bind:
      txet: {from: request.text}
      date: {from: request.date, type: date, format: '%Q'}
      raw: {from: request.raw, type: int}
    fields:
      text: {column: text, map: {A: B}, zone: UTC}
      date: {column: date, type: money}
      raw: {fields: {x: y}}
      nothing: {trim: true}
  Change:
    source: db
    query: DELETE FROM thing
    writes: true
    fields: {name: name}
  Missing:
    source: db
    query: SELECT 1
    fields: {}
"
        )
        .await
    );
}

#[tokio::test]
async fn pages_streams_and_writing_are_said_to_come_later() {
    insta::assert_snapshot!(
        "later",
        found(
            "  Find:
    source: db
    query: SELECT name FROM thing
    page: {keys: [name], default: 10, max: 20}
    fields: {name: name}
  List:
    source: db
    query: SELECT name FROM thing
    returns: stream
    batch: 500
    limits: {bytes: none}
    fields: {name: name}
  Change:
    source: db
    query: SELECT name FROM thing
    fields: {name: name}
"
        )
        .await
    );
}

#[tokio::test]
async fn the_check_goes_through_all_stages() {
    let fixture = Fixture::new();
    fixture.database("CREATE TABLE thing (name, count)");
    let path = fixture.path("adapter.yaml");
    std::fs::write(fixture.path("all.binpb"), descriptors("things")).unwrap();
    let file = things_file(&format!(
        "{GOOD}examples:\n  - call: List\n    request: {{up_to: many}}\n    response: {{}}\n"
    ));
    std::fs::write(&path, file).unwrap();
    let report = check(&path, &fixture.options()).await;
    assert!(!report.is_ready());
    let folder = fixture.folder.path().display().to_string();
    let shown = report.to_string().replace(&folder, "…");
    let version = shown
        .split("SQLite ")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    insta::assert_snapshot!("check", shown.replace(version, "…"));
}

#[test]
fn the_schema_for_editors_is_as_published() {
    let schema = serde_json::to_string_pretty(&entente_adapter_sql::schema()).unwrap();
    insta::assert_snapshot!("schema", schema);
}
