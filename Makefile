# Everything that people and CI do here. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := $(CURDIR)/bin
export GOTOOLCHAIN := local
export CGO_ENABLED ?= 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

# Tools are pinned here and built from source into bin/.
GOLANGCI_LINT := $(BIN)/golangci-lint-v2.15.0
GOTESTSUM     := $(BIN)/gotestsum-v1.13.0
KUSTOMIZE     := $(BIN)/kustomize-v5.8.2
PROMETHEUS    := $(BIN)/prometheus-v0.316.0
REGISTRY_BIN  := $(BIN)/registry-v3.1.2
GOVULNCHECK   := $(BIN)/govulncheck-v1.9.0
# What is known of weaknesses, as a module: vuln.go.dev may be out of reach.
VULNDB        := v0.0.0-20261105234957-e22db6528018
# The Go that releases are built with: older ones have known weaknesses.
RELEASE_GO    := go1.26.10

# What the tests against real parts find their parts by.
export NAVARCH_LOCALCLUSTER := $(BIN)/localcluster
export NAVARCH_KUSTOMIZE := $(KUSTOMIZE)
export NAVARCH_PROMETHEUS := $(PROMETHEUS)
export NAVARCH_REGISTRY := $(REGISTRY_BIN)
# Where tests leave logs and pictures for people.
export NAVARCH_ARTIFACTS ?= $(CURDIR)/out/artifacts

## The two commands

.PHONY: demo
demo: build members ## run the main job: three clusters, a Git server, the hub and its agents (CONTEXTS="a b": your own clusters)
	@$(BIN)/navarch-demo $(if $(CONTEXTS),--contexts "$(CONTEXTS)")

.PHONY: test
# -count=1: stories build programs, of which the cache of tests knows nothing.
test: lint members $(GOTESTSUM) $(KUSTOMIZE) $(PROMETHEUS) $(REGISTRY_BIN) browser ## pass every test, those against real clusters too
	@cd e2e/localcluster && $(GOTESTSUM) --format pkgname-and-test-fails -- -timeout 15m ./...
	@cd cmd/decrypt && $(GOTESTSUM) --format pkgname-and-test-fails -- -trimpath ./...
	@$(GOTESTSUM) --format pkgname-and-test-fails -- -count=1 -timeout 30m ./...

## Day to day

.PHONY: build
build: ## build navarch, navarch-hub, navarch-agent, navarch-decrypt and the demo into bin/
	@go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/navarch ./cmd/navarch
	@go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/navarch-hub ./cmd/hub
	@go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/navarch-agent ./cmd/agent
	@go build -C cmd/decrypt -trimpath -ldflags '-s -w' -o $(BIN)/navarch-decrypt .
	@go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/navarch-demo ./e2e/demo

.PHONY: images
images: ## build the images for amd64 and arm64 into out/images, without Docker (PUSH=registry.example.com/navarch: and push them)
	@go run ./cmd/images --version '$(VERSION)' --revision "$$(git rev-parse HEAD)" --time "$$(git log -1 --format=%ct)" \
		$(if $(REGISTRY),--registry $(REGISTRY)) $(if $(PUSH),--push $(PUSH))

.PHONY: check
check: lint $(GOTESTSUM) ## pass everything that needs no cluster
	@$(GOTESTSUM) --format pkgname-and-test-fails -- -short ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) ## look for what a reviewer would say first
	@$(GOLANGCI_LINT) run ./...
	@cd e2e/localcluster && $(GOLANGCI_LINT) run --config $(CURDIR)/.golangci.yml ./...
	@cd cmd/decrypt && GOFLAGS=-trimpath $(GOLANGCI_LINT) run --config $(CURDIR)/.golangci.yml ./...

.PHONY: bench
bench: build members ## measure speed and cost on real members, with the floor in the same run (COMPARE=kubectl or ssa: and them, ONLY=one,idle,…)
	@go run ./e2e/bench $(if $(COMPARE),--compare $(COMPARE)) $(if $(ONLY),--only $(ONLY))

.PHONY: chaos
chaos: build members $(KUSTOMIZE) ## kill and cut everything while commits land, and compare with Git (ARGS="--seed 7 --minutes 5")
	@go run ./e2e/chaos $(ARGS)

.PHONY: hostile
hostile: ## an agent, a broker and a repository in the wrong hands, for longer than in `make test` (FLOOD=30s)
	@NAVARCH_FLOOD=$(or $(FLOOD),30s) go test -count=1 -timeout 60m -v ./e2e/hostile

.PHONY: vulncheck
vulncheck: $(GOVULNCHECK) ## look for known weaknesses in what the binaries use (VULNDB_URL=https://vuln.go.dev: not the pinned list, GO=local: with this Go)
	@url=$(VULNDB_URL); if [ -z "$$url" ]; then \
		reports=$$(cd / && go mod download -json golang.org/x/vulndb@$(VULNDB) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/data/osv; \
		go run ./e2e/vulndb "$$reports" $(CURDIR)/out/vulndb; url=file://$(CURDIR)/out/vulndb; fi; \
	export GOTOOLCHAIN=$(or $(GO),$(RELEASE_GO)); \
	$(GOVULNCHECK) -db "$$url" ./cmd/... && cd cmd/decrypt && GOFLAGS=-trimpath $(GOVULNCHECK) -db "$$url" .

.PHONY: vectors
vectors: ## drive the cases of Karmada's own tests (KARMADA_VECTORS: where they are)
	@go test -json -count=1 -run 'Vectors|Karmada' ./fleet ./overlays | awk -f fleet/testdata/vectors.awk

.PHONY: fuzz
fuzz: ## look for input that breaks a decoder, a minute each (FUZZTIME=10m, ONLY=FuzzTrust)
	@unset NAVARCH_LOCALCLUSTER; grep -rl --include='*_test.go' --exclude-dir=bin --exclude-dir=out '^func $(or $(ONLY),Fuzz)' . | xargs -n1 dirname | sort -u | while read -r dir; do \
		grep -ho '^func Fuzz[A-Za-z0-9]*' $$dir/*_test.go | cut -d' ' -f2 | sed -n '/^$(ONLY)/p' | while read -r name; do \
			echo "$$dir $$name"; go test -C $$dir -run '^$$' -fuzz "^$$name$$" -fuzztime $(or $(FUZZTIME),60s) -parallel 1 . </dev/null; done; done

.PHONY: members
members: ## build the parts of a member cluster (minutes the first time, nothing after)
	@e2e/localcluster/build.sh $(BIN)

.PHONY: browser
browser: ## find a Chromium for the dashboard's tests, or install Debian's
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
		|| { echo "the dashboard's tests need Chromium: install it with your package manager" >&2; exit 1; }

.PHONY: clean
clean: ## remove what make built and every local cluster
	@if [ -x $(BIN)/localcluster ]; then for name in $$($(BIN)/localcluster list --quiet); do $(BIN)/localcluster down $$name; done; fi
	@rm -rf $(BIN) out

.PHONY: help
help: ## show this
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(GOLANGCI_LINT):
	@$(call tool,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0,golangci-lint,$@)
$(GOTESTSUM):
	@$(call tool,gotest.tools/gotestsum@v1.13.0,gotestsum,$@)
$(KUSTOMIZE):
	@$(call tool,sigs.k8s.io/kustomize/kustomize/v5@v5.8.2,kustomize,$@)
$(PROMETHEUS): # without the services that it could discover targets by: they are most of it
	@$(call tool,-tags remove_all_sd github.com/prometheus/prometheus/cmd/prometheus@v0.316.0,prometheus,$@)
$(GOVULNCHECK):
	@$(call tool,golang.org/x/vuln/cmd/govulncheck@v1.9.0,govulncheck,$@)

$(REGISTRY_BIN):
	@$(call tool,github.com/distribution/distribution/v3/cmd/registry@v3.1.2,registry,$@)

define tool
echo "building $(2)"; dir=$$(mktemp -d); GOBIN=$$dir go install -ldflags '-s -w' $(1); mkdir -p $(BIN); mv $$dir/$(2) $(3); rmdir $$dir
endef
