#!/usr/bin/env bash
# Runs molecule scenarios, each from create to destroy, and fails on a deprecation warning too.
#
#   tools/molecule.sh native [upgrade …]
#
# ansible-core can hide these warnings but not make them errors, so its log is searched.
set -euo pipefail
cd "$(dirname "$0")/.."

export PATH="$PWD/.venv/bin:$PATH" MOLECULE_COMMAND_BORDERS=false ANSIBLE_DEPRECATION_WARNINGS=true
ANSIBLE_LOG_PATH=$(mktemp)
export ANSIBLE_LOG_PATH
trap 'rm -f "$ANSIBLE_LOG_PATH"' EXIT

for scenario in "$@"; do
  started=$SECONDS
  molecule test --scenario-name "$scenario"
  [ -s "$ANSIBLE_LOG_PATH" ] || { echo "scenario $scenario: Ansible wrote no log" >&2; exit 1; }
  if grep -A 5 'DEPRECATION WARNING' "$ANSIBLE_LOG_PATH" >&2; then
    echo "scenario $scenario uses what ansible-core is about to remove; see the warnings above" >&2
    exit 1
  fi
  echo "scenario $scenario passed in $((SECONDS - started)) s"
done
