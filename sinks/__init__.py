"""Everything out: rows into the database, alerts to people."""
