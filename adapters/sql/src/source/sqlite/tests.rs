use super::*;

fn database() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1); PRAGMA journal_mode = DELETE")
        .unwrap();
    (folder, path)
}

/// Each would change the file or something beside it, on a connection that may write.
const WRITES: &[&str] = &[
    "INSERT INTO t VALUES (2)",
    "UPDATE t SET x = 2",
    "DELETE FROM t",
    "DROP TABLE t",
    "CREATE TABLE u (x)",
    "CREATE INDEX i ON t (x)",
    "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
    "ALTER TABLE t ADD COLUMN y",
    "PRAGMA query_only = OFF; INSERT INTO t VALUES (2)",
    "PRAGMA user_version = 7",
    "PRAGMA application_id = 7",
    "PRAGMA journal_mode = WAL; INSERT INTO t VALUES (2)",
    "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema",
    "BEGIN IMMEDIATE",
    "VACUUM",
    "REINDEX t; INSERT INTO t VALUES (2)",
];

#[test]
fn nothing_can_be_written_through_a_connection_even_by_whoever_holds_it() {
    let (_folder, path) = database();
    let before = fs::read(&path).unwrap();
    for write in WRITES {
        let connection = open_read_only(&path).unwrap();
        assert!(connection.execute_batch(write).is_err(), "{write}");
        drop(connection);
        assert!(fs::read(&path).unwrap() == before, "{write}");
    }
    // They are writes indeed.
    for write in WRITES {
        let (_folder, path) = database();
        let connection = Connection::open(&path).unwrap();
        assert!(connection.execute_batch(write).is_ok(), "{write}");
    }
}

#[test]
fn a_file_that_is_not_there_is_not_made() {
    let (folder, _) = database();
    let path = folder.path().join("none.db");
    assert!(matches!(open_read_only(&path), Err(SourceError::Down(_))));
    assert!(!path.exists());
    fs::write(
        &path,
        "this is not a database, whatever its name says it is",
    )
    .unwrap();
    assert!(matches!(open_read_only(&path), Err(SourceError::Down(_))));
}

#[tokio::test]
async fn more_questions_than_connections_wait_their_turn_and_then_are_told_it_is_busy() {
    let (_folder, path) = database();
    let source = Arc::new(Sqlite::new(&path, 1));
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                   SELECT count(*) FROM n";
    let question = |sql: &str| Question {
        sql: sql.into(),
        parameters: Vec::new(),
        columns: 1,
        rows: 1,
        bytes: 100,
    };
    let working = {
        let source = Arc::clone(&source);
        let question = question(endless);
        tokio::spawn(async move { source.ask(question, Duration::from_secs(60)).await })
    };
    while source.places.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let answer = source.ask(question("SELECT 1"), Duration::from_millis(50));
    assert_eq!(answer.await, Err(SourceError::Busy));
    // Giving up frees the connection: the question is interrupted, not left running.
    working.abort();
    let answer = source.ask(question("SELECT 1"), Duration::from_secs(60));
    assert_eq!(answer.await, Ok(vec![vec![SqlValue::Int(1)]]));
}
