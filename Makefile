# The front door. Each target sets up what it needs; a second run costs nothing.
# A fresh machine needs python3 (3.11 or newer, with venv), make and git; the tests open pages in chromium too.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Programs of tests whose dependencies contradict ours: each has an environment of its own beside the other.
BESIDE := ministack checkov
LOCK := $(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.PHONY: help demo test check lint types layers conformance fuzz bench gate-bench auth-bench client-bench cloudwatch-bench start-bench loop-bench forecast-bench anomalies-bench agreement soak lock prices sample clean

help:  ## says what each target does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(INSTALLED)  ## a server on the sample logs, asked over MCP what Bedrock cost; then the same on the terminal
	@$(BIN)/python scripts/demo.py
	@echo; echo '$$ tollbook report examples/bedrock-logs.jsonl.gz --names examples/names.json --days 14 --now 2026-11-22T12:00Z'
	@XDG_DATA_HOME=$(VENV)/no-prices-of-yours $(BIN)/tollbook report examples/bedrock-logs.jsonl.gz --names examples/names.json --days 14 --now 2026-11-22T12:00Z

test: $(INSTALLED) $(BESIDE:%=$(VENV)/%/.installed)  ## every test, with branch coverage, in two processes: many wait for others most of the time
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term

check: $(INSTALLED) lint types layers test  ## what a change must pass: lint, types, layers, and every test

lint: $(INSTALLED)  ## ruff, lint and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(INSTALLED)  ## mypy, strict
	@$(BIN)/mypy

layers: $(INSTALLED)  ## import-linter
	@$(BIN)/lint-imports --no-cache

conformance: $(INSTALLED)  ## the official MCP conformance suite, of the server and of the client; writes docs/conformance.md
	@$(BIN)/python -m tests.conformance --table docs/conformance.md

fuzz: $(INSTALLED)  ## ten minutes of bytes that no one expects (a campaign, not part of the tests)
	@$(BIN)/python bench/fuzz_records.py --minutes 10

bench: $(INSTALLED)  ## tollbook beside DuckDB, alternating; some minutes and 4 GB of disk
	@$(BIN)/python bench/compare_duckdb.py

prices: $(INSTALLED)  ## builds the price book anew from the releases in scripts/price_releases.txt (1.3 GB to download)
	@$(BIN)/python scripts/build_price_book.py

gate-bench: $(INSTALLED)  ## the gate beside the bare SDK and fastmcp, alternating; some minutes
	@$(BIN)/python bench/gate.py

auth-bench: $(INSTALLED)  ## what it costs to know who asks, and the start of the Lambda authorizer; some minutes
	@$(BIN)/python bench/auth.py

client-bench: $(INSTALLED)  ## the client beside the MCP Inspector's and fastmcp's, alternating; some minutes
	@$(BIN)/python bench/client.py

cloudwatch-bench: $(INSTALLED)  ## FilterLogEvents beside boto3's paginator, alternating; some minutes
	@$(BIN)/python bench/cloudwatch.py

start-bench: $(INSTALLED)  ## the start of the server on Lambda beside the bare SDK, fastmcp and awslabs' handler; some minutes
	@$(BIN)/python bench/start.py

loop-bench: $(INSTALLED)  ## what a request costs through the loop on Lambda, and the memory of one that streams
	@$(BIN)/python bench/loop.py

forecast-bench: $(INSTALLED)  ## how far off forecasts are, beside other simple ways, on generated series; some seconds
	@$(BIN)/python bench/forecast.py

anomalies-bench: $(INSTALLED)  ## spikes planted in generated logs: what is found, and false alarms; some minutes
	@$(BIN)/python bench/anomalies.py

agreement: $(INSTALLED)  ## the same 50,000 records read in five ways; minutes, and some GB of memory
	@$(BIN)/python -m tests.agreement --events 50000 --profile mixed
	@$(BIN)/python -m tests.agreement --events 50000 --profile body10k
	@$(BIN)/python -m tests.agreement --events 50000 --profile mixed --dupes 0.01 --bad 0.001

soak: $(INSTALLED)  ## 100,000 sessions opened and ended: what is left of them
	@$(BIN)/python bench/soak.py

lock: $(INSTALLED)  ## pins the newest versions, with hashes and without addresses
	@$(LOCK) pyproject.toml --group dev -o requirements/dev.txt
	@$(LOCK) pyproject.toml --constraints requirements/dev.txt -o requirements/image.txt
	@$(LOCK) --group build --constraints requirements/dev.txt -o requirements/build.txt
	@$(LOCK) --group emulator --no-deps -o requirements/emulator.txt
	@for name in $(BESIDE); do $(LOCK) --group $$name -o requirements/$$name.txt; done
	@cd tests/conformance && ../../$(BIN)/npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved \
		--no-audit --no-fund --silent

sample: $(INSTALLED)  ## makes the sample logs anew
	@$(BIN)/python scripts/make_sample.py

clean:  ## removes what the targets made
	@rm -rf $(VENV) tests/conformance/node_modules tests/conformance/.installing dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(INSTALLED): requirements/dev.txt requirements/emulator.txt pyproject.toml
	@echo "Setting up $(VENV) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "tollbook needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
		--dest $(VENV)/emulator -r requirements/emulator.txt
	@touch $@

$(BESIDE:%=$(VENV)/%/.installed): $(VENV)/%/.installed: requirements/%.txt $(INSTALLED)
	@echo "Setting up $(VENV)/$* …"
	@$(PYTHON) -m venv $(VENV)/$*
	@$(VENV)/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
