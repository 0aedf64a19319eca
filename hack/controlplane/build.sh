#!/usr/bin/env bash
# Builds the control plane of the tests when it is missing, and links each
# component's name to it. It is one program of ~1,500 packages: minutes with a
# cold Go cache, a link with a warm one, nothing when it is there.
#
#   build.sh           build
#   build.sh --where   only say in which folder it is, or would be
#
# The folder's name holds the hash of what is built, so that a change of version
# is never mistaken for the old one. Components in KUBEBUILDER_ASSETS are used
# instead of ours (hack/cptest); with all of them there, nothing is built.
set -euo pipefail
cd "$(dirname "$0")"
components=(etcd kube-apiserver kube-controller-manager kube-scheduler kwok kwok-stages kubectl kubelet kube-proxy)
hash=$(cat build.sh go.mod go.sum main.go kwok.go stages.go volume.yaml | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-${HOME:?a cache folder is needed: set HOME or XDG_CACHE_HOME}/.cache}/camfleet
folder=$cache/controlplane-$(uname -m)-$hash
if [ "${1:-}" = --where ]; then
  echo "$folder"
  exit 0
fi

# The time of a folder is when it was last wanted; those of old versions go in the end.
[ ! -d "$folder" ] || touch "$folder"
missing=()
for c in "${components[@]}"; do
  [ -x "$folder/$c" ] || { [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$c" ]; } || missing+=("$c")
done
[ ${#missing[@]} -eq 0 ] && exit 0

mkdir -p "$cache"
exec 9>"$cache/controlplane.lock"
flock 9 # another build of the same is waited for
[ -x "$folder/controlplane" ] && [ -x "$folder/kubectl" ] && exit 0

echo "controlplane: building Kubernetes' control plane for the tests; about 5 minutes on four cores the first time, 13 minutes of CPU"
start=$SECONDS
part=$(mktemp -d "$cache/controlplane-part-XXXXXX")
trap 'rm -rf "$part"' EXIT
packages=$(CGO_ENABLED=0 go list -deps . | wc -l)
status=0
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
flags="-s -w -X k8s.io/component-base/version.gitVersion=$version"
# -v names every package that had to be compiled; each hundredth is said.
CGO_ENABLED=0 go build -v -trimpath -buildvcs=false -ldflags "$flags" -o "$part/controlplane" . 2> >(
  count=0
  while IFS= read -r line; do
    count=$((count + 1))
    case $line in
    *" "* | "# "*) echo "$line" ;;
    *) [ $((count % 100)) -ne 0 ] || echo "controlplane: $count packages of at most $packages after $((SECONDS - start)) s" ;;
    esac
  done >&2
) || status=$?
wait # for the last words
[ "$status" -eq 0 ] || exit "$status"
for c in "${components[@]}"; do ln -s controlplane "$part/$c"; done
find "$cache" -maxdepth 1 -name 'controlplane-*' -type d -mtime +30 -exec rm -rf {} +
chmod 755 "$part"
rm -rf "$folder"
mv -T "$part" "$folder"
trap - EXIT
echo "controlplane: built in $((SECONDS - start)) s, $(du -m "$folder/controlplane" | cut -f1) MB in $folder"
