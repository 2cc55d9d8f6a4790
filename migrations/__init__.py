"""The schema of the store, version by version, and what only TimescaleDB adds to it."""
