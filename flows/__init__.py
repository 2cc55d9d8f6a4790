"""The flow: its steps, the objects they cover, and what joins everything to one program."""

from flows.collector import tune_collector

# Before the rest is loaded: looking for cycles in modules was a thirtieth of that.
tune_collector()
