ALTER TABLE alerts
    ADD COLUMN signal text  NOT NULL DEFAULT '',
    ADD COLUMN labels jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN alerts.labels IS 'Free words of the spec, by name.';
COMMENT ON COLUMN alerts.signal IS 'Of a strategy entry, or why it left: stop, target or exit; else empty.';

-- Those of before the column: what they held tells an entry, what they said why they left.
UPDATE alerts SET signal = CASE
    WHEN ("values"->>'position.open')::float8 > 0 THEN 'entry'
    ELSE coalesce(substring(text FROM ': leave [a-z]+ [^(]*\((stop|target|exit)\): '), '')
END
WHERE "values" ? 'position.open';

CREATE INDEX alerts_signals ON alerts (spec, fired_at) WHERE signal <> '';

CREATE VIEW signals AS
SELECT fired_at, spec, venue, symbol, "interval", signal,
       CASE WHEN ("values"->>'position.side')::float8 < 0 THEN 'short' ELSE 'long' END AS side,
       ("values"->>'position.price')::float8 AS price,
       ("values"->>'position.size')::float8 AS size,
       ("values"->>'position.entry')::float8 AS entry,
       ("values"->>'position.stop')::float8 AS stop,
       ("values"->>'position.target')::float8 AS target,
       ("values"->>'position.profit')::float8 AS profit,
       ("values"->>'position.realised')::float8 AS realised,
       time, spec_hash, key
FROM alerts
WHERE signal <> '';
COMMENT ON VIEW signals IS 'Entries and exits of strategies, on paper.';
COMMENT ON COLUMN signals.signal IS 'entry, or why it left: stop, target or exit.';
COMMENT ON COLUMN signals.side IS 'long or short.';
COMMENT ON COLUMN signals.price IS 'At which it was entered or left.';
COMMENT ON COLUMN signals.size IS 'In base currency.';
COMMENT ON COLUMN signals.entry IS 'Price at which it was entered.';
COMMENT ON COLUMN signals.stop IS 'Where it is left with a loss.';
COMMENT ON COLUMN signals.target IS 'Where it is left with a gain; null for none.';
COMMENT ON COLUMN signals.profit IS 'What an exit came to, quote currency; null at an entry.';
COMMENT ON COLUMN signals.realised IS 'Gains less losses of all exits so far, quote currency.';
