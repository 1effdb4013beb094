#!/usr/bin/env bash
# Fails when a file that is generated, or that must agree with the code, is not current.
# The generators write into a temporary directory, and their output is compared.
#
#   hack/verify.sh MODULE...
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

go=${GO:-go}
controller_gen=${CONTROLLER_GEN:-$go tool -modfile=hack/tools/controller-gen/go.mod controller-gen}
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
failed=()

step() { # what, command...
  local what=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "ok    $what"
    return
  fi
  echo "FAIL  $what"
  printf '%s\n' "$output" | head -n 60 | sed 's/^/      /'
  failed+=("$what")
}

deepcopy() { # package
  mkdir -p "$fresh/$1"
  $controller_gen object:headerFile=hack/boilerplate.go.txt paths="./$1" output:object:dir="$fresh/$1" &&
    diff -u "$1/zz_generated.deepcopy.go" "$fresh/$1/zz_generated.deepcopy.go"
}

crds() {
  $controller_gen crd paths=./api/... output:crd:dir="$fresh/crd" && diff -ru config/crd/bases "$fresh/crd"
}

# config/crd must install every CRD.
crd_list() {
  diff <(cd config/crd && ls bases/*.yaml) <(sed -n 's/^- \(bases\/.*\)$/\1/p' config/crd/kustomization.yaml | sort)
}

rbac() {
  $controller_gen rbac:roleName=apitoken-operator paths=./controllers/... output:rbac:dir="$fresh/rbac" &&
    diff -u config/rbac/role.yaml "$fresh/rbac/role.yaml"
}

manifests() {
  local kubectl
  kubectl=$(command -v kubectl) || kubectl=$(hack/controlplane/build.sh kubectl)/kubectl || return 1
  "$kubectl" kustomize config/default >/dev/null && "$kubectl" kustomize config/setup >/dev/null || return 1
  local component overlay
  for component in config/components/*/; do
    overlay="$fresh/${component//\//-}"
    mkdir -p "$overlay"
    printf 'resources: [%s]\ncomponents: [%s]\n' "$(realpath --relative-to="$overlay" config/default)" \
      "$(realpath --relative-to="$overlay" "$component")" >"$overlay/kustomization.yaml"
    "$kubectl" kustomize --load-restrictor LoadRestrictionsNone "$overlay" >/dev/null || return 1
  done
}

# A tag can move to other bytes; a digest cannot.
pinned() {
  ! grep -nE '^FROM ' Dockerfile | grep -vE '@sha256:[0-9a-f]{64}( |$)'
}

# Code that only tests use is in test/.
linked() {
  local unused
  unused=$(comm -23 <("$go" list ./internal/... ./controllers/... | sort) <("$go" list -deps ./cmd/... | sort))
  [ -z "$unused" ] || { echo "neither binary links these packages: delete them, or move what tests need to test/"; echo "$unused"; return 1; }
}

tidy() { (cd "$1" && GOWORK=off "$go" mod tidy -diff); }

for package in api/*/; do
  step "DeepCopy methods in $package (make generate)" deepcopy "${package%/}"
done
step "CRDs in config/crd/bases (make manifests)" crds
step "CRDs listed in config/crd/kustomization.yaml" crd_list
step "rights in config/rbac/role.yaml (make manifests)" rbac
step "config/setup renders, and config/default, alone and with each component" manifests
step "base images in Dockerfile have a digest" pinned
for module in "$@"; do
  step "$module/go.mod (go mod tidy)" tidy "$module"
done
step "capabilities in docs/providers/README.md (go run ./hack/capabilities)" "$go" run ./hack/capabilities -check
step "fields in docs/kinds (go run ./hack/docs/reference)" "$go" run ./hack/docs/reference -check
step "CRDs in charts/apitoken-operator (make manifests)" bash -c "cd hack/chart && GOWORK=off '$go' run ./crds -check"
step "only internal/ledger changes a ledger, only internal/plan decides, and files use only those after them" "$go" run ./hack/verifyledger ./controllers/... ./internal/... ./cmd/...
step "both binaries together link all of internal/ and controllers/" linked
step "values of hack/project.env in documents (make project)" "$go" run ./hack/project -check
step "paths, make targets and links in documents" "$go" run ./hack/verifydocs

if [ ${#failed[@]} -gt 0 ]; then
  echo "${#failed[@]} not current" >&2
  exit 1
fi
