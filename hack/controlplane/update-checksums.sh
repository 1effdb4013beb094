#!/usr/bin/env bash
# Writes hack/controlplane/checksums from the official lists of checksums, for the
# versions that go.mod pins. Run it after these versions change, and review the new
# checksums before you commit them: build.sh trusts this file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
GOWORK=off exec "${GO:-go}" run ./fetch -update
