# bitcoin-prediction: `make help` lists the targets. Needs Python 3.11 to 3.13 and make.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONTROLLER_READY := $(VENV)/.controller-ready
DEV_READY := $(VENV)/.dev-ready
SERVICES := data_collector exchange_simulator bitcoin_forecast_app web_app kafka_monitor
UV := $(BIN)/uv
# pip-tools style: versions and hashes, no download addresses.
COMPILE := $(UV) pip compile --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet
# `make build ARGS="-e instance=demo2"` hands options on to ansible-playbook.
ARGS ?=
PARTS ?=

export PYTHONPATH := services
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# Python compiles what it runs once and keeps that, also where the caller's environment forbids it: in this checkout
# nothing is in the way, and without it every command takes twice as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else \
		"Python 3.11 to 3.13 is needed, this is %s; type: make build PYTHON=python3.12" % sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt

$(CONTROLLER_READY): requirements/controller.txt requirements/bootstrap.txt | $(UV)
	@echo "Installing Ansible and its collections into $(VENV) ..."
	@$(UV) pip install --python $(BIN)/python --require-hashes -r requirements/controller.txt
	@touch $@

$(DEV_READY): requirements/dev.txt requirements/bootstrap.txt | $(UV)
	@echo "Installing the development tools into $(VENV) ..."
	@$(UV) pip install --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $(CONTROLLER_READY) $@

.PHONY: venv
venv: $(CONTROLLER_READY) ## make the virtual environment with Ansible

.PHONY: build
build: $(CONTROLLER_READY) ## build and start the whole platform
	@$(BIN)/ansible-playbook build.yml $(ARGS)

.PHONY: check
check: $(DEV_READY) ## lint, types and unit tests (two to three minutes on 2 cores)
	@$(MAKE) --no-print-directory --jobs 3 --output-sync=target lint types unit

# ansible-lint is shown what is Ansible's: each file costs it time, whatever is in it.
.PHONY: lint types unit
lint: $(DEV_READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/yamllint --strict .
	PYTHONPATH=tests/support/lint $(BIN)/ansible-lint --offline --exclude benchmarks docs requirements services tests

types: $(DEV_READY)
	$(BIN)/mypy services plugins tests benchmarks

unit: $(DEV_READY)
	$(BIN)/pytest --numprocesses 2 --dist worksteal tests/unit

# The first of them mostly wait, so there are more at once than cores; the others use all that there is.
.PHONY: test
test: check ## all tests: check, integration, molecule, end to end, browser
	$(BIN)/pytest --numprocesses 3 --dist loadfile tests/integration tests/browser tests/e2e/test_bad_*.py
	@$(MAKE) --no-print-directory $(if $(KUBECONFIG),,--jobs 2 --output-sync=target) lifecycle roles

# Beside each other, as both mostly wait: the roles' scenarios take what the lifecycle tests, which also look at gaps,
# leave of the machine. A cluster has room for one of the two at a time.
.PHONY: lifecycle roles
lifecycle: $(DEV_READY)
	$(BIN)/pytest tests/e2e/test_lifecycle.py

roles: $(DEV_READY)
	nice $(BIN)/python tests/molecule.py

.PHONY: audit
audit: $(DEV_READY) ## known vulnerabilities in what is locked
	$(BIN)/python tests/audit.py

.PHONY: bench
bench: $(DEV_READY) ## measured ratios, each beside its floor (PARTS="lifecycle store": only these)
	$(BIN)/python -m benchmarks $(PARTS)

.PHONY: backtest
backtest: $(DEV_READY) ## score the forecasts on recordings (DATA=DIR_OR_FILE, ARGS="--report out.html")
	$(BIN)/python -m bitcoin_forecast_app.backtest --data $(or $(DATA),$(error type: make backtest DATA=DIR_OR_FILE)) $(ARGS)

.PHONY: soak
soak: $(DEV_READY) ## a simulated day at speed under faults of every kind, and its ledger (about 25 minutes)
	$(BIN)/python -m tests.soak $(ARGS)

.PHONY: lock
lock: $(DEV_READY) ## pin the newest allowed versions anew
	$(COMPILE) --upgrade requirements/dev.in -o requirements/dev.txt
	$(COMPILE) requirements/bootstrap.in -c requirements/dev.txt -o requirements/bootstrap.txt
	$(COMPILE) requirements/controller.in -c requirements/dev.txt -o requirements/controller.txt
	for service in $(SERVICES); do \
		$(COMPILE) services/$$service/requirements.in -c requirements/dev.txt \
			-o services/$$service/requirements.txt; \
	done
