#!/usr/bin/env bash
# Installs Debian's Chromium with its driver, which the tests of the page want; needs root only when
# they are missing. Without them these tests are skipped.
set -euo pipefail

if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "Chromium is missing: sudo apt install chromium chromium-driver" >&2
  exit 1
fi
echo "installing chromium chromium-driver …"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --no-install-recommends chromium chromium-driver >/dev/null
