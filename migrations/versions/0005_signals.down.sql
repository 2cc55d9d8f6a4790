DROP VIEW signals;
DROP INDEX alerts_signals;
ALTER TABLE alerts DROP COLUMN signal, DROP COLUMN labels;
