# make help lists the targets. Go, make, git and bash are enough; make test also needs a
# C compiler for the race detector, and make lint for vale.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# project returns a value of hack/project.env, the only place that defines it.
project = $(shell sed -n 's/^$(1)=//p' hack/project.env)
# IMAGE is the repository of the operator's image, without a tag.
IMAGE ?= $(call project,IMAGE)
# IMG is the image that image and docker-build build, and deploy installs.
IMG ?= $(IMAGE):dev
# EXPLORE_FOR is the duration of make explore.
EXPLORE_FOR ?= 10m
# RACE= runs the tests without the race detector, where there is no C compiler.
RACE ?= -race
TEST_TIMEOUT ?= 20m

# Modules with tests of their own, and all modules.
MODULES := . hack/controlplane $(patsubst %/go.mod,%,$(wildcard test/e2e/go.mod))
ALL_MODULES := $(MODULES) $(patsubst %/go.mod,%,$(wildcard hack/tools/*/go.mod))

# Modules that test with the libraries of the programs around the operator, and build the
# files of a release. They are large, and not part of make test.
ECOSYSTEM_MODULES := $(patsubst %/go.mod,%,$(wildcard test/gitops/go.mod hack/monitoring/go.mod hack/chart/go.mod hack/docs/*/go.mod hack/release/go.mod))
# RUNBOOKS is the folder or the address with the pages of the alerts.
RUNBOOKS ?= $(call project,RUNBOOKS)

# Each tool has a module that pins it; the first use compiles it.
tool = $(GO) tool -modfile=$(CURDIR)/hack/tools/$(1)/go.mod $(1)
CONTROLLER_GEN = $(call tool,controller-gen)
GOLANGCI_LINT = $(call tool,golangci-lint)
GOTESTSUM = $(call tool,gotestsum)
GOVULNCHECK = $(call tool,govulncheck)
VALE = $(call tool,vale)

# The machine's kubectl, or else one of the control plane's version.
KUBECTL ?= $(or $(shell command -v kubectl),$(shell hack/controlplane/build.sh kubectl)/kubectl)

# The control plane that tests use. The recipe fails if it can be neither downloaded nor built.
use_controlplane = KUBEBUILDER_ASSETS="$$(hack/controlplane/build.sh)"; export KUBEBUILDER_ASSETS

# A flag for a variable that is set, and not to 0, no or false.
flag = $(if $(filter-out 0 no false,$($(1))),$(2))

##@ General

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN { FS = ":.*## "; print "Usage: make TARGET" } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: clean
clean: ## Remove what was built here, except the control plane, which is in the user's cache.
	rm -rf bin

##@ See it work

.PHONY: demo
demo: ## Watch a token being minted, used, rotated and revoked on real servers; KEEP=1 leaves them running, CRASH=1 adds crashes.
	@$(use_controlplane); \
	echo "building bin/manager and bin/demo (a few minutes the first time)" >&2; \
	$(MAKE) -s build; \
	(cd test/e2e && CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o ../../bin/demo ./cmd/demo); \
	exec bin/demo -manager bin/manager $(call flag,KEEP,-keep) $(call flag,CRASH,-crash)

.PHONY: bench
bench: ## Mint 500 tokens through a real API server and print the cost of each.
	@$(use_controlplane); $(GO) run ./test/bench

.PHONY: bench-fairness
bench-fairness: ## Measure how long one namespace waits while others load the operator, and print a table.
	@$(use_controlplane); $(GO) run ./test/bench -fairness

##@ Develop

.PHONY: generate
generate: ## Generate the DeepCopy methods of the kinds, and the rules that name every driver block.
	$(GO) test ./api/v1alpha1 -run TestDriverRulesNameEveryBlock -update
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt paths=./api/...

.PHONY: manifests
manifests: ## Generate the CRDs and the operator's ClusterRole from the markers in the code.
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:dir=config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=apitoken-operator paths=./controllers/... output:rbac:dir=config/rbac
	cd hack/chart && $(GO) run ./crds

.PHONY: docs
docs: ## Write the field reference of the kinds, and render the documents into bin/docs.
	$(GO) run ./hack/docs/reference
	cd hack/docs/site && $(GO) run .

.PHONY: docs-look
docs-look: docs ## Check the rendered documents in Chromium, at two widths and in both themes.
	cd hack/docs/site && $(GO) run ./look

.PHONY: project
project: ## Write the values of hack/project.env (address of the repository, contact, ...) into the documents.
	$(GO) run ./hack/project

.PHONY: fmt
fmt: ## Format the code.
	@for module in $(MODULES); do (cd $$module && $(GOLANGCI_LINT) fmt --config $(CURDIR)/.golangci.yml ./...); done

.PHONY: vet
vet: ## Run go vet.
	@for module in $(MODULES); do (cd $$module && $(GO) vet ./...); done

.PHONY: build
build: ## Build bin/manager, a static binary.
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/manager ./cmd/manager

.PHONY: plugin
plugin: ## Build bin/kubectl-apitoken, the kubectl plugin, and the link that completes its command line.
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/kubectl-apitoken ./cmd/kubectl-apitoken
	ln -sf kubectl-apitoken bin/kubectl_complete-apitoken

##@ Check

.PHONY: test
test: race-detector ## Run all tests of all modules, on a real API server.
	@$(use_controlplane); export GO="$(GO)"; \
	$(GOTESTSUM) --format pkgname --format-hide-empty-pkg --raw-command -- \
	  hack/test-modules.sh "$(MODULES)" $(RACE) -timeout $(TEST_TIMEOUT) $(TESTFLAGS)

.PHONY: race-detector
race-detector:
	@if [ -n "$(RACE)" ] && ! command -v "$$($(GO) env CC | cut -d' ' -f1)" >/dev/null; then \
	  echo "The race detector needs a C compiler: install gcc, or run without it: make test RACE=" >&2; exit 1; fi

# vale parses Go with a C library.
.PHONY: c-compiler
c-compiler:
	@command -v "$$($(GO) env CC | cut -d' ' -f1)" >/dev/null || { echo "vale needs a C compiler: install gcc" >&2; exit 1; }

.PHONY: explore
explore: ## Search crashes and interleavings of the reconciler for EXPLORE_FOR (10m).
	$(GO) test ./test/explore -run TestInvariantsHoldInRandomSchedules -explore.deep=$(EXPLORE_FOR) -timeout 0 -v

.PHONY: conformance
conformance: ## Run the driver contract against every driver that needs no real server, and print the requirements that each passed.
	@$(GO) test ./internal/provider/... ./test/support/fake -run '^TestConformance' -json | $(GO) run ./hack/conformance

.PHONY: lint
lint: c-compiler ## Run golangci-lint on all modules, and vale on documents, comments and messages.
	@status=0; echo "lint the wording (make vale)"; $(VALE) --output=line --glob='!bin/**' . || status=1; \
	for module in $(MODULES); do \
	  echo "lint $$module"; (cd $$module && $(GOLANGCI_LINT) run --config $(CURDIR)/.golangci.yml ./...) || status=1; \
	done; exit $$status

# DIR is the file or the folder to check the wording of.
DIR ?=

.PHONY: vale
vale: c-compiler ## Count the findings of the wording rules per folder; DIR=internal/plan lists those of a folder.
	@{ $(VALE) --output=line --glob='!bin/**' $(or $(DIR),.) || [ $$? -eq 1 ]; } | \
	if [ -n "$(DIR)" ]; then cat; else \
	  awk -F: '{ sub(/\/?[^\/]*$$/, "", $$1); n[$$1 == "" ? "." : $$1]++ } END { for (d in n) printf "%6d  %s\n", n[d], d }' | sort -k2; fi

.PHONY: verify
verify: ## Check that generated files, go.mod files, manifests and documents are current.
	@CONTROLLER_GEN="$(CONTROLLER_GEN)" GO="$(GO)" hack/verify.sh $(ALL_MODULES)

.PHONY: chart
chart: ## Generate the chart's CRDs and values table, and test the chart.
	cd hack/chart && $(GO) generate .
	@$(use_controlplane); cd hack/chart && $(GO) test ./... -timeout $(TEST_TIMEOUT)

.PHONY: verify-ecosystem
verify-ecosystem: ## Test chart, alerts, Argo CD and Flux, documents and release with the libraries of the programs that read them.
	@$(use_controlplane); status=0; for module in $(ECOSYSTEM_MODULES); do \
	  echo "== $$module"; \
	  (cd $$module && $(GO) mod tidy -diff && $(GO) test -timeout 30m ./... && \
	    $(GOLANGCI_LINT) run --config $(CURDIR)/.golangci.yml ./...) || { echo "FAIL $$module"; status=1; }; \
	done; exit $$status

.PHONY: monitoring
monitoring: ## Generate the alerts and the dashboard of the chart.
	cd hack/monitoring && $(GO) run . -runbooks $(RUNBOOKS)

.PHONY: gitops
gitops: ## Test health, drift, sync waves and pruning with the libraries of Argo CD and Flux.
	@GO="$(GO)" test/gitops/test.sh

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in the code that is called (asks vuln.go.dev).
	$(GOVULNCHECK) ./...

.PHONY: controlplane
controlplane: ## Download or build etcd, kube-apiserver and kube-controller-manager, and print their folder.
	@hack/controlplane/build.sh

##@ Release

# REGISTRY is the registry for a release, with an optional path. The image there is
# apitoken-operator, and the chart charts/apitoken-operator.
REGISTRY ?=
# COSIGN_KEY is the file with the private key that signs a release; COSIGN_PASSWORD decrypts it.
COSIGN_KEY ?=

.PHONY: release
release: ## Make the files of a release for REGISTRY in bin/release: binaries, image, chart, manifests, bills of materials, checksums.
	cd hack/release && $(GO) run . -image $(if $(REGISTRY),$(REGISTRY)/apitoken-operator,$(IMAGE)) $(if $(filter command line environment,$(origin VERSION)),-version $(VERSION))

.PHONY: release-push
release-push: ## Push the image, the chart and the bills of materials in bin/release to REGISTRY, signed with COSIGN_KEY.
	$(if $(REGISTRY),,$(error REGISTRY: name the registry that the release was made for, for example registry.example.com/team))
	cd hack/release && $(GO) run . -push $(REGISTRY) -key "$(abspath $(COSIGN_KEY))"

.PHONY: release-check
release-check: ## Make the release twice, for all platforms and with an empty build cache, and compare.
	cd hack/release && $(GO) test . -run TestReleaseIsReproducible -release.all -release.fresh -timeout 0

##@ Run on a cluster (the current kubeconfig)

.PHONY: install
install: ## Install the CRDs.
	$(KUBECTL) apply --server-side -k config/crd
	$(KUBECTL) wait --for=condition=Established --timeout=60s -f config/crd/bases

.PHONY: uninstall
uninstall: ## Remove the CRDs and all ApiTokens; a running operator revokes their credentials first.
	$(KUBECTL) delete --ignore-not-found -k config/crd

.PHONY: run
run: ## Run the operator here, against the cluster; flags go into ARGS.
	POD_NAMESPACE="$${POD_NAMESPACE:-apitoken-system}" $(GO) run ./cmd/manager $(ARGS)

# PLATFORM is the platform of the nodes.
PLATFORM ?= linux/$(shell $(GO) env GOARCH)

.PHONY: image
image: ## Build the image IMG for PLATFORM into bin/image.tar, without Docker; docs/getting-started.md shows how to load it on the nodes.
	@mkdir -p bin
	CGO_ENABLED=0 GOOS=linux GOARCH=$(lastword $(subst /, ,$(PLATFORM))) $(GO) build -trimpath -buildvcs=false \
	  -ldflags "-s -w -buildid= -X main.version=$(VERSION)" -o bin/manager.linux ./cmd/manager
	cd hack/release && $(GO) run ./cmd/image -name $(IMG) -platform $(PLATFORM) -out ../../bin/image.tar /manager=../../bin/manager.linux
	@echo "bin/image.tar contains the image $(IMG) for $(PLATFORM)"

.PHONY: docker-build
docker-build: ## Build the image IMG with Docker.
	docker build --build-arg VERSION=$(VERSION) -t $(IMG) .

.PHONY: deploy
deploy: ## Install namespace, CRDs, roles and the operator with the image IMG.
	$(KUBECTL) apply --server-side -k config/setup
	$(KUBECTL) wait --for=condition=Established --timeout=60s -f config/crd/bases
	$(KUBECTL) kustomize config/default | sed 's|image: apitoken-operator:dev|image: $(IMG)|' | $(KUBECTL) apply --server-side -f -

.PHONY: e2e
e2e: e2e-pages e2e-chart ## Run e2e-pages and e2e-chart on the current kubeconfig's cluster, on which the operator is not installed.

.PHONY: e2e-pages
e2e-pages: ## Follow getting started and uninstall as a reader does, twice, and print the times; LOAD=kind, minikube or ctr.
	GO=$(GO) test/e2e/pages.sh

.PHONY: e2e-chart
e2e-chart: ## Install, upgrade, roll back and uninstall the chart with the image IMG, which must be on the nodes.
	IMG=$(IMG) GO=$(GO) KUBECTL=$(KUBECTL) hack/chart/e2e.sh

.PHONY: undeploy
undeploy: ## Remove everything that deploy installed. ApiTokens are removed first, so that their credentials are revoked.
	$(KUBECTL) delete apitokens.apitoken.dev --all --all-namespaces --timeout=5m
	$(KUBECTL) delete tokenproviders.apitoken.dev --all --all-namespaces --timeout=1m
	$(KUBECTL) delete clustertokenproviders.apitoken.dev --all --timeout=1m
	$(KUBECTL) delete --ignore-not-found -k config/default
	$(KUBECTL) delete --ignore-not-found -k config/setup
