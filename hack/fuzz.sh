#!/usr/bin/env bash
# Runs every fuzz target for a while: hack/fuzz.sh 20s
set -euo pipefail
for_each=${1:-20s}
while IFS=: read -r file line; do
  target=$(sed -E 's/^func (Fuzz[A-Za-z0-9]*).*/\1/' <<<"$line")
  echo "fuzz: $target in $(dirname "$file")"
  # Minimising a large input can take longer than the search itself.
  go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$for_each" -fuzzminimizetime 1x | tail -n 2
done < <(grep -rE --include='*_test.go' '^func Fuzz' schema compiler reconciler workers cmd)
