"""The flow: its steps, the objects they cover, and what joins everything to one program."""

from flows.collector import tune_collector

# Before the rest is loaded: a seventh of a start went into looking for cycles in modules.
tune_collector()
