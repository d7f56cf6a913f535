//! PostgreSQL as a source.

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use entente_adapter_sdk::{Adapter, Standing};
use entente_adapter_sql::OpenError;
use entente_reason::Reason;
use serde_json::json;

use crate::server::Database;
use crate::support::{Fixture, Running};

const SERVICE: &str = "test.things.v1.Things";

const THINGS: &str = "
CREATE TABLE thing (name text, count bigint, state text, whole boolean, made timestamptz,
                    price numeric(12, 2), weight float8, mark bytea, note text, tags text);
INSERT INTO thing VALUES
 ('a', 1, 'G', true, '2024-05-03 10:00:00.25-05', 12.50, 1.5, '\\x00ff', NULL, 'x; y'),
 ('b', 2, 'B', false, '2024-05-03 10:00:00+00', 0.10, 2.5, '', 'n', NULL),
 ('c', 3, 'Q', NULL, 'infinity', 'NaN', 'NaN', NULL, '-', ''),
 ('d', 4, 'G', true, NULL, NULL, NULL, NULL, NULL, NULL);
GRANT SELECT ON thing TO reader;";

const FIND: &str = "  Find:
    source: db
    query: SELECT * FROM thing WHERE name = :name
    bind: {name: {from: request.name}}
    fields:
      name: name
      count: count
      state: {column: state, map: {G: STATE_GOOD, B: STATE_BAD, Q: STATE_BAD}}
      whole: whole
      made: {column: made, type: timestamp}
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

async fn open(database: &Database, methods: &str) -> (Fixture, Running) {
    let fixture = Fixture::new();
    let file = database.adapter_file(&fixture, "things", SERVICE, methods);
    let adapter = fixture.open("things", &file).await.unwrap();
    (fixture, adapter)
}

#[tokio::test]
async fn answers_with_every_type_exactly_and_refuses_what_no_type_holds() {
    let database = Database::create(THINGS).await;
    let (_fixture, adapter) = open(&database, FIND).await;
    assert_eq!(adapter.adapter.findings(), []);
    let answer = adapter.call("Find", r#"{"name": "a"}"#).await.unwrap();
    assert_eq!(
        answer,
        json!({"name": "a", "count": "1", "state": "STATE_GOOD", "whole": true,
               "made": "2024-05-03T15:00:00.250Z", "price": "12.50", "weight": 1.5,
               "mark": "AP8=", "tags": ["x", "y"]})
    );
    let answer = adapter.call("Find", r#"{"name": "d"}"#).await.unwrap();
    assert_eq!(
        answer,
        json!({"name": "d", "count": "4", "state": "STATE_GOOD", "whole": true})
    );
    for element in ["thing.made", "thing.price", "thing.weight"] {
        let mut context = adapter.context("Find");
        context.elements = [element.parse().unwrap()].into();
        let refused = adapter.call_as(context, "Find", r#"{"name": "c"}"#).await;
        assert_eq!(refused.unwrap_err().code(), "BAD_RECORD", "{element}");
    }
}

#[tokio::test]
async fn as_many_rows_and_bytes_as_the_limit_pass_and_one_more_fails() {
    let database = Database::create(THINGS).await;
    let wide = "  Find:
    source: db
    query: SELECT repeat('x', :n::int) AS name
    bind: {n: {from: request.at_least}}
    limits: {bytes: 1KiB}
    fields: {name: name}
";
    let (_fixture, adapter) = open(&database, &format!("{LIST}{wide}")).await;
    let answer = adapter.call("List", r#"{"upTo": 3}"#).await.unwrap();
    assert_eq!(answer["things"][0]["name"], "c", "in the query's order");
    let refused = adapter.call("List", r#"{"upTo": 4}"#).await.unwrap_err();
    assert_eq!(refused.code(), "TOO_MANY_ROWS");
    assert!(adapter.call("Find", r#"{"atLeast": "1021"}"#).await.is_ok());
    for size in ["1022", "1025", "9000000"] {
        let request = json!({ "atLeast": size }).to_string();
        assert_eq!(
            adapter.refusal("Find", &request).await,
            "TOO_MANY_BYTES",
            "{size}"
        );
    }
    // The connections that were cut off were replaced.
    assert!(adapter.call("List", r#"{"upTo": 1}"#).await.is_ok());
}

#[tokio::test]
async fn a_role_that_can_write_stops_the_start() {
    let database = Database::create(THINGS).await;
    database
        .run("CREATE SCHEMA own; CREATE TABLE own.t (x int, y int); CREATE SEQUENCE own.s;")
        .await;
    let name = &database.name;
    // Roles are the server's, not the database's: each test names its own.
    for (index, (grant, power)) in [
        ("GRANT INSERT ON thing TO {r}", "may write public.thing"),
        ("GRANT UPDATE ON thing TO {r}", "may write public.thing"),
        ("GRANT DELETE ON thing TO {r}", "may write public.thing"),
        ("GRANT TRUNCATE ON thing TO {r}", "may write public.thing"),
        ("GRANT UPDATE (y) ON own.t TO {r}", "may write own.t"),
        ("GRANT INSERT (y) ON own.t TO {r}", "may write own.t"),
        ("GRANT UPDATE ON SEQUENCE own.s TO {r}", "may advance own.s"),
        (
            "GRANT CREATE ON SCHEMA own TO {r}",
            "may create in schema own",
        ),
        (
            "GRANT CREATE ON DATABASE {d} TO {r}",
            "may create in database",
        ),
        ("ALTER TABLE own.t OWNER TO {r}", "owns own.t"),
        ("ALTER ROLE {r} SUPERUSER", "is a superuser"),
        ("ALTER ROLE {r} CREATEROLE", "may create roles"),
        ("ALTER ROLE {r} CREATEDB", "may create databases"),
        ("ALTER ROLE {r} REPLICATION", "may replicate"),
        ("GRANT pg_write_all_data TO {r}", "pg_write_all_data"),
        (
            "GRANT pg_write_server_files TO {r}",
            "pg_write_server_files",
        ),
        (
            "CREATE ROLE {r}_w NOINHERIT; GRANT INSERT ON thing TO {r}_w; GRANT {r}_w TO {r}; \
             ALTER ROLE {r} NOINHERIT",
            "may write public.thing",
        ),
    ]
    .iter()
    .enumerate()
    {
        let role = format!("{name}_{index}");
        let grant = grant.replace("{r}", &role).replace("{d}", name);
        database
            .run(&format!(
                "CREATE ROLE {role} LOGIN PASSWORD 'reader''s \"password\"'; \
                 GRANT SELECT ON thing TO {role}; {grant}"
            ))
            .await;
        let fixture = Fixture::new();
        let file = database.adapter_file_as(&role, &fixture, "things", SERVICE, LIST);
        match fixture.open("things", &file).await {
            Err(OpenError::Writable {
                source_name,
                powers,
            }) => {
                assert_eq!(source_name, "db");
                assert!(powers.contains(power), "{grant}: {powers}");
            }
            other => panic!("{grant}: {:?}", other.map(|_| ())),
        }
    }
    let (_fixture, adapter) = open(&database, LIST).await;
    assert_eq!(adapter.standing("List"), Standing::Serving);
}

#[tokio::test]
async fn a_role_that_is_given_rights_later_is_asked_no_more_until_they_are_taken_back() {
    let database = Database::create(THINGS).await;
    let (fixture, adapter) = open(&database, LIST).await;
    assert!(adapter.call("List", r#"{"upTo": 1}"#).await.is_ok());
    for (sql, answered) in [
        ("GRANT INSERT ON thing TO reader", false),
        ("REVOKE INSERT ON thing FROM reader", true),
    ] {
        database.run(sql).await;
        fixture.clock.advance(Duration::from_secs(30));
        adapter.adapter.probe().await;
        let answer = adapter.call("List", r#"{"upTo": 1}"#).await;
        assert_eq!(answer.is_ok(), answered, "{sql}");
        assert_eq!(adapter.standing("List") == Standing::Serving, answered);
    }
}

#[tokio::test]
async fn a_value_the_query_cannot_take_is_refused_and_costs_no_connection() {
    let database = Database::create(THINGS).await;
    let find = "  Find:
    source: db
    query: SELECT count, pg_backend_pid()::text AS name FROM thing WHERE count = :name
    bind: {name: {from: request.name}}
    fields: {count: count, name: name}
";
    let (_fixture, adapter) = open(&database, find).await;
    let before = adapter.call("Find", r#"{"name": "1"}"#).await.unwrap();
    for value in ["one", "1 OR 1=1", "99999999999999999999", "1.5"] {
        let request = json!({ "name": value }).to_string();
        assert_eq!(
            adapter.refusal("Find", &request).await,
            "BAD_FIELD",
            "{value}"
        );
    }
    let after = adapter.call("Find", r#"{"name": "1"}"#).await.unwrap();
    assert_eq!(after["name"], before["name"], "the same connection answers");
}

#[tokio::test]
async fn nothing_is_written_even_through_a_function_that_writes() {
    let database = Database::create(THINGS).await;
    database
        .run(
            "CREATE FUNCTION sneaky() RETURNS text LANGUAGE sql SECURITY DEFINER AS
             $$ INSERT INTO thing (name) VALUES ('written') RETURNING name $$;",
        )
        .await;
    let (_fixture, adapter) = open(
        &database,
        "  Find:
    source: db
    query: SELECT sneaky() AS name
    fields: {name: name}
",
    )
    .await;
    assert_eq!(adapter.refusal("Find", "{}").await, "SOURCE_REFUSED");
    let count = database.query("SELECT count(*)::text FROM thing").await;
    assert_eq!(count, "4");
}

#[tokio::test]
async fn stops_a_query_at_the_deadline_on_the_server_too() {
    let database = Database::create(THINGS).await;
    let (_fixture, adapter) = open(
        &database,
        &format!(
            "{LIST}  Find:
    source: db
    query: SELECT pg_sleep(60)::text AS name
    limits: {{deadline: 300ms}}
    fields: {{name: name}}
"
        ),
    )
    .await;
    for _ in 0..3 {
        assert_eq!(adapter.refusal("Find", "{}").await, "SOURCE_SLOW");
        assert!(adapter.call("List", r#"{"upTo": 1}"#).await.is_ok());
    }
}

#[tokio::test]
async fn a_column_that_would_be_guessed_at_is_refused_before_any_call() {
    let database = Database::create(THINGS).await;
    for (query, field, why) in [
        (
            "SELECT 1.5::float8 AS x",
            "price: {column: x, type: decimal}",
            "floating-point",
        ),
        (
            "SELECT now()::timestamp AS x",
            "made: {column: x, type: timestamp}",
            "no offset",
        ),
        ("SELECT 1 AS y", "count: x", "does not exist"),
        ("SELECT * FROM no_such_table", "count: x", "does not exist"),
    ] {
        let file =
            format!("  Find:\n    source: db\n    query: {query}\n    fields: {{{field}}}\n");
        let (_fixture, adapter) = open(&database, &file).await;
        assert_eq!(
            adapter.standing("Find"),
            Standing::NotServing(Reason::SourceRefused)
        );
        let findings = adapter.adapter.findings();
        assert!(findings[0].error.message().contains(why), "{:?}", findings);
    }
}

#[tokio::test]
async fn an_open_breaker_leaves_the_server_alone() {
    let fixture = Fixture::new();
    let folder = tempfile::tempdir().unwrap();
    // Something that takes connections and hangs up, and counts them.
    let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
    let dialled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&dialled);
    std::thread::spawn(move || {
        for _stream in listener.incoming() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let file = format!(
        "adapter: v1\nname: things\nservice: {SERVICE}\ndescriptors: ./all.binpb\n\
         sources:\n  db: {{sql: {{driver: postgres, host: {}, database: x, user: x}}}}\n\
         methods:\n{LIST}",
        folder.path().display()
    );
    let adapter = fixture.open("things", &file).await.unwrap();
    assert_eq!(
        adapter.standing("List"),
        Standing::NotServing(Reason::SourceDown)
    );
    for _ in 0..4 {
        assert_eq!(
            adapter.refusal("List", r#"{"upTo": 1}"#).await,
            "SOURCE_DOWN"
        );
    }
    let before = dialled.load(Ordering::SeqCst);
    assert_eq!(before, 5);
    for _ in 0..10 {
        let refused = adapter.call("List", r#"{"upTo": 1}"#).await.unwrap_err();
        assert_eq!(refused.code(), "SOURCE_DOWN");
    }
    assert_eq!(dialled.load(Ordering::SeqCst), before, "nobody dialled");
    fixture.clock.advance(Duration::from_secs(5));
    assert_eq!(
        adapter.refusal("List", r#"{"upTo": 1}"#).await,
        "SOURCE_DOWN"
    );
    assert_eq!(dialled.load(Ordering::SeqCst), before + 1, "one call tried");
}
