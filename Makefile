# Thin: every target is a command that can be typed as well. `make` alone lists them.
#
#   PYTHON=python3.12   another interpreter; it gets an environment of its own, .venv-3.12
#   ARGS="..."          further arguments for demo, test and bench

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
VERSION := import sys; print("%d.%d" % sys.version_info[:2])

ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for each in python3.11 python3.12 python3; do \
	$$each -c '$(SUPPORTED)' 2>/dev/null && echo $$each && break; done)
VENV ?= .venv
else
VENV ?= .venv-$(shell $(PYTHON) -c '$(VERSION)' 2>/dev/null)
endif

BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(shell command -v uv 2>/dev/null)
ARGS ?=
# Compiled once, not anew in each of the hundred processes that tests start.
unexport PYTHONDONTWRITEBYTECODE
LOCK := uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

.DEFAULT_GOAL := help
TEST_PARTS := test-venues test-live test-whole test-alerts test-services
.PHONY: help setup demo test $(TEST_PARTS) test-slow slow-whole slow-rest test-timescaledb timescaledb \
	timescaledb-whole timescaledb-rest fuzz soak outage check fmt lint types lock docs bench

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		awk -F'|' '{printf "make %-16s %s\n", $$1, $$2}'

setup: $(READY)  ## the environment in .venv, from the lock file

$(READY): requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(SUPPORTED)' || { \
		echo "error: Python 3.11 or 3.12 is needed; name one: make $(MAKECMDGOALS) PYTHON=..." >&2; \
		exit 2; }
ifneq ($(UV),)
	@test -x $(BIN)/python || uv venv --quiet --python $(PYTHON) $(VENV)
	uv pip install --quiet --compile-bytecode --python $(BIN)/python \
		--require-hashes -r requirements-dev.lock
	uv pip install --quiet --python $(BIN)/python --no-deps -e .
else
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { \
		echo "error: no venv module; on Debian: apt-get install python3-venv" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
endif
	@touch $@

demo: $(READY)  ## everything at work, with no network and no key; Ctrl-C ends it
	@$(BIN)/candlewax demo $(ARGS)

# Parts that run at once: some compute all the time, and some mostly wait for processes, sockets and
# pauses. Each takes about as long as the others. The live flows go first, for their delays are
# measured, and the venues, which compute most, give way to all. The flows run as long as other tests
# of `tests/end_to_end` beside them, so they have none in their part.
LIVE := tests/end_to_end/test_live.py tests/cli tests/faults/test_sockets.py
WHOLE := tests/end_to_end tests/faults/test_store.py tests/sinks/test_embedded_postgres.py
ALERTS := tests/sinks/test_burst.py tests/sinks/test_dispatch.py tests/sinks/test_sender.py \
	tests/sinks/test_alert_outage.py tests/sinks/test_alert_journal.py \
	$(wildcard tests/sinks/test_telegram_*.py) tests/sinks/charts tests/filters tests/market
STORE := tests/sinks tests/migrations tests/servers
SERVICES := tests/flows
VENUES := tests/connectors tests/simulator tests/faults
OTHERS := $(filter-out $(LIVE),$(wildcard tests/end_to_end/test_*.py tests/faults/test_*.py))
QUICK := -m "not timescaledb and not slow"

test: $(READY)  ## all tests but the slow ones, on the embedded PostgreSQL (three minutes)
ifneq ($(ARGS),)
	$(BIN)/pytest -q $(ARGS)
else
	@echo "five parts at once; what each says comes when it has ended"
	@$(MAKE) --no-print-directory --keep-going -j5 --output-sync=target $(TEST_PARTS)
endif

test-alerts: $(READY)
	@nice -n 8 $(BIN)/pytest -q $(QUICK) $(ALERTS)

test-venues: $(READY)
	@nice -n 15 $(BIN)/pytest -q $(QUICK) $(VENUES) $(addprefix --ignore=,$(LIVE) $(WHOLE))

test-services: $(READY)
	@nice -n 8 $(BIN)/pytest -q $(QUICK) $(SERVICES) $(STORE) $(addprefix --ignore=,$(ALERTS) $(WHOLE))

test-whole: $(READY)
	@nice -n 8 $(BIN)/pytest -q $(QUICK) $(WHOLE) $(addprefix --ignore=,$(LIVE))

test-live: $(READY)
	@$(BIN)/pytest -q $(QUICK) $(LIVE) tests \
		$(addprefix --ignore=,$(OTHERS) $(STORE) $(SERVICES) $(ALERTS) tests/connectors tests/simulator)

SLOW := -m "(slow or hypothesis) and not timescaledb"
test-slow: $(READY)  ## the slow tests, and every property with five times the examples (minutes)
	@echo "two parts at once; what each says comes when it has ended"
	@$(MAKE) --no-print-directory --keep-going -j2 --output-sync=target slow-whole slow-rest

slow-whole slow-rest: $(READY)
	@CANDLEWAX_FUZZ=5 $(BIN)/pytest -q --timeout=600 $(SLOW) $(if $(findstring whole,$@),\
		tests/end_to_end $(STORE) $(VENUES),\
		tests $(addprefix --ignore=,tests/end_to_end $(STORE) $(VENUES)))

# Two parts at once, each with a server of its own.
test-timescaledb: $(READY)  ## what asks for a database, and all of end to end, on TimescaleDB
	@test -n "$$CANDLEWAX_TEST_DSN" || $(BIN)/python -m tests.servers.timescaledb_packages --check
	@$(MAKE) --no-print-directory --keep-going -j2 --output-sync=target timescaledb-whole \
		timescaledb-rest

timescaledb-whole timescaledb-rest: $(READY)
	@CANDLEWAX_TEST_SERVER=timescaledb $(BIN)/pytest -q -m timescaledb \
		$(if $(findstring whole,$@),tests/end_to_end,tests --ignore=tests/end_to_end) $(ARGS)

timescaledb: $(READY)  ## a real TimescaleDB for tests, unpacked into .cache (Debian, root)
	@$(BIN)/python -m tests.servers.timescaledb_packages

fuzz: $(READY)  ## new examples of every property, a million book updates under drawn faults (minutes)
	@CANDLEWAX_DRAW=anew CANDLEWAX_FUZZ=20 $(BIN)/pytest -q --timeout=600 \
		tests/connectors/test_binance_fuzz.py tests/connectors/test_htx_fuzz.py
	@CANDLEWAX_DRAW=anew CANDLEWAX_FUZZ=3 $(BIN)/pytest -q --timeout=600 \
		-m "hypothesis and not timescaledb" tests \
		--ignore=tests/connectors/test_binance_fuzz.py --ignore=tests/connectors/test_htx_fuzz.py
	@$(BIN)/python -m tests.faults.fuzz $(ARGS)

soak: $(READY)  ## all venues on real sockets, a fault every five seconds (five minutes)
	@$(BIN)/python -m bench.soak $(ARGS)

outage: $(READY)  ## the database away in every way, 20 s and 30 s, with its figures (ten minutes)
	@CANDLEWAX_AWAY_S=20 CANDLEWAX_ALERTS_AWAY_S=30 $(BIN)/pytest -q -s --timeout=300 \
		tests/faults/test_store.py tests/end_to_end/test_outage.py \
		tests/end_to_end/test_killed_while_draining.py tests/end_to_end/test_alert_outage.py \
		tests/sinks/test_alert_outage.py tests/sinks/test_burst.py $(ARGS)

check: lint types test  ## what the merge gate runs

fmt: $(READY)  ## format, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(READY)  ## style, import directions, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/codespell

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

lock:  ## both lock files anew (needs uv)
	@command -v uv >/dev/null || { echo "error: uv is needed: pip install uv" >&2; exit 2; }
	$(LOCK) --extra charts --output-file requirements.lock
	$(LOCK) --all-extras --group dev --output-file requirements-dev.lock

docs: $(READY)  ## docs/indicators.md anew, from the catalogue
	@$(BIN)/python -m cli.indicator_page

bench: $(READY)  ## measure; prints a table and writes bench/results/latest.json
	$(BIN)/python -m bench $(ARGS)
