#!/usr/bin/env bash
# Follows docs/getting-started.md and docs/tasks/uninstall.md as a reader does, on the
# cluster of the current kubeconfig, with an object store on this machine. Twice: once it
# uninstalls in the right order, once the operator's namespace is deleted first. It checks
# that the key works, and at the end that no key is live and nothing is left, and prints
# how long each part took.
#
#   LOAD=ctr test/e2e/pages.sh
#
# LOAD is how the image gets to the nodes: kind, minikube or ctr, which is guessed when it
# is not set. STORE_HOST is the address of this machine that pods reach; the one that it
# reaches the first node from, when it is not set. Needs jq and the AWS command line. The clone
# has what is committed here. KEEP=1 leaves a failed run as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
unset IMG IMAGE VERSION PLATFORM

go=${GO:-go}
namespace=apitoken-system
start_page=$root/docs/getting-started.md
end_page=$root/docs/tasks/uninstall.md
user_image=$(sed -n 's/^ *image: \(peakcom.s5cmd:.*\)$/\1/p' "$start_page")
bucket=datasets
object=hello.txt
work=$(mktemp -d)
store=

say() { printf '== %s\n' "$*"; }
fail() { printf 'FAIL: %s\n' "$*" >&2; exit 1; }
nothing_left() { [ -z "$(kubectl get crd,clusterrole,clusterrolebinding -o name | grep apitoken; kubectl get namespace $namespace ml --ignore-not-found -o name)" ]; }

diagnose() {
  kubectl -n $namespace get deployments,pods,events
  kubectl -n $namespace logs -l app.kubernetes.io/name=apitoken-operator --tail=40
  kubectl get apitokens,tokenproviders,clustertokenproviders --all-namespaces
  kubectl -n ml get pods,events
}

stop_store() {
  [ -z "$store" ] || { kill "$store" && wait "$store"; } 2>/dev/null || true
  store=
}

clean() {
  local status=$?
  trap - EXIT
  if [ $status != 0 ]; then
    diagnose >&2 2>&1 || true
    [ -z "${KEEP:-}" ] || { printf 'kept: %s\n' "$work" >&2; exit $status; }
    remove_by_force >/dev/null 2>&1 || true
  fi
  stop_store
  rm -rf "$work"
  exit $status
}

# The store ends with the run, and so do all credentials: finalizers have nothing to wait
# for. The operator goes first, which would put them back.
remove_by_force() {
  local kind name in secret
  kubectl -n $namespace delete deployment apitoken-operator --ignore-not-found --timeout=30s
  kubectl -n $namespace wait pod -l app.kubernetes.io/name=apitoken-operator --for=delete --timeout=2m
  kubectl delete --ignore-not-found --wait=false namespace $namespace ml
  kubectl get crd -o name | grep apitoken | xargs -r kubectl delete --wait=false
  for kind in apitokens tokenproviders clustertokenproviders; do
    kubectl get $kind.apitoken.dev --all-namespaces -o jsonpath='{range .items[*]}{.metadata.name}{" "}{.metadata.namespace}{"\n"}{end}' |
      while read -r name in; do
        kubectl ${in:+-n "$in"} patch $kind.apitoken.dev "$name" --type=merge -p '{"metadata":{"finalizers":null}}' </dev/null
      done
  done
  for in in $namespace ml; do
    kubectl -n "$in" get secrets -o name | while read -r secret; do
      kubectl -n "$in" patch "$secret" --type=merge -p '{"metadata":{"finalizers":null}}' </dev/null
    done
  done
  kubectl get clusterrole,clusterrolebinding -o name | grep apitoken | xargs -r kubectl delete --timeout=1m
  kubectl wait --for=delete namespace/$namespace namespace/ml --timeout=2m
}

# page FILE ARGUMENT...: the commands of a part of a page.
page() { "$work/blocks" -page "$@"; }

# The blocks of the page that this reader does not follow, as -skip arguments.
others() {
  local begin
  for begin in "kind load" "minikube image" "ctr -n" "IMG="; do
    [ "$begin" = "$loader" ] || printf '%s\n' -skip "$begin"
  done
}

# read_on DIRECTORY: follows commands from standard input there, in a shell of its own.
read_on() {
  cat >"$work/script"
  (cd "$1" && AWS_ACCESS_KEY_ID=$STORE_KEY_ID AWS_SECRET_ACCESS_KEY=$STORE_SECRET AWS_DEFAULT_OUTPUT=json \
    IAM_ENDPOINT=$STORE_IAM REGION=$STORE_REGION \
    bash -euo pipefail "$work/script") >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; fail "a command of the page failed"; }
}

start_store() {
  rm -f "$work/env"
  "$work/store" -host "$host" -bucket $bucket -object $object -env "$work/env" &
  store=$!
  for _ in $(seq 150); do
    [ ! -f "$work/env" ] || break
    kill -0 $store 2>/dev/null || fail "the store did not start"
    sleep 0.2
  done
  # shellcheck source=/dev/null
  source "$work/env"
}

# The key in the Secret, as KEY_ID and its secret in KEY.
read_key() {
  KEY_ID=$(kubectl -n ml get secret training-data -o jsonpath='{.data.AWS_ACCESS_KEY_ID}' | base64 -d)
  KEY=$(kubectl -n ml get secret training-data -o jsonpath='{.data.AWS_SECRET_ACCESS_KEY}' | base64 -d)
}

# use ID SECRET: lists the bucket with a key, from here.
use() {
  AWS_ACCESS_KEY_ID=$1 AWS_SECRET_ACCESS_KEY=$2 AWS_REGION=$STORE_REGION "$work/s5cmd" --retry-count 0 --endpoint-url "$STORE_S3" ls "s3://$bucket/" 2>&1
}

# The users of the store: the minting user, and those that the operator made.
users() {
  AWS_ACCESS_KEY_ID=$STORE_KEY_ID AWS_SECRET_ACCESS_KEY=$STORE_SECRET aws --endpoint-url "$STORE_IAM" --region "$STORE_REGION" \
    iam list-users --query 'Users[].[UserName]' --output text
}

# to_a_key: from nothing to a key that works. Its time is in took.
to_a_key() {
  local began=$SECONDS skip
  mapfile -t skip < <(others)
  page "$start_page" -section "1. Build the image" -section "2. Bring the image to the nodes" -section "3. Install the operator" \
    -section "At another store" -section "5. Declare the access" -section "6. See the key work" "${skip[@]}" \
    -set REPOSITORY="$root" -set IAM_ENDPOINT="$STORE_IAM" -set S3_ENDPOINT="$STORE_S3" -set REGION="$STORE_REGION" -set BUCKET=$bucket |
    read_on "$1"
  took=$((SECONDS - began))
  grep -q " $object\$" "$work/log" || fail "the Job did not list $object: $(tail -n 3 "$work/log")"
  read_key
  use "$KEY_ID" "$KEY" | grep -q "$object" || fail "the key in the Secret does not work"
  users | grep -qvx apitoken-operator || fail "the store does not list the user of the key"
}

# ended ID SECRET...: no key works any more, and nothing is left.
ended() {
  local answer
  [ -z "$(users)" ] || fail "users are left at the store: $(users)"
  while [ $# -gt 0 ]; do
    if answer=$(use "$1" "$2"); then fail "a key works after the end"; fi
    grep -q InvalidAccessKeyId <<<"$answer" || fail "a key is refused for another reason: $answer"
    shift 2
  done
  kubectl wait --for=delete namespace/$namespace namespace/ml --timeout=2m >/dev/null
  nothing_left || fail "left on the cluster: $(kubectl get crd,clusterrole,clusterrolebinding,namespace -o name | grep apitoken | tr '\n' ' ')"
}

for program in kubectl aws git make jq; do command -v $program >/dev/null || fail "$program is needed"; done
nothing_left || fail "this cluster has the operator, its kinds or the namespace ml: take another"
trap clean EXIT
case ${LOAD:-$(kubectl config current-context)} in
  kind*) loader="kind load" ;;
  minikube*) loader="minikube image" ;;
  *) loader="ctr -n" ;;
esac
host=${STORE_HOST:-}
node=$(kubectl get nodes -o jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}')

say "build the store, s5cmd and what reads the pages"
(cd test/e2e && "$go" build -o "$work/store" ./cmd/store)
(cd hack/docs/commands && "$go" build -o "$work/blocks" ./cmd/blocks)
(cd hack/tools/s5cmd && CGO_ENABLED=0 "$go" build -trimpath -ldflags "-s -w" -o "$work/s5cmd" github.com/peak/s5cmd/v2)
[ -n "$host" ] || host=$("$work/store" -towards "$node")

# The image of the example, for clusters that cannot fetch it.
mapfile -t skip < <(others)
mkdir "$work/bin"
(cd hack/release && "$go" run ./cmd/image -name $user_image -out "$work/bin/image.tar" "/s5cmd=$work/s5cmd")
(cd "$work" && page "$start_page" -section "2. Bring the image to the nodes" "${skip[@]}" | bash -euo pipefail) >/dev/null

say "first run: uninstalled in the right order"
start_store
mkdir "$work/first" "$work/second"
to_a_key "$work/first"
printf '   %4d s from a clone to a key that works\n' $took
old=("$KEY_ID" "$KEY")
page "$start_page" -section "7. See it rotate" | read_on "$work/first/apitoken-operator"
read_key
[ "$KEY_ID" != "${old[0]}" ] || fail "the key was not replaced"
page "$root/docs/audit.md" -section "Ship the lines" | read_on "$work/first/apitoken-operator"
grep -q "\"found\":\"Rotated\".*\"keyID\":\"${old[0]}\"" "$work/log" || fail "the audit trail does not say that ${old[0]} was rotated"
began=$SECONDS
{ page "$end_page" -section "In the right order" -skip "kubectl -n ml patch"; page "$start_page" -section "8. Remove everything"; } |
  read_on "$work/first/apitoken-operator"
printf '   %4d s to remove everything\n' $((SECONDS - began))
ended "${old[@]}" "$KEY_ID" "$KEY"
stop_store

say "second run: the namespace is deleted first"
start_store
to_a_key "$work/second"
printf '   %4d s from a clone to a key that works\n' $took
kubectl delete namespace $namespace --wait=false >/dev/null
kubectl -n $namespace wait pod -l app.kubernetes.io/name=apitoken-operator --for=delete --timeout=3m >/dev/null
use "$KEY_ID" "$KEY" >/dev/null || fail "the key was revoked without the operator"
began=$SECONDS
{ page "$end_page" -section "The operator is gone already"; page "$start_page" -section "8. Remove everything"; } |
  read_on "$work/second/apitoken-operator"
printf '   %4d s to remove everything\n' $((SECONDS - began))
ended "$KEY_ID" "$KEY"
say "passed"
