#!/usr/bin/env bash
# Writes hack/controlplane/checksums from the official lists of checksums, for the
# versions that go.mod pins. Run it after these versions change; review the change
# before it is committed: build.sh trusts what this file says.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
GOWORK=off exec "${GO:-go}" run ./fetch -update
