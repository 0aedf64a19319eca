#!/usr/bin/env bash
# Installs the Debian packages that the tests use as independent judges
# (ffmpeg, nginx, Chromium, git), when they are missing.
set -euo pipefail
declare -A package=([ffmpeg]=ffmpeg [ffprobe]=ffmpeg [nginx]=nginx-light [chromium]=chromium [git]=git)
missing=()
for program in "${!package[@]}"; do
  PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
echo "setup: installing ${missing[*]} from Debian packages"
sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: neither root nor sudo: install ${missing[*]} by hand"; exit 1; }
  sudo=(sudo)
fi
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
