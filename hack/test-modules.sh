#!/usr/bin/env bash
# Runs go test in several modules and writes one stream of JSON events, so that one run of
# gotestsum summarizes all of them.
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
# The race detector makes the explorer many times slower, so the explorer runs few schedules
# with it. The second run, without it, runs all of them. The race detector also uses memory,
# so test/memory measures the operator without it.
if [[ " $* " == *" -race "* ]]; then
  flags=()
  for flag in "$@"; do [ "$flag" = -race ] || flags+=("$flag"); done
  "${GO:-go}" test -json "${flags[@]}" ./test/explore ./test/memory || status=1
fi
exit $status
