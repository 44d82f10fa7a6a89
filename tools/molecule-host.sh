#!/usr/bin/env bash
# Prepares a Debian or Ubuntu machine for the molecule scenarios; does nothing where all is there.
#
#   tools/molecule-host.sh           a container engine, and mmdebstrap for machines without registry
#   tools/molecule-host.sh arm64     the same, and an emulator of arm64 (nothing on an arm64 machine)
#   tools/molecule-host.sh machine   QEMU, a kernel that runs as a process, and what makes their disks
#
# Needs root only when something is missing. The emulator is registered until the next start.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/backend-worker/molecule
binfmt=/proc/sys/fs/binfmt_misc

main() {
  if [ "${1:-native}" = machine ]; then
    install_machine
    return
  fi
  install_engine
  if [ "${1:-native}" = arm64 ] && [ "$(uname -m)" != aarch64 ]; then
    install_emulator
  fi
}

install_engine() {
  local missing=()
  if ! docker info >/dev/null 2>&1; then
    command -v podman >/dev/null || missing+=(podman)
    command -v iptables >/dev/null || missing+=(iptables)
    [ -x /usr/lib/podman/netavark ] || missing+=(netavark)
    [ -x /usr/lib/podman/aardvark-dns ] || missing+=(aardvark-dns)
    # crun refuses a host whose cgroups are not all of version 2
    [ -e /sys/fs/cgroup/cgroup.controllers ] || command -v runc >/dev/null || missing+=(runc)
  fi
  command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
  install_packages "${missing[@]}"
}

# User-mode Linux is for x86-64 hosts without KVM; where it cannot be had, QEMU emulates.
install_machine() {
  local missing=() program
  for program in mmdebstrap:mmdebstrap mkfs.vfat:dosfstools mcopy:mtools ssh:openssh-client; do
    command -v "${program%:*}" >/dev/null || missing+=("${program#*:}")
  done
  if [ "$(uname -m)" = x86_64 ]; then
    command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86 debian-archive-keyring)
    if ! command -v linux.uml >/dev/null && apt-cache show user-mode-linux >/dev/null 2>&1; then
      missing+=(user-mode-linux vde2)
    fi
  else
    command -v qemu-system-aarch64 >/dev/null || missing+=(qemu-system-arm debian-archive-keyring)
  fi
  install_packages "${missing[@]}"
}

install_packages() {
  [ "$#" -gt 0 ] || return 0
  command -v apt-get >/dev/null || {
    echo "please install: $*" >&2
    exit 1
  }
  echo "installing $* …"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -o DPkg::Lock::Timeout=600 install -qq --yes --no-install-recommends "$@" >/dev/null
}

# systemd 257's mount namespaces fail (226/NAMESPACE) under QEMU before 11, which
# trixie-backports has. Only its static binary is taken, beside whatever is installed.
install_emulator() {
  mountpoint -q "$binfmt" || as_root mount -t binfmt_misc binfmt_misc "$binfmt"
  if emulator_is_new_enough; then
    return 0
  fi
  local qemu=$cache/qemu/qemu-aarch64
  [ -x "$qemu" ] || fetch_emulator
  local name=backend-worker-aarch64
  [ ! -e "$binfmt/$name" ] || echo -1 | as_root tee "$binfmt/$name" >/dev/null
  # the ELF header of a 64-bit little-endian AArch64 program, and which of its bits count;
  # F: the kernel keeps the emulator open, so that it need not exist inside the container
  local magic='\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
  local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
  printf '%s' ":$name:M::$magic:$mask:$qemu:POCF" | as_root tee "$binfmt/register" >/dev/null
  echo "registered $("$qemu" --version | head -n 1)"
}

emulator_is_new_enough() {
  local entry interpreter major
  for entry in "$binfmt"/*aarch64*; do
    [ -e "$entry" ] || continue
    grep -q '^enabled' "$entry" || continue
    grep -q '^flags:.*F' "$entry" || continue
    interpreter=$(sed -n 's/^interpreter //p' "$entry")
    [ -x "$interpreter" ] || return 0 # registered from another file system: trust it
    major=$("$interpreter" --version | sed -nE '1s/.*version ([0-9]+).*/\1/p')
    [ "${major:-0}" -ge 11 ] && return 0
  done
  return 1
}

fetch_emulator() {
  local work=$cache/qemu.new apt
  rm -rf "$work"
  mkdir -p "$work/lists/partial" "$work/archives/partial"
  "$(dirname "$0")/trixie-sources.sh" trixie-backports >"$work/debian.sources"
  apt=(apt-get -o "Dir::Etc::sourcelist=$work/debian.sources" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work" -o Dir::State::status=/dev/null
    -o Acquire::Languages=none -o APT::Sandbox::User=root)
  "${apt[@]}" -qq update
  (cd "$work" && "${apt[@]}" -qq download qemu-user)
  mkdir -p "$cache/qemu"
  dpkg-deb --fsys-tarfile "$work"/qemu-user_*.deb | tar -C "$work" -xf - ./usr/bin/qemu-aarch64
  mv "$work/usr/bin/qemu-aarch64" "$cache/qemu/qemu-aarch64"
  rm -rf "$work"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

main "$@"
