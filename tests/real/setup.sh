#!/bin/sh
# What tests/real needs beside the development environment, into .cache/real, once:
#   node/            the official Node.js client, whose native part takes a minute to build
#   older-python/    the official Python client as it was before the Runtime API's newest headers
#   awscli/          the AWS CLI, which pins a botocore of its own
# Missing commands come from Debian where this runs as root; else they are named.
set -eu

NODE_CLIENT=aws-lambda-ric@4.0.2
OLDER_PYTHON_CLIENT="awslambdaric==2.0.10 simplejson==3.20.2" # its own pin has no wheel
AWS_CLI=awscli==1.46.2

cd "$(dirname "$0")/../.."
cache=$PWD/.cache/real
python=$PWD/.venv/bin/python
[ -x "$python" ] || python=python3

# package COMMAND: the Debian package that has it.
package() {
  case $1 in
    node) echo nodejs ;;
    xz) echo xz-utils ;;
    capsh) echo libcap2-bin ;;
    ip) echo iproute2 ;;
    mkfs.ext4) echo e2fsprogs ;;
    setpriv | unshare | nsenter) echo util-linux ;;
    javac) echo default-jdk-headless ;;
    go) echo golang-go ;;
    cc) echo gcc ;;
    php) echo php-cli ;;
    *) echo "$1" ;;
  esac
}

packages=
# The second row is for tests/sandbox, the third for the examples in languages of their own.
for command in bash cmake curl g++ go javac jq make node npm python3 xz \
  zip unzip capsh ip mkfs.ext4 nsenter setpriv slirp4netns unshare \
  cc lua5.3 php ruby; do
  command -v "$command" >/dev/null || packages="$packages $(package "$command")"
done
"$python" -c 'import ensurepip' 2>/dev/null || packages="$packages python3-venv"
perl -MJSON::PP -e 1 2>/dev/null || packages="$packages perl" # perl-base lacks it
lua5.3 -e 'require "posix" require "socket"' 2>/dev/null || packages="$packages lua-posix lua-socket"
if [ -n "$packages" ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "tests/real needs these Debian packages: apt-get install$packages" >&2
    exit 1
  fi
  apt-get update -qq
  # shellcheck disable=SC2086 # a list of words
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages
fi

# Debian's is too old for the example in Rust, and another can be put into many places.
rust=1.85
have=$(cargo --version 2>/dev/null | cut -d ' ' -f 2)
oldest=$(printf '%s\n' "$rust" "${have:-0}" | sort -V | head -n 1)
if [ "$oldest" != "$rust" ]; then
  echo "tests/real needs cargo $rust or newer, this is ${have:-none}: https://rustup.rs" >&2
  echo "without it the tests of examples/runtimes/rust are skipped, or fail where CI=true" >&2
fi

# made NAME PIN: whether the cache has NAME as it is wanted; else it starts afresh.
made() {
  [ "$(cat "$cache/$1/made-of" 2>/dev/null)" = "$2" ] && return 0
  rm -rf "${cache:?}/$1"
  mkdir -p "$cache/$1"
  return 1
}

node="$NODE_CLIENT on $(node --version)"
if ! made node "$node"; then
  # The headers that the native part is built with, where they lie beside node: no download.
  prefix=$(node -p 'require("path").resolve(process.execPath, "../..")')
  if [ -e "$prefix/include/node/node.h" ]; then
    export npm_config_nodedir="$prefix"
  fi
  npm install --prefix "$cache/node" --no-save --no-package-lock --no-audit --no-fund \
    --loglevel error "$NODE_CLIENT"
  test -e "$cache/node/node_modules/aws-lambda-ric/rapid-client.node"
  echo "$node" >"$cache/node/made-of"
fi

older="$OLDER_PYTHON_CLIENT for $("$python" --version)"
if ! made older-python "$older"; then
  "$python" -m venv "$cache/older-python"
  # shellcheck disable=SC2086 # a list of words
  "$cache/older-python/bin/pip" install -q --disable-pip-version-check --no-deps \
    --only-binary :all: $OLDER_PYTHON_CLIENT
  echo "$older" >"$cache/older-python/made-of"
fi

cli="$AWS_CLI for $("$python" --version)"
if ! made awscli "$cli"; then
  "$python" -m venv "$cache/awscli"
  "$cache/awscli/bin/pip" install -q --disable-pip-version-check "$AWS_CLI"
  echo "$cli" >"$cache/awscli/made-of"
fi
