#!/usr/bin/env bash
# Prints APT sources (deb822) of Debian 13 as this Debian machine reaches them: its own mirrors,
# with the suite replaced. With an argument only that suite, from the first mirror.
#
#   tools/trixie-sources.sh [trixie-backports]
set -euo pipefail

suite=${1:-}
# shellcheck disable=SC1091
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
uris=()
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
shopt -s nullglob
for file in /etc/apt/sources.list.d/*.sources; do
  # one line a stanza: "URI suites"
  while read -r uri suites; do
    case " $suites " in
      *" $codename "* | *" $codename-security "*) uris+=("$uri $suites") ;;
    esac
  done < <(awk 'BEGIN { RS = ""; FS = "\n" }
    { uri = suites = ""; off = 0
      for (i = 1; i <= NF; i++) {
        # a stanza of another distribution in the same folder, e.g. of Raspberry Pi
        if ($i ~ /^Signed-By:/ && $i !~ /debian-archive/) off = 1
        if ($i ~ /^URIs:/) { uri = $i; sub(/^URIs:[ \t]*/, "", uri); sub(/[ \t].*/, "", uri) }
        if ($i ~ /^Suites:/) { suites = $i; sub(/^Suites:[ \t]*/, "", suites) }
        if (tolower($i) ~ /^enabled:[ \t]*no/) off = 1 }
      if (uri != "" && !off) print uri, suites }' "$file")
done
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -e "$file" ] || continue
  while read -r uri suites; do
    case " $suites " in
      *" $codename "* | *" $codename-security "*) uris+=("$uri $suites") ;;
    esac
  done < <(sed -nE 's/^deb +(\[[^]]*\] +)?([^ ]+) +([^ ]+) .*/\2 \3/p' "$file")
done
if [ "${#uris[@]}" -eq 0 ] || [ ! -e "$keyring" ]; then
  echo "no Debian mirror in this machine's APT sources" >&2
  exit 1
fi

stanza() {
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "$1" "$2" "$keyring"
}

if [ -n "$suite" ]; then
  stanza "${uris[0]%% *}" "$suite"
  exit
fi
for entry in "${uris[@]}"; do
  stanza "${entry%% *}" "$(sed -E "s/(^| )$codename/\1trixie/g" <<<"${entry#* }")"
done
