#!/usr/bin/env bash
# Installs the Debian packages that the tests use as independent judges
# (ffmpeg, nginx, Chromium, git), when they are missing; and what real nodes need
# (hack/realnode), where this is root: other users' tests do without them.
set -euo pipefail
declare -A package=([ffmpeg]=ffmpeg [ffprobe]=ffmpeg [nginx]=nginx-light [chromium]=chromium [git]=git)
missing=()
for program in "${!package[@]}"; do
  PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null || missing+=("${package[$program]}")
done

nodes=()
if [ "$(id -u)" -eq 0 ]; then
  declare -A node=([runc]=runc [iptables]=iptables [ip]=iproute2)
  for program in "${!node[@]}"; do
    PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null || nodes+=("${node[$program]}")
  done
  [ -x /usr/lib/cni/bridge ] || nodes+=(containernetworking-plugins)
fi

[ ${#missing[@]} -eq 0 ] && [ ${#nodes[@]} -eq 0 ] && exit 0
sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: neither root nor sudo: install ${missing[*]} by hand"; exit 1; }
  sudo=(sudo)
fi
install() {
  echo "setup: installing $* from Debian packages"
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
"${sudo[@]}" apt-get update -qq || [ ${#missing[@]} -eq 0 ]
mapfile -t missing < <(printf '%s\n' ${missing[@]+"${missing[@]}"} | sort -u)
[ -z "${missing[*]}" ] || install "${missing[@]}"
# Without these the tests with real nodes are skipped, and say why.
[ ${#nodes[@]} -eq 0 ] || install "${nodes[@]}" || echo "setup: ${nodes[*]} could not be installed: tests with real nodes will be skipped"
