#!/bin/sh
# Makes a file system that stands in for debian:bookworm-slim, as a tar file on stdout: for a
# machine that reaches Debian's packages but no registry of images.
#
#   images/bookworm-slim.sh | podman import - docker.io/library/debian:bookworm-slim
#
# Holds a little less than the original, so that what is built on it can be built on that one too.
# Packages come from where apt on this machine has them from; the same versions give the same
# bytes. Needs mmdebstrap. As root, or as a user with a range of subordinate ids.
set -eu

export SOURCE_DATE_EPOCH=0 LC_ALL=C.UTF-8

# Every row of this machine's sources that is of bookworm, however they are written; none on
# another distribution, where mmdebstrap knows Debian's own address.
sources() {
  command -v apt-get >/dev/null || return 0
  # shellcheck disable=SC2016 # apt's own variables
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    sort -u | while read -r release component address; do
    case $release/$component in
      bookworm/main | bookworm-updates/main | bookworm-security/main)
        echo "deb $address $release $component"
        ;;
    esac
  done
}

# A proxy that apt is told of in its own configuration is in no variable.
if command -v apt-config >/dev/null; then
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  [ -z "${proxy-}" ] || export http_proxy="$proxy"
fi

# With the hook /usr is merged from the start, without a package that needs all of Perl for it.
set -- --variant=apt --format=tar --quiet \
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright'

# As in the official image: packages and indexes are not kept after an apt-get install, and no
# translations are fetched.
caches='/var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin'
setting() {
  echo "echo '$2' >>\"\$1/etc/apt/apt.conf.d/docker-$1\""
}
for when in DPkg::Post-Invoke APT::Update::Post-Invoke; do
  set -- "$@" --customize-hook="$(setting clean "$when { \"rm -f $caches || true\"; };")"
done
set -- "$@" \
  --customize-hook="$(setting clean 'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";')" \
  --customize-hook="$(setting no-languages 'Acquire::Languages "none";')" \
  --customize-hook="$(setting gzip-indexes 'Acquire::GzipIndexes "true";')" \
  --customize-hook='rm -rf "$1"/var/log/apt "$1"/var/log/*.log "$1"/var/cache/apt/*.bin' \
  bookworm -
while read -r source; do
  [ -z "$source" ] || set -- "$@" "$source"
done <<END
$(sources)
END
exec mmdebstrap "$@" </dev/null
