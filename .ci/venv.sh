#!/usr/bin/env bash
# Makes the virtual environment $2 with the Python $1. Debian keeps half of `venv` in a package
# of its own: installed where the user may, else named.
set -euo pipefail
python=$1 venv=$2

if [[ -z $python ]]; then
  echo "make: needs Python 3.11 or newer; install one, or name it: make PYTHON=/path/to/python" >&2
  exit 1
fi
[[ -x $venv/bin/python ]] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 && exit 0

if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  package=python$version-venv
  install=(apt-get install --yes --no-install-recommends "$package")
  if ! command -v apt-get >/dev/null; then
    echo "make: $python comes without venv (ensurepip); install it from where $python is from" >&2
    exit 1
  elif [[ $(id -u) == 0 ]]; then
    apt-get update --quiet=2 && "${install[@]}" >/dev/null
  elif sudo -n true 2>/dev/null; then
    sudo apt-get update --quiet=2 && sudo "${install[@]}" >/dev/null
  else
    echo "make: needs the package $package; as root: apt-get install $package" >&2
    exit 1
  fi
fi
echo "making $venv with $python"
"$python" -m venv --clear "$venv"
