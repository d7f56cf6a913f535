use super::*;

fn body(sql: &str, driver: Driver) -> String {
    let statement = Statement::parse(sql, driver).unwrap();
    let mut text = String::new();
    statement.write_body(driver, &mut text);
    text
}

fn refused(sql: &str, driver: Driver) -> String {
    Statement::parse(sql, driver).unwrap_err().message
}

#[test]
fn turns_names_into_parameters_and_nothing_else() {
    for (sql, postgres) in [
        ("SELECT :a, :b, :a", "SELECT $1, $2, $1"),
        (
            "SELECT ':a', \":a\", x::text, :a::int",
            "SELECT ':a', \":a\", x::text, $1::int",
        ),
        (
            "SELECT $$:a$$, $t$ $$ :a $t$, :b",
            "SELECT $$:a$$, $t$ $$ :a $t$, $1",
        ),
        (
            "SELECT E'\\':a', 'x''y:a', :b",
            "SELECT E'\\':a', 'x''y:a', $1",
        ),
        ("SELECT 'x\\', :a", "SELECT 'x\\', $1"),
        ("SELECT a[1:2], :b", "SELECT a[1:2], $1"),
        ("SELECT 1 -- :a;\n, :b", "SELECT 1  \n, $1"),
        ("SELECT 1 /* :a /* ; */ :c */, :b", "SELECT 1  , $1"),
        (
            "WITH x AS (SELECT 1) SELECT * FROM x;  -- done",
            "WITH x AS (SELECT 1) SELECT * FROM x   ",
        ),
        (
            "SELECT t.update, \"delete\" FROM t",
            "SELECT t.update, \"delete\" FROM t",
        ),
        (
            "select '2026-01-01 00:00:a' where x=:y",
            "select '2026-01-01 00:00:a' where x=$1",
        ),
    ] {
        assert_eq!(body(sql, Driver::Postgres), postgres, "{sql}");
    }
    for (sql, sqlite) in [
        ("SELECT :a, [x:b], `y:c`, :d", "SELECT ?1, [x:b], `y:c`, ?2"),
        (
            "SELECT 'é:a', \"q\"\"r:a\", :b",
            "SELECT 'é:a', \"q\"\"r:a\", ?1",
        ),
        ("SELECT 1 /* /* */, :b", "SELECT 1  , ?1"),
    ] {
        assert_eq!(body(sql, Driver::Sqlite), sqlite, "{sql}");
    }
}

#[test]
fn refuses_what_could_be_two_queries_close_our_parenthesis_or_write() {
    for driver in [Driver::Postgres, Driver::Sqlite] {
        for sql in [
            "",
            "  -- nothing",
            "SELECT 1; SELECT 2",
            "SELECT 1; ;",
            "SELECT 1) q; DROP TABLE t --",
            "SELECT 1) UNION SELECT (2",
            "SELECT (1",
            "DELETE FROM t",
            "INSERT INTO t VALUES (1)",
            "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
            "SELECT * INTO t2 FROM t",
            "SELECT * FROM t FOR UPDATE",
            "PRAGMA writable_schema = 1",
            "EXPLAIN SELECT 1",
            "(SELECT 1)",
            "'SELECT'",
            "SELECT 'open",
            "SELECT \"open",
            "SELECT /* open",
            "SELECT nextval('s')",
            "SELECT set_config('x', 'y', false)",
            "SELECT \0",
        ] {
            assert!(
                Statement::parse(sql, driver).is_err(),
                "{driver:?}: {sql:?}"
            );
        }
    }
    assert_eq!(
        refused("SELECT $1", Driver::Postgres),
        "parameters are written :name"
    );
    assert_eq!(
        refused("SELECT $t$ open", Driver::Postgres),
        "this dollar quote is not closed"
    );
    for sql in [
        "SELECT ?",
        "SELECT @a",
        "SELECT $a",
        "SELECT ?1",
        "SELECT [open",
        "SELECT `open",
    ] {
        assert!(Statement::parse(sql, Driver::Sqlite).is_err(), "{sql}");
    }
    assert!(Statement::parse(&"x".repeat(70_000), Driver::Sqlite).is_err());
}

#[test]
fn wraps_the_query_and_selects_only_what_is_asked() {
    let statement = Statement::parse("SELECT a, b FROM t WHERE c = :c -- note", Driver::Sqlite);
    let statement = statement.unwrap();
    assert_eq!(
        statement.render(Driver::Sqlite, &["a", "we\"ird"], 2, 10),
        "SELECT q.\"a\", q.\"we\"\"ird\" FROM (\nSELECT a, b FROM t WHERE c = ?1  \n) AS q LIMIT 2"
    );
    assert_eq!(
        statement.render(Driver::Postgres, &["a"], 2, 10),
        "SELECT left(q.\"a\"::text, 10) FROM (\nSELECT a, b FROM t WHERE c = $1  \n) AS q LIMIT 2"
    );
    let nothing = statement.render(Driver::Sqlite, &[], 2, 10);
    assert!(nothing.starts_with("SELECT 1 FROM ("), "{nothing}");
}
