# Every command of the project. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PYTHONDONTWRITEBYTECODE :=
# Trust what the machine trusts, as pip does: a firm's own registry may have a firm's own authority.
ifneq ($(wildcard /etc/ssl/certs),)
export UV_SYSTEM_CERTS ?= 1
endif
PORT ?= 8000
PYTEST := $(BIN)/python -m pytest
TESTS ?= -n 2 --dist loadgroup
LOCKS := requirements/build.txt requirements.txt requirements/local.txt requirements/dev.txt

.PHONY: help demo up migrate check fix test chaos verify openapi warm parity bench lock

help:  ## List the commands
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*##/\t/' | expand -t 12

# --- the environment -----------------------------------------------------------------------

.venv/bin/uv: requirements/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "neozork needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Say: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@echo "→ making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip --disable-pip-version-check install -q --require-hashes -r requirements/build.txt
	@touch $@

.venv/local: .venv/bin/uv requirements.txt requirements/local.txt pyproject.toml
	@echo "→ installing the locked packages"
	@$(BIN)/uv pip install --python $(BIN)/python --require-hashes -r requirements/local.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: .venv/local requirements/dev.txt
	@echo "→ installing the development tools"
	@$(BIN)/uv pip install --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

lock:  ## Resolve the dependencies anew and write the hashed locks
	@[ -x $(BIN)/uv ] || { $(PYTHON) -m venv .venv && $(BIN)/python -m pip install -q uv; }
	@compile() { $(BIN)/uv pip compile -q $(UPGRADE) --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header "$$@"; }; \
	compile requirements/build.in -o requirements/build.txt; \
	compile pyproject.toml -o requirements.txt; \
	compile pyproject.toml --extra local -c requirements.txt -o requirements/local.txt; \
	compile pyproject.toml --extra local --extra dev -c requirements/local.txt -o requirements/dev.txt

# --- the platform on this machine -----------------------------------------------------------

demo: warm  ## Show the platform: sign-up, upload, two backtests over REST, a report
	@$(BIN)/neozork demo

up: warm  ## Run the platform until Ctrl-C: make up PORT=8000 DATA=folder
	@exec $(BIN)/neozork up --port $(PORT) $(if $(DATA),--data "$(DATA)")

migrate: .venv/local  ## Bring the database of DATABASE_URL up to date
	@$(BIN)/neozork migrate

# --- every day -----------------------------------------------------------------------------

PACKAGES := $(wildcard core web workers scheduler migrations)

check: .venv/dev  ## Lint, format, types, imports, house rules
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .
	@$(BIN)/mypy --no-error-summary $(addprefix -p ,$(PACKAGES))
	@$(BIN)/lint-imports | tail -n 2
	@$(BIN)/python tests/laws/house_rules.py

fix: .venv/dev  ## Mend what the linter and the formatter can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

test: .venv/dev  ## Run all tests on real servers of their own
	@$(PYTEST) $(TESTS)

chaos: .venv/dev warm  ## Break everything in turn, by chance: make chaos SEED=1 MINUTES=30
	@$(BIN)/python -m tests.faults.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(FAULTS),--faults $(FAULTS)) $(if $(TIMES),--times $(TIMES)) $(if $(ONLY),--only "$(ONLY)") $(if $(LOGS),--logs "$(LOGS)")

openapi: .venv/dev  ## Write what the API says of itself to docs/api
	@NEOZORK_ENV_FILE= $(BIN)/flask --app web.wsgi openapi write docs/api/openapi.json

verify: .venv/dev  ## What is generated is current: openapi.json, both migration trees
	@$(PYTEST) tests/laws/test_generated.py tests/migrations

warm: .venv/local  ## Compile the engine where its cache is empty
	@$(BIN)/python -m core.trading.backtest.warm

# --- against other engines, in an environment of their own ---------------------------------

.venv-peers/made: .venv/bin/uv benchmarks/parity/peers.txt
	@echo "→ making .venv-peers"
	@$(BIN)/uv venv -q --clear --python $(BIN)/python .venv-peers
	@$(BIN)/uv pip install -q --python .venv-peers/bin/python --require-hashes -r benchmarks/parity/peers.txt
	@touch $@

RECORDINGS := tests/parity/recordings

parity: .venv-peers/made  ## Ask the peers again; fail where they answer otherwise than recorded
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT; \
	PYTHONHASHSEED=0 .venv-peers/bin/python benchmarks/parity/record.py "$$fresh" && \
	diff -rq $(RECORDINGS) "$$fresh" && echo "the recordings are what the peers answer"

bench: .venv/dev .venv-peers/made  ## Measure speed, engine, sweeps and jobs beside their peers
	@$(BIN)/python benchmarks/engine.py
	@$(BIN)/python benchmarks/end_to_end.py
	@$(BIN)/python benchmarks/sweep.py
	@$(BIN)/python benchmarks/sweep_jobs.py
	@$(BIN)/python benchmarks/jobs.py
	@DATABASE_POOL_SIZE=16 $(BIN)/python benchmarks/fairness.py
	@$(BIN)/python benchmarks/bloat.py
	@$(BIN)/python benchmarks/fan_out.py
	@$(BIN)/python benchmarks/ticks.py
	@$(BIN)/python benchmarks/events.py
