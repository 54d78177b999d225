#!/usr/bin/env bash
# Sees to a C compiler for the launcher (hatch_build.py). Installed where the user may; else all
# goes on without it: functions run without limits then.
set -euo pipefail
packages=(gcc libc6-dev)
failed="${packages[*]} could not be installed"

# As hatch_build.py looks for it; and the C library's headers are a package of their own.
compiles() {
  local compiler
  compiler=$(command -v "${CC:-cc}" || command -v gcc) &&
    "$compiler" -E - <<<'#include <stdio.h>' >/dev/null 2>&1
}

install() {
  "$@" apt-get update --quiet=2 &&
    "$@" apt-get install --yes --no-install-recommends "${packages[@]}" >/dev/null
}

warn() {
  echo "make: functions will run without limits and isolation: $1" >&2
}

if [[ $(uname) != Linux ]]; then
  warn "these need Linux"
elif compiles; then
  :
elif ! command -v apt-get >/dev/null; then
  warn "no C compiler; install one, then: make --always-make install"
elif [[ $(id -u) == 0 ]]; then
  install || warn "$failed"
elif sudo -n true 2>/dev/null; then
  install sudo || warn "$failed"
else
  warn "no C compiler; as root: apt-get install ${packages[*]}, then: make --always-make install"
fi
