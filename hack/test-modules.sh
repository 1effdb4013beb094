#!/usr/bin/env bash
# Runs go test in several modules and writes one stream of JSON events, so that a
# single run of gotestsum sums them all up.
#
#   hack/test-modules.sh "MODULE..." [FLAG...]
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

modules=$1
shift
status=0
for module in $modules; do
  (cd "$module" && "${GO:-go}" test -json "$@" ./...) || status=1
done
# The race detector makes the explorer many times slower, so that it runs few
# schedules there; once more without it, it runs all of them. The detector also
# takes memory, so that how much the operator takes is measured without it.
if [[ " $* " == *" -race "* ]]; then
  flags=()
  for flag in "$@"; do [ "$flag" = -race ] || flags+=("$flag"); done
  "${GO:-go}" test -json "${flags[@]}" ./test/explore ./test/memory || status=1
fi
exit $status
