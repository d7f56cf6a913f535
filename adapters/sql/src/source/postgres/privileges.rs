//! What a role could write. One thing found is enough to refuse it.

use tokio_postgres::{Client, Error};

/// Sentences about what the session's role, or any role it is a member of, could change; at most
/// ten, none when it can only read.
pub(super) async fn of_session(client: &Client) -> Result<Vec<String>, Error> {
    let rows = client.query(POWERS, &[]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Membership counts even where it is not inherited: `SET ROLE` would be enough. `pg_settings` is
/// left out: everyone may update that view, and it changes nothing but the own session.
const POWERS: &str = "
WITH me AS (
    SELECT oid, rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication
    FROM pg_roles WHERE pg_has_role(session_user, oid, 'MEMBER')
), powers(what) AS (
    SELECT 'role ' || rolname || ' is a superuser' FROM me WHERE rolsuper
    UNION ALL
    SELECT 'role ' || rolname || ' may create roles' FROM me WHERE rolcreaterole
    UNION ALL
    SELECT 'role ' || rolname || ' may create databases' FROM me WHERE rolcreatedb
    UNION ALL
    SELECT 'role ' || rolname || ' may replicate' FROM me WHERE rolreplication
    UNION ALL
    SELECT 'role is a member of ' || rolname FROM me
    WHERE rolname IN ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program')
    UNION ALL
    SELECT 'role ' || me.rolname || ' may create in database ' || d.datname
    FROM me, pg_database d
    WHERE d.datname = current_database() AND has_database_privilege(me.oid, d.oid, 'CREATE')
    UNION ALL
    SELECT 'role ' || me.rolname || ' may create in schema ' || n.nspname
    FROM me, pg_namespace n
    WHERE has_schema_privilege(me.oid, n.oid, 'CREATE')
      AND n.nspname !~ '^pg_(toast_)?temp_'
    UNION ALL
    SELECT 'role ' || me.rolname || ' owns ' || n.nspname || '.' || c.relname
    FROM me JOIN pg_class c ON c.relowner = me.oid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_(toast_)?temp_'
    UNION ALL
    SELECT 'role ' || me.rolname || ' may write ' || n.nspname || '.' || c.relname
    FROM me, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND n.nspname !~ '^pg_(toast_)?temp_'
      AND NOT (n.nspname = 'pg_catalog' AND c.relname = 'pg_settings')
      AND (has_table_privilege(me.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
           OR has_any_column_privilege(me.oid, c.oid, 'INSERT, UPDATE'))
    UNION ALL
    SELECT 'role ' || me.rolname || ' may advance ' || n.nspname || '.' || c.relname
    FROM me, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND has_sequence_privilege(me.oid, c.oid, 'USAGE, UPDATE')
)
SELECT what FROM powers LIMIT 10";
