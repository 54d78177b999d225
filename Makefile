# Everything that is done to this project, by name. `make help` lists it.
# Each target sets up what it needs first; nothing is installed outside this folder, but for
# the system packages that have no other place.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The first that is new enough; asked before .venv is on PATH.
PYTHON := $(or $(PYTHON),$(shell for each in python3 python3.13 python3.12 python3.11; do \
  "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
  && { command -v "$$each"; break; }; done))
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
NATIVE := $(wildcard rie/sandbox/native/*.[ch])
REAL_SETUP := $(wildcard tests/real/setup.sh)
IMAGES_SETUP := $(wildcard tests/images/setup.sh)
PYTEST_ARGS ?=
# Most tests wait for processes as much as they compute. Those of a file share what they have started.
WORKERS ?= $(shell expr $$(nproc 2>/dev/null || echo 1) + 1)
SIDE_BY_SIDE := --numprocesses=$(WORKERS) --dist=loadfile
# pytest ends a test that hangs (pyproject.toml), but neither what a failed one has left to be torn
# down nor an interpreter that waits for a thread. Ten times what all tests take.
TIME_LIMIT := timeout --foreground --signal=ABRT --kill-after=1m 40m

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1 \2/p' $(MAKEFILE_LIST) | awk '{ printf "  %s %-12s", $$1, $$2; $$1 = $$2 = ""; print }'

.PHONY: install
install: $(INSTALLED) ## create .venv with everything that the lock names

$(INSTALLED): requirements.lock pyproject.toml .ci/venv.sh .ci/compiler.sh hatch_build.py $(NATIVE)
	@.ci/venv.sh "$(PYTHON)" $(VENV)
	@.ci/compiler.sh
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: demo
demo: $(INSTALLED) ## start the emulator with an example handler, call it, show answer and log
	@examples/demo/demo.sh

.PHONY: check
check: $(INSTALLED) ## lint, formatting, types, import rules, freshness of the lock
	$(BIN)/python .ci/lock.py --check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.10 bootstrap
	$(BIN)/lint-imports

.PHONY: format
format: $(INSTALLED) ## format the code and mend what the linter can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: test
# Python processes that tests start are measured too, wherever they run.
test: export COVERAGE_FILE := $(CURDIR)/.coverage
test: export COVERAGE_PROCESS_START := $(CURDIR)/pyproject.toml
test: $(INSTALLED) .cache/real.stamp .cache/images.stamp ## run all tests, with coverage (PYTEST_ARGS="-k name")
	$(BIN)/coverage erase
	$(if $(PYTEST_ARGS),,$(TIME_LIMIT)) $(BIN)/coverage run -m pytest $(or $(PYTEST_ARGS),$(SIDE_BY_SIDE))
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(if $(PYTEST_ARGS),,$(BIN)/coverage report --include='rie/core/*,bootstrap/*' --fail-under=100)

# The runtimes that we did not write, for the tests against them.
.cache/real.stamp: $(REAL_SETUP) $(INSTALLED)
	@mkdir -p $(@D)
	$(if $(REAL_SETUP),$(REAL_SETUP))
	@touch $@

# Engines for containers, and the base image where no registry is in reach.
.cache/images.stamp: $(IMAGES_SETUP) $(INSTALLED)
	@mkdir -p $(@D)
	$(if $(IMAGES_SETUP),$(IMAGES_SETUP))
	@touch $@

.PHONY: test-images
test-images: $(INSTALLED) .cache/real.stamp .cache/images.stamp ## build and run every image and example runtime
	$(if $(PYTEST_ARGS),,$(TIME_LIMIT)) $(BIN)/python -m pytest -m matrix $(or $(PYTEST_ARGS),$(SIDE_BY_SIDE))

.PHONY: layers
layers: $(INSTALLED) ## build the layers that we ship, into dist/layers
	@mkdir -p dist/layers
	@for each in layers/*/build; do name=$$(basename "$$(dirname "$$each")"); \
	  $(BIN)/rie layer build "$$name" -o "dist/layers/$$name.zip"; done

.PHONY: images
# Where podman's defaults do not fit, the tests have made a configuration that does.
ifneq ($(wildcard .cache/containers/storage.conf),)
images: export CONTAINERS_CONF := $(CURDIR)/.cache/containers/containers.conf
images: export CONTAINERS_STORAGE_CONF := $(CURDIR)/.cache/containers/storage.conf
endif
images: $(INSTALLED) ## build all base images
	@for each in images/*/image.toml; do $(BIN)/rie image build "$$(basename "$$(dirname "$$each")")"; done

.PHONY: bench
bench: $(INSTALLED) ## measure side by side with the floor and the peers
	$(BIN)/python -m benchmarks

.PHONY: lock
lock: $(INSTALLED) ## resolve requirements.lock anew (make lock LOCK_ARGS=--upgrade for newer versions)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python .ci/lock.py $(LOCK_ARGS)

.PHONY: clean
clean: ## remove what the other targets have made
	-umount .cache/containers/graph/overlay 2>/dev/null
	rm -rf $(VENV) .cache .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
