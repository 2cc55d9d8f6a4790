"""Compare a database with what the versions make."""

import difflib
from collections.abc import Iterator

import psycopg

from migrations.schema_version import FOLDER, current, newest
from migrations.session import connect

SCRATCH = "candlewax_check"

_OBJECTS = """
SELECT 'table ' || c.relname, '' FROM pg_class c
WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind = 'r'
UNION ALL
SELECT 'column ' || c.relname || '.' || a.attname,
       format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
  AND NOT a.attisdropped
UNION ALL
SELECT 'index ' || indexname, replace(indexdef, ' {schema}.', ' ')
FROM pg_indexes WHERE schemaname = '{schema}'
UNION ALL
SELECT 'constraint ' || conrelid::regclass::text || ' ' || conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = '{schema}'::regnamespace AND contype IN ('p', 'u', 'c')
UNION ALL
SELECT 'view ' || viewname, definition FROM pg_views WHERE schemaname = '{schema}'
UNION ALL
SELECT 'default ' || c.relname || '.' || a.attname,
       CASE WHEN a.attgenerated = '' THEN '' ELSE 'generated ' END || pg_get_expr(d.adbin, c.oid)
FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.adnum
WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind = 'r'
UNION ALL
SELECT 'identity ' || c.relname || '.' || a.attname,
       CASE a.attidentity WHEN 'a' THEN 'always' ELSE 'by default' END
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind = 'r' AND a.attidentity <> ''
UNION ALL
SELECT 'trigger ' || c.relname || '.' || t.tgname,
       pg_get_triggerdef(t.oid, true)
       || CASE t.tgenabled WHEN 'O' THEN '' WHEN 'D' THEN ', disabled' ELSE ', for replicas' END
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = '{schema}'::regnamespace AND NOT t.tgisinternal
UNION ALL
SELECT 'function ' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
       concat_ws(' ', 'returns', pg_get_function_result(p.oid), l.lanname,
                 CASE WHEN p.prosecdef THEN 'security definer' END,
                 regexp_replace(p.prosrc, '\\s+', ' ', 'g'))
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = '{schema}'::regnamespace AND p.prokind = 'f'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND classid = 'pg_proc'::regclass
                  AND deptype = 'e')
"""
"""What a schema has, a name and a text each; those of extensions are none of ours."""

_BROKEN = """
SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = current_schema()::regnamespace AND NOT (i.indisvalid AND i.indisready)
"""


def faults(dsn: str) -> list[str]:
    """Return what is wrong with the schema of a database, a line each; none when it is right.

    What the newest version makes is made once more in a schema of its own, in a transaction that is
    rolled back, and compared. Objects that somebody has added are no fault.

    Raises:
        ConfigError: the database cannot be reached.
    """
    version = current(dsn)
    if version is None:
        return ["there are no tables: `candlewax db upgrade` makes them"]
    if version != newest():
        return [f"schema version {version}, newest {newest()}: `candlewax db upgrade`"]
    with connect(dsn) as connection:
        row = connection.execute("SELECT current_schema()").fetchone()
        schema = "public" if row is None else str(row[0])
        found = _objects(connection, schema)
        try:
            wanted = _wanted(connection)
        except psycopg.errors.InsufficientPrivilege:
            lack = f"role {connection.info.user} may not create a schema here for a moment"
            return [f"{lack}: GRANT CREATE ON DATABASE, or run the check as the owner"]
        told = list(_differences(wanted, found))
        told += [
            f"index {name} is broken: REINDEX INDEX {name}"
            for (name,) in connection.execute(_BROKEN)
        ]
    return told


def _objects(connection: psycopg.Connection, schema: str) -> dict[str, str]:
    rows = connection.execute(_OBJECTS.format(schema=schema).encode())
    return {str(name): str(text) for name, text in rows}


def _wanted(connection: psycopg.Connection) -> dict[str, str]:
    with connection.transaction(force_rollback=True):
        connection.execute(f"CREATE SCHEMA {SCRATCH}")
        connection.execute(f"SET LOCAL search_path = {SCRATCH}")
        for file in sorted(FOLDER.glob("*.up.sql")):
            connection.execute(file.read_bytes())
        return _objects(connection, SCRATCH)


def _differences(wanted: dict[str, str], found: dict[str, str]) -> Iterator[str]:
    for name, text in wanted.items():
        if name not in found:
            near = difflib.get_close_matches(name, found.keys() - wanted.keys(), n=1, cutoff=0.8)
            yield f"{name} is missing" + (f"; there is {near[0]}" if near else "")
        elif found[name] != text:
            yield f"{name} is {found[name].strip()!r}, expected {text.strip()!r}"
