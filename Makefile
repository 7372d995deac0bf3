# `make` alone lists the targets. Everything is installed into .venv; nothing else is touched, but
# for Debian packages that `make test` needs (Slurm, munge, MariaDB, PostgreSQL) where it may.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_TRIALS ?= 40
# One process more than there are cores, as trials mostly wait for Slurm; each starts a private Slurm
# and databases of its own, so more than four do not pay.
PYTEST := $(BIN)/python -m pytest --numprocesses $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 ))) --maxprocesses 4

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all chaos test-botorch lint format docs captures bench cluster cluster-stop services clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Headway needs Python 3.11 or newer; say which: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); sh tests/cluster/packages.sh python3-venv && $(PYTHON) -m venv $(VENV); }

# The plain kind of editable install: a path, where the other kind would slow every start down.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --config-settings editable_mode=compat
	@touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --config-settings editable_mode=compat
	@touch $@

setup: $(VENV)/.developing  ## install Headway and its tools into .venv

demo: $(VENV)/.installed  ## a real search on this machine, in under two minutes
	$(BIN)/headway run --experiment_name demo --force_local_execution \
		--max_eval $(DEMO_TRIALS) --num_random_steps 12 --seed 7 \
		--parameter lc range 0 4 int --parameter lp range 0 4 int --parameter pb range 0 4 int \
		--experiment_constraints 'lc + lp <= 4' \
		--parameter dict_log2 range 12 22 int --parameter nice_len range 5 273 int \
		--parameter mode choice fast,normal --parameter match_finder choice hc3,hc4,bt2,bt3,bt4 \
		--result_names BYTES=min \
		--run_program '$(CURDIR)/$(BIN)/python $(CURDIR)/examples/lzma_settings.py --lc=%(lc) --lp=%(lp) --pb=%(pb) --dict_log2=%(dict_log2) --nice_len=%(nice_len) --mode=%(mode) --match_finder=%(match_finder)'

services:  ## install the Debian packages that the tests need (as root or with sudo)
	@sh tests/cluster/packages.sh

lint: $(VENV)/.developing  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.developing  ## put the code into its form
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

test: $(VENV)/.developing services lint  ## everything that CI runs: real Slurm, real PostgreSQL
	$(PYTEST) -m 'not botorch and not slow'

test-all: $(VENV)/.developing services lint  ## also what takes long
	$(PYTEST) -m 'not botorch'

chaos: $(VENV)/.developing services  ## break things 260 times while 1 500 trials run (CHAOS=… for options)
	$(BIN)/python -m tests.chaos --database postgres $(CHAOS)
	$(BIN)/python -m tests.chaos --database sqlite --trials 500 --faults 50 $(CHAOS)

test-botorch: $(VENV)/.developing services  ## the BoTorch model (installs torch, 1 GB, into .venv-botorch)
	@test -x $(VENV)-botorch/bin/python || $(PYTHON) -m venv $(VENV)-botorch
	$(VENV)-botorch/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(VENV)-botorch/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test,botorch]' --config-settings editable_mode=compat
	$(VENV)-botorch/bin/python -m pytest -m botorch

docs: $(VENV)/.developing  ## describe tables, failures, reasons and commands in docs/ anew
	$(BIN)/python -m db.description docs/database.md
	$(BIN)/python -m orchestrator.health.description docs/failures.md
	$(BIN)/python -m orchestrator.health.reasons_page docs/reasons.md
	$(BIN)/python -m orchestrator.cli.description docs/commands.md

captures: $(VENV)/.developing services  ## make the captures of the live view in docs/ anew, in tmux
	$(BIN)/python -m tests.terminal.captures docs/live.md

bench: $(VENV)/.developing services  ## our figures and the peers', in the same run
	$(BIN)/python -m benchmarks

cluster: $(VENV)/.developing services  ## start a private Slurm and PostgreSQL to try things on
	$(BIN)/python -m tests.cluster start --postgres

cluster-stop:  ## stop them
	$(BIN)/python -m tests.cluster stop

clean:  ## remove what was built; runs and databases stay
	rm -rf $(VENV) $(VENV)-botorch build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
