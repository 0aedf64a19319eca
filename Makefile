# camfleet: `make demo` shows it, `make test` proves it. Both install what they
# need from Debian's packages when it is missing (root or sudo).
SHELL      := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO         ?= go
BUILD      := CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
GOLDEN     := ./compiler ./compiler/internal/render ./schema ./cmd/camfleet ./cmd/camfleet/internal/example
CLUSTER    := ./hack/cptest ./hack/manifests ./hack/applied ./hack/fleettest ./reconciler/cluster/... ./reconciler/control/...
LISTEN     ?= 127.0.0.1:8080
DIR        ?= demo
CAMERAS    ?= 1000

.DEFAULT_GOAL := help
.PHONY: cluster controlplane image fuzz help e2e demo test build check bench soak fmt lint page golden setup unit

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

build: ## build bin/camfleet and bin/camfleet-worker
	$(BUILD) -o bin/camfleet ./cmd/camfleet
	$(BUILD) -o bin/camfleet-worker ./cmd/camfleet-worker

demo: build ## run the example fleet on this machine: http://127.0.0.1:8080
	bin/camfleet demo --listen $(LISTEN) --dir $(DIR)

test: setup lint page golden controlplane unit cluster e2e ## everything: lint, generated files, all tests with -race
	@echo "make test: all passed"

setup: ## install what the tests need from Debian packages, when missing
	hack/setup.sh

lint: ## gofmt, go vet, staticcheck, cue fmt: warnings are errors
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt these files (make fmt):"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) tool cue fmt --check schema/*.cue
	cd sites && $(GO) tool cue fmt --check ./...
	$(GO) mod tidy -diff

golden: ## regenerate golden files; a difference is an error
	hack/unchanged.sh "golden files" compiler schema sites cmd -- \
		$(GO) test $(GOLDEN) -count=1 -run 'Golden|Generated|ExampleHasThisSchema' -update

page: ## bundle the page's assets again from hack/page; a difference is an error
	cd hack/page && npm ci --no-audit --no-fund --loglevel=error && npm test --silent
	hack/unchanged.sh "the page's files" compiler/page/assets -- npm --prefix hack/page run --silent build

controlplane: ## build the Kubernetes that tests start, when missing (minutes the first time)
	hack/controlplane/build.sh
	hack/realnode/build.sh

cluster: setup controlplane ## what runs against a real Kubernetes API; two at a time, each has a control plane of its own
	CAMFLEET_CONTROLPLANE=require $(GO) test -race -p 2 -count=1 -timeout 30m $(CLUSTER)

unit: ## all Go tests but e2e and cluster, with the race detector
	CAMFLEET_CONTROLPLANE=off $(GO) test -race -timeout 30m $$($(GO) list ./... | grep -vE '/hack/(e2e|realnode)')

e2e: setup controlplane ## the demo, and a fleet on two real nodes, in a real browser; alone, because it measures latency
	$(GO) test -count=1 -timeout 20m -v ./hack/e2e 2>&1 | grep -vE '^(=== |        |    demo_test)'
	CAMFLEET_CONTROLPLANE=require $(GO) test -count=1 -timeout 30m -v -p 1 ./hack/realnode/... 2>&1 | grep -vE '^=== '

image: ## build the image for all platforms: camfleet.tar, and IMAGE=HOST/NAME:TAG pushes it
	$(GO) run ./hack/image/cmd --version $(VERSION) --output camfleet.tar $(if $(IMAGE),--push $(IMAGE)) $(if $(INSECURE),--insecure)

check: build ## check the example fleet
	bin/camfleet check sites

bench: setup build controlplane ## recording and day files beside ffmpeg, the reconciler beside kubectl, each in the same run
	$(GO) run ./hack/bench --worker bin/camfleet-worker
	CAMFLEET_CONTROLPLANE=require CAMFLEET_BENCH=$(CAMERAS) $(GO) test -count=1 -timeout 60m -run TestBench ./hack/fleettest

fuzz: ## every fuzz target for 20 seconds
	hack/fuzz.sh 20s

soak: setup build controlplane ## the kill and crash tests at full length
	CAMFLEET_SWEEP=1 $(GO) test -race -count=3 -timeout 60m -run 'Kill|Fault|Crash' ./workers/... ./reconciler/...
	CAMFLEET_CONTROLPLANE=require CAMFLEET_SWEEP=1 $(GO) test -count=1 -timeout 30m -p 1 ./hack/fleettest ./hack/realnode/story

fmt: ## format Go and CUE
	gofmt -w $$(git ls-files '*.go')
	$(GO) tool cue fmt schema/*.cue
	cd sites && $(GO) tool cue fmt ./...
