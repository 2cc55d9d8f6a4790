"""What filling continuous aggregates needs of TimescaleDB Community, on a server without it.

Its information views, its catalogue of what is invalid, and `refresh_continuous_aggregate`, which
does what the documentation says of the real one: it refuses a transaction block, computes only what
is invalid in its window (or all with `force`), and takes that out of what is invalid. It fails
where the table `fails_at` says so, half way: with the window taken out and nothing computed, as
TimescaleDB 2.22 leaves it.
"""

import psycopg

from migrations.storage.aggregates import AGGREGATES

_CATALOGUE = """
CREATE SCHEMA timescaledb_information;
CREATE SCHEMA _timescaledb_catalog;
CREATE TABLE timescaledb_information.chunks (
    hypertable_schema name, hypertable_name name, range_start timestamptz, range_end timestamptz
);
CREATE TABLE _timescaledb_catalog.continuous_agg (
    mat_hypertable_id int, raw_hypertable_id int, user_view_schema name, user_view_name name
);
CREATE TABLE _timescaledb_catalog.continuous_aggs_materialization_invalidation_log (
    materialization_id int, lowest_modified_value bigint, greatest_modified_value bigint
);
CREATE TABLE _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log (
    hypertable_id int, lowest_modified_value bigint, greatest_modified_value bigint
);
CREATE TABLE _timescaledb_catalog.continuous_aggs_materialization_ranges (
    materialization_id int, lowest_modified_value bigint, greatest_modified_value bigint
);
CREATE TABLE calls (
    number int GENERATED ALWAYS AS IDENTITY, name text, window_start timestamptz,
    window_end timestamptz, force boolean
);
CREATE TABLE fails_at (name text, window_start timestamptz);

CREATE PROCEDURE refresh_continuous_aggregate(
    continuous_aggregate regclass, window_start timestamptz, window_end timestamptz,
    force boolean DEFAULT false
) LANGUAGE plpgsql AS $$
DECLARE
    logs CONSTANT text := '_timescaledb_catalog.continuous_aggs_materialization_invalidation_log';
    made record;
    from_us bigint := (extract(epoch FROM window_start) * 1000000)::bigint;
    to_us bigint := (extract(epoch FROM window_end) * 1000000)::bigint;
    source text;
BEGIN
    COMMIT;  -- refused in a transaction block, as the real one is
    INSERT INTO calls (name, window_start, window_end, force)
        VALUES (continuous_aggregate::text, window_start, window_end, force);
    SELECT * INTO STRICT made FROM _timescaledb_catalog.continuous_agg
        WHERE user_view_name = continuous_aggregate::text;
    -- What the source has changed is invalid here.
    INSERT INTO _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
        SELECT made.mat_hypertable_id, log.lowest_modified_value, log.greatest_modified_value
        FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log AS log
        WHERE log.hypertable_id = made.raw_hypertable_id;
    DELETE FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log
        WHERE hypertable_id = made.raw_hypertable_id;
    IF NOT force AND NOT EXISTS (
        SELECT FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
        WHERE materialization_id = made.mat_hypertable_id
            AND lowest_modified_value < to_us AND greatest_modified_value >= from_us
    ) THEN
        RAISE NOTICE 'continuous aggregate is already up-to-date';
        RETURN;
    END IF;
    INSERT INTO _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
        SELECT made.mat_hypertable_id, lowest_modified_value, from_us - 1
        FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
        WHERE materialization_id = made.mat_hypertable_id
            AND lowest_modified_value < from_us AND greatest_modified_value >= from_us;
    UPDATE _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
        SET lowest_modified_value = to_us
        WHERE materialization_id = made.mat_hypertable_id
            AND lowest_modified_value < to_us AND greatest_modified_value >= to_us;
    DELETE FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
        WHERE materialization_id = made.mat_hypertable_id
            AND lowest_modified_value >= from_us AND greatest_modified_value < to_us;
    INSERT INTO _timescaledb_catalog.continuous_aggs_materialization_ranges
        VALUES (made.mat_hypertable_id, from_us, to_us - 1);
    COMMIT;
    IF EXISTS (SELECT FROM fails_at WHERE fails_at.name = made.user_view_name
            AND fails_at.window_start = refresh_continuous_aggregate.window_start) THEN
        RAISE EXCEPTION 'the disk is full';
    END IF;
    EXECUTE format('DELETE FROM %I WHERE start >= $1 AND start < $2', made.user_view_name)
        USING window_start, window_end;
    EXECUTE format('INSERT INTO %I SELECT * FROM make_%I WHERE start >= $1 AND start < $2',
        made.user_view_name, made.user_view_name) USING window_start, window_end;
    DELETE FROM _timescaledb_catalog.continuous_aggs_materialization_ranges
        WHERE materialization_id = made.mat_hypertable_id
            AND lowest_modified_value >= from_us AND greatest_modified_value < to_us;
    INSERT INTO _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log
        VALUES (made.mat_hypertable_id, from_us, to_us - 1);
END $$;

CREATE FUNCTION log_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log
        SELECT 1, us, us FROM (
            SELECT (extract(epoch FROM NEW.time) * 1000000)::bigint AS us
        ) AS changed;
    RETURN NULL;
END $$;
"""
_TRADES = 1


def pretend(connection: psycopg.Connection) -> None:
    """Make a database with the schema look like Community's, its aggregates made WITH NO DATA."""
    connection.execute(_CATALOGUE)
    for number, aggregate in enumerate(AGGREGATES, start=_TRADES + 1):
        select = (
            f"SELECT venue, symbol, date_bin('{aggregate.length}', {aggregate.column}, "
            f"'2000-01-01') AS start, sum({'1' if number == 2 else 'count'}) AS count "
            f"FROM {aggregate.source} GROUP BY 1, 2, 3"
        )
        connection.execute(f"CREATE VIEW make_{aggregate.name} AS {select}".encode())
        connection.execute(
            f"CREATE TABLE {aggregate.name} AS SELECT * FROM make_{aggregate.name} "
            "WITH NO DATA".encode()
        )
        connection.execute(
            "INSERT INTO _timescaledb_catalog.continuous_agg VALUES (%s, %s, current_schema(), %s)",
            (number, number - 1, aggregate.name),
        )
        connection.execute(
            "INSERT INTO _timescaledb_catalog.continuous_aggs_materialization_invalidation_log "
            "VALUES (%s, %s, %s)",
            (number, -(2**63), 2**63 - 1),
        )


def log_changes(connection: psycopg.Connection) -> None:
    """From here on, trades that come late make their times invalid."""
    connection.execute(
        "CREATE TRIGGER log_change AFTER INSERT OR UPDATE ON trades "
        "FOR EACH ROW EXECUTE FUNCTION log_change()"
    )


def chunk_by_day(connection: psycopg.Connection) -> None:
    """Tell the days that have trades as chunks."""
    connection.execute("TRUNCATE timescaledb_information.chunks")
    connection.execute(
        "INSERT INTO timescaledb_information.chunks SELECT DISTINCT current_schema(), 'trades', "
        "date_bin('1 day', time, '2000-01-01 00:00+00'), "
        "date_bin('1 day', time, '2000-01-01 00:00+00') + interval '24 hours' FROM trades"
    )
