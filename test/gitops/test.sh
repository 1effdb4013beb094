#!/usr/bin/env bash
# Tests health, drift, sync waves and pruning on a real API server, with the libraries
# that Argo CD and Flux run. The first run compiles them: some minutes.
#
#   test/gitops/test.sh [FLAG...]    # -update records the statuses of the operator again
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

KUBEBUILDER_ASSETS=$(../../hack/controlplane/build.sh)
export KUBEBUILDER_ASSETS
exec "${GO:-go}" test -timeout 15m ./... "$@"
