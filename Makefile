# Everything runs in .venv, which `make` builds with Python alone. Choose another one: make PYTHON=/path/to/python
SHELL := /bin/sh
.DEFAULT_GOAL := install
.DELETE_ON_ERROR:
.PHONY: install demo chaos test check fast kafka coverage bench bench-quick peers chart clean help

# The newest Python that really runs: a name on PATH may be a shim for a version that is not there.
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo $$python; break; }; done)
BIN := .venv/bin
INSTALLED := .venv/installed
SECONDS ?= 60

install: $(INSTALLED) ## build .venv with freshslate, its broker and the tools of its tests

$(INSTALLED): pyproject.toml
	@python="$(PYTHON)"; test -n "$$python" || { \
		echo "make: no Python 3.11 or later that can make a virtual environment; name one: make PYTHON=..." >&2; exit 1; }; \
	test -x $(BIN)/python || { echo "making .venv with $$($$python --version)"; $$python -m venv .venv; }
	@echo "installing freshslate and its tools into .venv (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[api,kafka,parquet,tune]' --group dev
	@touch $@

demo: $(INSTALLED) ## a broker, workers and a simulated shop: see it learn (SECONDS=60, ARGS=)
	@$(BIN)/freshslate demo --seconds $(SECONDS) $(ARGS)

chaos: SECONDS = 360
chaos: $(INSTALLED) ## kill, freeze, cut off, wipe and flood real workers, then audit the log (SECONDS=360, ARGS=)
	@$(BIN)/freshslate drill --seconds $(SECONDS) $(ARGS)

test: check fast kafka ## all that CI runs

check: $(INSTALLED) ## format, lint, types, import rules
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted; run: $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

fast: $(INSTALLED) ## the tests that need no broker, and the whole walk in one process (ARGS=)
	@$(BIN)/python -m pytest -q -m "not kafka" -n auto --dist loadfile $(ARGS)

# Two processes with a broker each: most of the time is spent waiting. One test after the other to whoever is free.
kafka: $(INSTALLED) ## the tests on a real broker with real workers (ARGS=)
	@$(BIN)/python -m pytest -q -m kafka -n 2 --dist load --maxschedchunk 1 $(ARGS)

coverage: $(INSTALLED) ## how much of each file its own test file covers (ARGS="--at-least 80")
	@$(BIN)/coverage run -m pytest -q -p tests.coverage_by_mirror
	@$(BIN)/python -m tests.coverage_by_mirror $(ARGS)

bench: $(INSTALLED) peers ## all benchmarks, beside peers: an hour and a half, tables and JSON (one: python -m benchmarks.NAME)
	@$(BIN)/python -m benchmarks.peers --plot
	@$(BIN)/python -m benchmarks.throughput --workers 1 2
	@$(BIN)/python -m benchmarks.growth
	@$(BIN)/python -m benchmarks.latency --plot
	@$(BIN)/python -m benchmarks.freshness
	@$(BIN)/python -m benchmarks.recovery
	@$(BIN)/python -m benchmarks.memory
	@$(BIN)/python -m benchmarks.soak --plot benchmarks/results/soak.png

bench-quick: $(INSTALLED) ## ratios in three minutes, before and after a change (ARGS="--against before.json")
	@$(BIN)/python -m benchmarks.quick $(ARGS)

peers: .venv-peers/installed ## build .venv-peers with what is compared with

.venv-peers/installed: pyproject.toml $(INSTALLED)
	@test -x .venv-peers/bin/python || { echo "making .venv-peers"; $(BIN)/python -m venv .venv-peers; }
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --group peers
	@touch $@

chart: ## copy rules and dashboards from deploy/ into the Helm chart
	@cp deploy/prometheus/rules.yml deploy/helm/freshslate/files/rules.yml
	@rm -f deploy/helm/freshslate/files/dashboards/*.json
	@cp deploy/grafana/dashboards/*.json deploy/helm/freshslate/files/dashboards/

clean: ## remove .venv and what the tools wrote
	@rm -rf .venv .venv-peers .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
