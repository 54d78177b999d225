#!/bin/sh
# What tests/images needs beside the development environment, into .cache/containers, once:
#   containers.conf, storage.conf, networks/   podman's configuration, for these tests alone
#   graph/, run/                               its images and containers
# and in there debian:bookworm-slim, pulled, or made of Debian's packages where no registry is in
# reach. Missing commands come from Debian where this runs as root; else they are named.
# With RIE_ENGINE=docker the engine is the daemon that docker finds, and none of this is needed
# but the image.
set -eu

BASE=docker.io/library/debian:bookworm-slim
PULL_LIMIT=120 # seconds; where there is no way to a registry it takes less than one

cd "$(dirname "$0")/../.."
cache=$PWD/.cache/containers
engine=${RIE_ENGINE:-podman}
export PATH="$PATH:/usr/sbin:/sbin:/usr/local/go/bin"

# package COMMAND: the Debian package that has it.
package() {
  case $1 in
    go) echo golang-go ;;
    mvn) echo maven ;;
    /usr/lib/podman/netavark) echo netavark ;;
    *) echo "$1" ;;
  esac
}

# install COMMAND...: those that are missing.
install() {
  packages=
  for command in "$@"; do
    command -v "$command" >/dev/null || packages="$packages $(package "$command")"
  done
  [ -n "$packages" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    echo "tests/images needs these Debian packages: apt-get install$packages" >&2
    exit 1
  fi
  apt-get update -qq
  # shellcheck disable=SC2086 # a list of words
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages
}

# Networks of several checkouts must not give out the same addresses, nor share a bridge: each
# has one that is named and numbered by the checkout's path.
network() {
  number=$(printf %s "$PWD" | cksum | cut -d ' ' -f 1)
  net=10.$((89 + number / 256 % 64)).$((number % 256))
  cat <<END
{
  "name": "podman",
  "id": "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9",
  "driver": "bridge",
  "network_interface": "rie$((number % 100000000))",
  "created": "2024-01-01T00:00:00Z",
  "subnets": [{"subnet": "$net.0/24", "gateway": "$net.1"}],
  "ipv6_enabled": false,
  "internal": false,
  "dns_enabled": false,
  "ipam_options": {"driver": "host-local"}
}
END
}

# The reasons are errors of podman's: crun refuses hybrid control groups, systemd's manager needs
# systemd, and a root without CAP_SYS_RESOURCE may not raise limits as the defaults do.
containers_conf() {
  echo '[containers]'
  echo 'log_driver = "k8s-file"'
  if [ "$(id -u)" = 0 ]; then
    echo 'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]'
  fi
  echo '[engine]'
  echo 'events_logger = "file"'
  [ -e /sys/fs/cgroup/cgroup.controllers ] || echo 'runtime = "runc"'
  [ -d /run/systemd/system ] || echo 'cgroup_manager = "cgroupfs"'
  echo '[network]'
  echo 'network_backend = "netavark"'
  echo "network_config_dir = \"$cache/networks\""
}

storage_conf() {
  echo '[storage]'
  echo 'driver = "overlay"'
  echo "runroot = \"$cache/run\""
  echo "graphroot = \"$cache/graph\""
}

# What the images and layers are made with.
install go mvn patchelf
mkdir -p "$cache/networks"
if [ "$engine" = podman ]; then
  install podman runc iptables /usr/lib/podman/netavark
  containers_conf >"$cache/containers.conf"
  storage_conf >"$cache/storage.conf"
  network >"$cache/networks/podman.json"
  export CONTAINERS_CONF="$cache/containers.conf" CONTAINERS_STORAGE_CONF="$cache/storage.conf"
fi
"$engine" info >/dev/null

"$engine" image inspect "$BASE" >/dev/null 2>&1 && exit
timeout "$PULL_LIMIT" "$engine" pull --quiet "$BASE" 2>"$cache/pull.log" && exit

echo "tests/images: no registry in reach ($(tail -n 1 "$cache/pull.log")); making $BASE" >&2
install mmdebstrap
folder=$(mktemp -d "$cache/base.XXXXXX")
trap 'rm -rf "$folder"' EXIT
if ! images/bookworm-slim.sh >"$folder/base.tar" 2>"$folder/log"; then
  cat "$folder/log" >&2
  exit 1
fi
printf 'FROM scratch\nADD base.tar /\nCMD ["bash"]\n' >"$folder/Dockerfile"
case $engine in
  podman) set -- --timestamp 0 --format docker ;;
  *) set -- --provenance=false ;;
esac
SOURCE_DATE_EPOCH=0 "$engine" build --quiet "$@" --network none --tag "$BASE" "$folder" >/dev/null
