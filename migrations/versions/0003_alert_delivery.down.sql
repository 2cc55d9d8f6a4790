DROP TABLE telegram_polls;
DROP TABLE alert_mutes;
DROP TABLE alert_acks;
DROP TABLE alert_endings;
DROP INDEX outbox_fired_at;
DROP INDEX outbox_carried_by;
ALTER TABLE outbox DROP COLUMN escalates, DROP COLUMN waits_until, DROP COLUMN carried_by;
ALTER TABLE alerts DROP COLUMN clauses, DROP COLUMN chart;
