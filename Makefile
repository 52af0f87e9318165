# weir's tasks. `make help` lists them. Building needs Go, make and git; what else a
# task needs is said where it is missing, and .ci/run installs all of it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# Static, so that one binary runs on every host and in every container.
export CGO_ENABLED := 0

# The tag, or the commit where there is none.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION)
PREFIX  ?= /usr/local
DESTDIR ?=

# Which packages `make test` and others look at.
PKGS ?= ./...
# Privileged tests watch the whole host: one package at a time, and never a
# remembered result, where they run.
TESTFLAGS ?= $(if $(filter 0,$(shell id -u)),-p 1 -count=1)

CLANG_FORMAT ?= clang-format-19
SHELL_FILES  := .ci/run .ci/generate-check .ci/fuzz .ci/reproducible
C_FILES       = $(filter-out %/vmlinux.h,$(wildcard bpf/c/*.[ch] bpf/c/*/*.[ch]))

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 25

.PHONY: build
build: ## build bin/weir, static
	go build -trimpath -ldflags "$(LDFLAGS)" -o bin/weir ./cmd/weir

.PHONY: demo
demo: build ## start a shop of real programs in containers and watch it (as root; DEMO="--no-docker" …)
	@go build -trimpath -ldflags "$(LDFLAGS)" -o bin/weir-demo ./cmd/weir-demo
	@exec bin/weir-demo $(DEMO)

.PHONY: install
install: build ## install weir, its completions, its manual and its systemd unit under PREFIX (/usr/local)
	install -D -m 0755 bin/weir $(DESTDIR)$(PREFIX)/bin/weir
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d $(DESTDIR)$(PREFIX)/share/man/man1
	bin/weir completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/weir
	bin/weir completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_weir
	bin/weir completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/weir.fish
	bin/weir man $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's#/usr/local/bin/weir#$(PREFIX)/bin/weir#' docs/weir.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/weir.service

.PHONY: test
test: ## run the tests; the privileged ones too where this is root
	go run ./cmd/testsum -short -timeout 20m $(TESTFLAGS) $(PKGS)

# In an emulator each test takes ten seconds to load the programs alone. All of them run on
# the running kernel; these are what kernels differ in.
IN_VM := Verifier|WaysRound|DeviceFramesAreJudged|DeviceProgramsStay|InboundRequestsAreJudged|NamesOverTCP|NameOpens|QuestionsOverTCP|Refused|OlderStreams|Outlive|EgressIs|IngressIs|ConnectionsAgain|AcceptedConn|RulesThatCome|SourceRoutes|WithoutStorage

.PHONY: test-kernels
test-kernels: ## load the BPF programs on Debian's 6.1 and 6.12 kernels, in QEMU
	@mkdir -p .cache
	go test -c -o .cache/bpf.test ./bpf
	go run ./bpf/vmtest -timeout 6m -modules veth,bridge -- .cache/bpf.test -test.v -test.run '^TestKernel'
	go test -c -o .cache/enforcer.test ./bpf/enforcer
	go run ./bpf/vmtest -timeout 20m -modules veth,bridge,sch_ingress,cls_bpf,tun -- .cache/enforcer.test -test.v -test.short -test.skip UnderTraffic -test.run '$(IN_VM)'

.PHONY: test-long
test-long: ## run the tests that take minutes as well; the result goes to docs/test-long.txt
	@mkdir -p .cache
	@{ echo "make test-long, $$(date -u +%F), Linux $$(uname -r), $$(nproc) cores, commit $$(git rev-parse --short HEAD)"; echo; \
	   go run ./cmd/testsum -timeout 120m -p 1 $(PKGS); \
	   echo; echo "the parsers, built natively:"; \
	   CGO_ENABLED=1 go test -timeout 120m -count=1 ./bpf/native/... ; } 2>&1 | tee .cache/test-long.txt
	@mv .cache/test-long.txt docs/test-long.txt

.PHONY: race
race: ## run the unprivileged tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 WEIR_TEST_PRIVILEGED=0 go test -race -short -timeout 20m ./collector/... ./exporters/... ./ui/... ./cmd/...

.PHONY: test-native
test-native: ## hold the parsers, built natively, against Go's own libraries (needs a C compiler)
	CGO_ENABLED=1 go test -short -timeout 10m ./bpf/native/...
	CGO_ENABLED=1 go test -short -timeout 10m ./bpf -run 'AsNatively$$' -count=1

.PHONY: fuzz
fuzz: ## fuzz every parser for FUZZTIME (10s) each
	.ci/fuzz $(or $(FUZZTIME),10s)

.PHONY: verify-budget
verify-budget: ## show how many verifier steps each BPF program takes (as root)
	go test ./bpf -run TestKernelVerifierBudget -count=1 -v

.PHONY: bench
bench: ## run the benchmarks (BENCHTIME=1x for a glance; those with a kernel as root)
	go test -run '^$$' -bench '$(or $(BENCH),.)' $(if $(SKIP),-skip '$(SKIP)') -benchmem -benchtime '$(or $(BENCHTIME),1s)' -timeout 60m -p 1 $(PKGS) \
		| grep -vE '^(\?|PASS|ok .*\[no test files\]|goos:|goarch:)'

.PHONY: generate
generate: ## compile the BPF programs again (needs clang-19, llvm-strip-19, libbpf-dev)
	go generate ./bpf/...

.PHONY: generate-check
generate-check: ## check that the committed BPF objects are what their source compiles to
	.ci/generate-check

.PHONY: lint
lint: ## gofmt, vet (amd64 and arm64), staticcheck, go.mod, clang-format, shell syntax
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l); \
		[ -z "$$unformatted" ] || { echo "not formatted; run make fmt:"; echo "$$unformatted"; exit 1; }
	go vet $(PKGS)
	GOARCH=arm64 go vet $(PKGS)
	go tool staticcheck $(PKGS)
	go mod tidy -diff
	@if command -v $(CLANG_FORMAT) >/dev/null; then \
		echo $(CLANG_FORMAT) --dry-run; $(CLANG_FORMAT) --dry-run -Werror $(C_FILES); \
	else echo "lint: $(CLANG_FORMAT) is not installed: C files were not checked"; fi
	@for f in $(SHELL_FILES); do bash -n $$f; done

.PHONY: fmt
fmt: ## format Go and C
	git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -w
	$(CLANG_FORMAT) -i $(C_FILES)

.PHONY: ci
ci: ## what CI does: installs packages, needs root
	.ci/run

.PHONY: clean
clean: ## remove what was built and cached
	rm -rf bin .cache
