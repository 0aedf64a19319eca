#!/usr/bin/env bash
# Fails when regenerating WHAT changed a tracked file: clean-tree.sh WHAT PATH…
set -euo pipefail
what=$1; shift
changed=$(git status --porcelain -- "$@")
[ -z "$changed" ] && exit 0
echo "$what differ from what is checked in; look at the change and commit it:"
echo "$changed"
git --no-pager diff --stat -- "$@"
exit 1
