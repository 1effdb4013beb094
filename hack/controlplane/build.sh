#!/usr/bin/env bash
# Gets the Kubernetes control plane that tests and the demo run against: etcd,
# kube-apiserver and kube-controller-manager (or the programs named as arguments;
# kubectl too).
#
#   hack/controlplane/build.sh [--print] [PROGRAM...]
#
# It downloads the official releases whose checksums are pinned in the file
# checksums next to this one. It builds the rest, in the same versions, from the Go
# modules pinned in go.mod: programs without a checksum for this platform, programs
# whose download is refused, and all of them if the servers do not answer in 5 seconds.
#
# The last line on stdout is the directory of the programs. They are cached in
# ${XDG_CACHE_HOME:-~/.cache}/apitoken-operator, keyed by a hash of their sources, so all
# clones on a machine share them and nothing is built twice.
#
#   CONTROLPLANE_DOWNLOAD=no  never download, always build from source
#   CONTROLPLANE_MIRROR=URL   download from a mirror, which has the files of
#                             https://HOST/PATH under URL/HOST/PATH
#   KUBEBUILDER_ASSETS=DIR    use these programs instead, if etcd and
#                             kube-apiserver are among them
#
# --print only prints the directory; it exits with 1 when a program is missing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=v1.37.1
ldflags="-s -w -X k8s.io/component-base/version.gitVersion=$version -X k8s.io/client-go/pkg/version.gitVersion=$version"
go=${GO:-go}
export GOWORK=off

say() { printf '%s\n' "$*" >&2; }

package() {
  case $1 in
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    kube-apiserver | kube-controller-manager | kubectl) echo "k8s.io/kubernetes/cmd/$1" ;;
    *) say "unknown program $1: etcd, kube-apiserver, kube-controller-manager or kubectl"; return 2 ;;
  esac
}

# The duration of a first build on two cores, with modules downloaded and an empty cache.
estimate() {
  case $1 in
    kube-apiserver) echo ", about four minutes on two cores the first time" ;;
    kube-controller-manager) echo ", about two minutes on two cores the first time" ;;
    *) echo ", under a minute on two cores the first time" ;;
  esac
}

fingerprint() { # of stdin; git is required anyway, and is the same on every platform
  git hash-object --stdin | cut -c1-12
}

heartbeat() { # name: prints progress every 15 seconds, until killed
  local elapsed=0 nap
  trap 'kill "$nap" 2>/dev/null; exit 0' TERM
  while :; do
    sleep 15 &
    nap=$!
    wait "$nap"
    elapsed=$((elapsed + 15))
    say "  $1: ${elapsed}s elapsed"
  done
}

build() { # name, position
  local name=$1 package tmp log pulse status=0
  package=$(package "$name")
  tmp=$dir/.$name.$$
  log=$dir/$name.log
  say "building $name ($2)$(estimate "$name")"
  heartbeat "$name" 9>&- >/dev/null &
  pulse=$!
  # A signal must not leave a heartbeat behind.
  trap 'kill "$pulse" 2>/dev/null || true; rm -f "$tmp"' EXIT
  (cd "$here" && "$go" build -trimpath -buildvcs=false -ldflags "$ldflags" -o "$tmp" "$package") >"$log" 2>&1 9>&- </dev/null || status=$?
  kill "$pulse" 2>/dev/null || true
  wait "$pulse" 2>/dev/null || true
  if [ "$status" != 0 ]; then
    say "building $name failed:"
    tail -n 40 "$log" >&2
    exit 1
  fi
  mv "$tmp" "$dir/$name"
  rm -f "$log"
  trap - EXIT
}

find_missing() { # names
  local name
  missing=()
  for name in "$@"; do [ -x "$dir/$name" ] || missing+=("$name"); done
}

download() { # names: a program that cannot be downloaded is built
  case ${CONTROLPLANE_DOWNLOAD:-yes} in no | 0 | false)
    say "CONTROLPLANE_DOWNLOAD=$CONTROLPLANE_DOWNLOAD: building $* from source"
    return 0
    ;;
  esac
  # Downloads are only for the platform of this machine.
  [ "$("$go" env GOOS GOARCH)" = "$("$go" env GOHOSTOS GOHOSTARCH)" ] || return 0
  trap 'exit 130' INT # go run hides that its program was interrupted
  (cd "$here" && "$go" run -trimpath -buildvcs=false ./fetch -into "$dir" "$@") >&2 9>&- </dev/null ||
    say "cannot download: building from source"
  trap - INT
}

get_missing() { # names
  local name position=0 missing
  find_missing "$@"
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$print" = yes ]; then
    say "missing: ${missing[*]} (make controlplane gets them)"
    exit 1
  fi
  mkdir -p "$dir"
  # Of two concurrent builds, one does the work and the other waits. Without flock(1)
  # both do it, and the rename keeps the result complete.
  exec 9>"$dir/.lock"
  if command -v flock >/dev/null && ! flock -n 9; then
    say "another build of the control plane is running; waiting for it"
    flock 9
  fi
  find_missing "$@"
  [ ${#missing[@]} -eq 0 ] || download "${missing[@]}"
  find_missing "$@"
  for name in "$@"; do
    [ ! -x "$dir/$name" ] || continue
    position=$((position + 1))
    build "$name" "$position/${#missing[@]}"
  done
  exec 9>&-
}

has() { # directory, names
  local directory=$1 name
  shift
  for name in "$@"; do [ -x "$directory/$name" ] || return 1; done
}

print=no
if [ "${1:-}" = --print ]; then
  print=yes
  shift
fi
wanted=("$@")
[ $# -gt 0 ] || wanted=(etcd kube-apiserver kube-controller-manager)
for name in "${wanted[@]}"; do package "$name" >/dev/null; done

assets=${KUBEBUILDER_ASSETS:-}
if [ -n "$assets" ] && has "$assets" "${wanted[@]}"; then
  echo "$assets"
  exit 0
fi

key=$({ echo "$ldflags"; "$go" env GOOS GOARCH; cat "$here/go.mod" "$here/go.sum"; } | fingerprint)
dir=${XDG_CACHE_HOME:-$HOME/.cache}/apitoken-operator/controlplane-$version/$key

if [ -z "$assets" ] || ! has "$assets" etcd kube-apiserver; then
  [ -z "$assets" ] || say "KUBEBUILDER_ASSETS=$assets lacks etcd or kube-apiserver: not used"
  get_missing "${wanted[@]}"
  echo "$dir"
  exit 0
fi

# KUBEBUILDER_ASSETS has some of the programs. The rest is downloaded or built, and one
# directory links to both.
rest=()
for name in "${wanted[@]}"; do [ -x "$assets/$name" ] || rest+=("$name"); done
get_missing "${rest[@]}"
joined=$dir/with-$(echo "$assets" | fingerprint)
mkdir -p "$joined"
for name in "${wanted[@]}"; do
  from=$assets
  [ -x "$assets/$name" ] || from=$dir
  ln -sf "$(cd "$from" && pwd)/$name" "$joined/$name"
done
echo "$joined"
