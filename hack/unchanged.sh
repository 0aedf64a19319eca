#!/usr/bin/env bash
# Runs a command that regenerates files, and fails when one of them changed:
#   hack/unchanged.sh "golden files" PATH… -- COMMAND…
# What is edited and not committed yet does not matter, only what the command does.
set -euo pipefail
what=$1; shift
paths=()
while [ "$1" != -- ]; do paths+=("$1"); shift; done
shift
state() { git ls-files -z -co --exclude-standard -- "${paths[@]}" | xargs -0 sha256sum 2>/dev/null || true; }
before=$(state)
"$@"
after=$(state)
[ "$before" = "$after" ] && exit 0
echo "$what are not what their sources give; look at these and commit them:"
diff <(echo "$before") <(echo "$after") | awk '/^[<>]/ {print "  " $3}' | sort -u
exit 1
