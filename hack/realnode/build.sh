#!/usr/bin/env bash
# Builds what real nodes in tests need besides Kubernetes, when it is missing:
# containerd and its shim, CoreDNS, and the program of the tests' own images.
# About two minutes with a cold Go cache, nothing when it is there.
#
#   build.sh           build
#   build.sh --where   only say in which folder it is, or would be
#
# kubelet and kube-proxy are built with the control plane: ../controlplane/build.sh.
# The folder's name holds the hash of what is built, as there.
set -euo pipefail
cd "$(dirname "$0")"
programs=(containerd containerd-shim-runc-v2 coredns podtool)
hash=$(cat build.sh containerd/go.mod containerd/go.sum coredns/go.mod coredns/go.sum coredns/main.go podtool/main.go | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-${HOME:?a cache folder is needed: set HOME or XDG_CACHE_HOME}/.cache}/camfleet
folder=$cache/realnode-$(uname -m)-$hash
if [ "${1:-}" = --where ]; then
  echo "$folder"
  exit 0
fi

there() {
  local p
  for p in "${programs[@]}"; do [ -x "$folder/$p" ] || return 1; done
  touch "$folder" # when it was last wanted; those of old versions go in the end
}
there && exit 0
mkdir -p "$cache"
exec 9>"$cache/realnode.lock"
flock 9 # another build of the same is waited for
there && exit 0

echo "realnode: building containerd and CoreDNS for the tests; about 2 minutes on four cores the first time"
start=$SECONDS
part=$(mktemp -d "$cache/realnode-part-XXXXXX")
trap 'rm -rf "$part"' EXIT
export CGO_ENABLED=0
build() { # FOLDER TAGS PACKAGE…: the programs of one module
  local dir=$1 tags=$2
  shift 2
  if ! (cd "$dir" && nice go build -trimpath -buildvcs=false -ldflags "-s -w" -tags "$tags" -o "$part/" "$@"); then
    echo "realnode: hack/realnode/$dir was not built; its modules need a network, or a filled module cache, once" >&2
    return 1
  fi
  echo "realnode: $dir built after $((SECONDS - start)) s"
}
build containerd "no_btrfs no_devmapper no_zfs" tool
build coredns "" .
build podtool "" .
find "$cache" -maxdepth 1 -name 'realnode-*' -type d -mtime +30 -exec rm -rf {} +
chmod 755 "$part"
rm -rf "$folder"
mv -T "$part" "$folder"
trap - EXIT
echo "realnode: built in $((SECONDS - start)) s, $(du -sm "$folder" | cut -f1) MB in $folder"
