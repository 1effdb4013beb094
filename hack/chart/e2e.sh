#!/usr/bin/env bash
# Installs, upgrades, rolls back and uninstalls the chart on the cluster of the
# current kubeconfig, and checks after every step that the operator works and that
# nothing is lost. It refuses a cluster that already has the CRDs or the namespace.
#
#   IMG=apitoken-operator:dev hack/chart/e2e.sh
#
# The nodes must have the image IMG. IMG_BEFORE, if set, is the image before the upgrade.
# KEEP=1 keeps the objects of a failed run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

img=${IMG:?IMG: name the image that the nodes have, for example apitoken-operator:dev}
before=${IMG_BEFORE:-$img}
namespace=${E2E_NAMESPACE:-apitoken-e2e}
team=$namespace-team
release=apitoken-operator
chart=charts/apitoken-operator
crds=(apitokens.apitoken.dev tokenproviders.apitoken.dev clustertokenproviders.apitoken.dev)
go=${GO:-go}
kubectl=${KUBECTL:-kubectl}

older=
helm() { GOWORK=off "$go" tool -modfile=hack/chart/tools/helm/go.mod helm "$@"; }
say() { printf '== %s\n' "$*"; }
fail() { printf 'FAIL: %s\n' "$*" >&2; exit 1; }

# The image by repository and tag, or digest.
image_values() {
  case $1 in
    *@sha256:*) echo "image.repository=${1%@*},image.digest=${1#*@}" ;;
    */*:* | *:*) echo "image.repository=${1%:*},image.tag=${1##*:}" ;;
    *) fail "IMG: $1 has neither a tag nor a digest" ;;
  esac
}

diagnose() {
  $kubectl -n "$namespace" get deployments,pods,events 2>&1 || true
  $kubectl -n "$namespace" logs -l app.kubernetes.io/name=apitoken-operator --tail=40 2>&1 || true
}

clean() {
  local status=$?
  if [ $status != 0 ]; then
    diagnose >&2
    if [ -n "${KEEP:-}" ]; then exit $status; fi
  fi
  trap - EXIT
  set +e # some objects may be deleted already
  [ -z "$older" ] || rm -rf "$older"
  helm uninstall $release -n "$namespace" --ignore-not-found --wait --timeout=2m >/dev/null 2>&1 || true
  # Nothing was issued here, so no finalizer waits for a credential.
  for kind in "${crds[@]}"; do
    $kubectl get "$kind" --all-namespaces -o jsonpath='{range .items[*]}{.metadata.namespace}{" "}{.metadata.name}{"\n"}{end}' 2>/dev/null |
      while read -r first second; do
        args=("$first")
        [ -z "$second" ] || args=(-n "$first" "$second")
        $kubectl patch "$kind" "${args[@]}" --type=merge -p '{"metadata":{"finalizers":null}}' >/dev/null 2>&1 || true
      done
    $kubectl delete crd "$kind" --ignore-not-found --timeout=1m >/dev/null 2>&1 || true
  done
  $kubectl -n "$namespace" patch secret minter --type=merge -p '{"metadata":{"finalizers":null}}' >/dev/null 2>&1 || true
  $kubectl delete namespace "$namespace" "$team" --ignore-not-found --timeout=2m >/dev/null 2>&1 || true
  exit $status
}

for crd in "${crds[@]}"; do
  if $kubectl get crd "$crd" >/dev/null 2>&1; then fail "the CRD $crd is on this cluster: uninstall the operator first, or use another cluster"; fi
done
for name in "$namespace" "$team"; do
  if $kubectl get namespace "$name" >/dev/null 2>&1; then fail "namespace $name is on this cluster: set E2E_NAMESPACE to one that is not"; fi
done
trap clean EXIT

pods() { $kubectl -n "$namespace" get pods -l app.kubernetes.io/name=apitoken-operator "$@"; }

short_names() { $kubectl get crd apitokens.apitoken.dev -o jsonpath='{.spec.names.shortNames[*]}'; }

# works WHAT: the running operator reports on a provider and an ApiToken, with the rights that it has.
works() {
  local name
  name=probe-$(date +%s)
  $kubectl apply -f - >/dev/null <<YAML
apiVersion: apitoken.dev/v1alpha1
kind: ClusterTokenProvider
metadata: {name: $name}
spec:
  credentialsSecretRef: {name: minter}
  allowedNamespaces: {matchLabels: {kubernetes.io/metadata.name: $team}}
  aws: {iamEndpoint: "http://127.0.0.1:9", s3Endpoint: "http://127.0.0.1:9", region: us-east-1}
---
apiVersion: apitoken.dev/v1alpha1
kind: ApiToken
metadata: {name: $name, namespace: $team}
spec:
  providerRef: {kind: ClusterTokenProvider, name: $name}
  scopes: [objectstorage:object-read-only]
  buckets: [datasets]
YAML
  # No server answers at port 9. The reported failure shows that the operator read the Secret and wrote the status.
  $kubectl wait --for=condition=Ready=false "clustertokenprovider/$name" --timeout=90s >/dev/null || fail "$1: the provider got no condition Ready"
  $kubectl -n "$team" wait --for=condition=Ready=false "apitoken/$name" --timeout=90s >/dev/null || fail "$1: the ApiToken got no condition Ready"
  [ "$($kubectl -n "$team" get apitoken "$name" -o jsonpath='{.status.credentials}')" = "" ] || fail "$1: the ledger has an entry without a working provider"
  $kubectl -n "$team" delete apitoken "$name" --timeout=60s >/dev/null || fail "$1: the ApiToken was not deleted"
  $kubectl delete clustertokenprovider "$name" --timeout=60s >/dev/null || fail "$1: the provider was not deleted"
  if $kubectl -n "$namespace" logs -l app.kubernetes.io/name=apitoken-operator --tail=-1 | grep -i forbidden; then fail "$1: a right is missing"; fi
  echo "   works $1: provider and ApiToken checked and deleted, no right missing"
}

# kept WHAT: the first ApiToken is still the same object.
kept() {
  [ "$($kubectl -n "$team" get apitoken first -o jsonpath='{.metadata.uid}')" = "$uid" ] || fail "$1: the ApiToken was replaced"
}

say "install with $before, where only restricted pods may run"
$kubectl create namespace "$namespace" >/dev/null
$kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted >/dev/null
$kubectl create namespace "$team" >/dev/null
$kubectl -n "$namespace" create secret generic minter --from-literal=AWS_ACCESS_KEY_ID=none --from-literal=AWS_SECRET_ACCESS_KEY=none >/dev/null
# An older chart, in which the kind has no short name.
older=$(mktemp -d)
cp -r $chart/. "$older"
sed -i.bak '/^    shortNames:$/,/^    - at$/d' "$older/templates/crd-apitokens.yaml"
rm "$older/templates/crd-apitokens.yaml.bak"
helm install $release "$older" -n "$namespace" --set "$(image_values "$before")" --wait --timeout=3m >/dev/null
[ -z "$(short_names)" ] || fail "the older chart is not older"
$kubectl wait --for=condition=Established --timeout=60s "${crds[@]/#/crd/}" >/dev/null
works "after the install"
# It is suspended, so it only must stay as it is.
$kubectl apply -f - >/dev/null <<YAML
apiVersion: apitoken.dev/v1alpha1
kind: ApiToken
metadata: {name: first, namespace: $team}
spec:
  providerRef: {name: none}
  scopes: [objectstorage:object-read-only]
  buckets: [datasets]
  suspend: true
YAML
uid=$($kubectl -n "$team" get apitoken first -o jsonpath='{.metadata.uid}')
if $kubectl apply -n "$team" --dry-run=server -f - >/dev/null 2>&1 <<YAML
apiVersion: apitoken.dev/v1alpha1
kind: ApiToken
metadata: {name: wrong}
spec: {providerRef: {name: p}, scopes: [objectstorage:object-read-only]}
YAML
then fail "an ApiToken without buckets was accepted"; fi

say "upgrade to $img with two replicas and the CRDs of this chart"
helm upgrade $release $chart -n "$namespace" --set "$(image_values "$img")" --set replicas=2 --wait --timeout=3m >/dev/null
[ "$($kubectl -n "$namespace" get deployment $release -o jsonpath='{.status.readyReplicas}')" = 2 ] || fail "not two replicas are ready"
[ "$($kubectl -n "$namespace" get pdb $release -o jsonpath='{.spec.maxUnavailable}')" = 1 ] || fail "there is no budget for two replicas"
[ "$(short_names)" = at ] || fail "the upgrade did not bring the CRD up to date"
kept "after the upgrade"
works "after the upgrade"

say "the leader is deleted, the standby takes over"
leader=$($kubectl -n "$namespace" get lease -o jsonpath='{.items[0].spec.holderIdentity}')
$kubectl -n "$namespace" delete pod "${leader%%_*}" --wait=false >/dev/null
works "after the change of leader"

say "rollback"
helm rollback $release 1 -n "$namespace" --wait --timeout=3m >/dev/null
$kubectl -n "$namespace" rollout status deployment/$release --timeout=2m >/dev/null
[ "$($kubectl -n "$namespace" get deployment $release -o jsonpath='{.spec.replicas}')" = 1 ] || fail "the rollback left two replicas"
if $kubectl -n "$namespace" get pdb $release >/dev/null 2>&1; then fail "the rollback left the budget"; fi
[ -z "$(short_names)" ] || fail "the rollback left the newer CRD"
kept "after the rollback"
works "after the rollback"

say "a list of namespaces, then all again"
helm upgrade $release $chart -n "$namespace" --set "$(image_values "$img")" --set "namespaces={$team}" --wait --timeout=3m >/dev/null
account=system:serviceaccount:$namespace:$release
if $kubectl auth can-i list secrets --as="$account" -n default >/dev/null; then fail "with a list of namespaces it may read Secrets in default"; fi
$kubectl auth can-i list secrets --as="$account" -n "$team" >/dev/null || fail "with a list of namespaces it may not read Secrets in $team"
works "in a list of namespaces"
helm upgrade $release $chart -n "$namespace" --set "$(image_values "$img")" --wait --timeout=3m >/dev/null
works "in all namespaces again"

say "uninstall: CRDs and ApiTokens stay, and a new install continues with them"
helm uninstall $release -n "$namespace" --wait --timeout=2m >/dev/null
[ -z "$(pods -o name)" ] || $kubectl -n "$namespace" wait --for=delete pod -l app.kubernetes.io/name=apitoken-operator --timeout=2m >/dev/null
kept "after the uninstall"
helm install $release $chart -n "$namespace" --set "$(image_values "$img")" --wait --timeout=3m >/dev/null
kept "after the second install"
works "after the second install"

say "clean up: ApiTokens first, then the release with its CRDs"
$kubectl delete apitokens.apitoken.dev --all --all-namespaces --timeout=1m >/dev/null
helm upgrade $release $chart -n "$namespace" --set "$(image_values "$img")" --set crds.keep=false --wait --timeout=3m >/dev/null
helm uninstall $release -n "$namespace" --wait --timeout=2m >/dev/null
left=$($kubectl get crd,clusterrole,clusterrolebinding -o name | grep -c -e apitoken || true)
[ "$left" = 0 ] || fail "the uninstall left $left objects: $($kubectl get crd,clusterrole,clusterrolebinding -o name | grep apitoken | tr '\n' ' ')"
say "passed"
