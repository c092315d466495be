# Every target works with GNU make, a POSIX shell and Go, from a clean clone. `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help demo demo-cluster mutants test check lint bench tables fuzz api

GO ?= go
# Each module is built against what its own go.mod says.
export GOWORK := off

# golangci-lint is run from source at this version: nothing to install, the same findings everywhere.
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

TESTFLAGS ?=
FUZZTIME ?= 60s
BENCH ?= .
COUNT ?= 1
TABLES ?=

MODULES = $(shell find . \( -name node_modules -o -name testdata -o -name .git \) -prune -o -name go.mod -print | sed 's,/go\.mod$$,,' | sort)

# Reads `go test -list` and prints one "package name" a line. $(1) is the pattern. A package that does not compile fails it.
list_tests = out=$$($(GO) test -list '$(1)' ./...) || { printf '%s\n' "$$out"; exit 1; }; \
	found=$$(printf '%s\n' "$$out" | awk '/^(Fuzz|Benchmark)/ { name[n++] = $$1 } $$1 == "ok" { for (i = 0; i < n; i++) print $$2, name[i]; n = 0 }')

# Ends a loop over the modules: all have run, and one failure fails the target.
verdict = if [ -n "$$failed" ]; then echo "make $@: failed in$$failed" >&2; exit 1; fi

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: ## play the whole story on loopback: login, gateway, API, revocation, rotation, outage; a table says what and why
	@$(GO) run ./examples/gateway -demo

demo-cluster: ## three gateways and a Redis (needs redis-server): what is revoked on one is refused on all
	@cd examples/cluster && $(GO) run . -demo

test: ## all tests of all modules, with the race detector where there is a C compiler (TESTFLAGS)
	@race=; failed=; \
	if $(GO) build -race runtime/cgo >/dev/null 2>&1; then race=-race; \
	else echo 'make test: no C compiler that works with cgo, so without the race detector'; fi; \
	for dir in $(MODULES); do \
		echo "== $$dir"; \
		(cd "$$dir" && $(GO) test $$race -shuffle=on $(TESTFLAGS) ./...) || failed="$$failed $$dir"; \
	done; \
	$(verdict)

check: ## gofmt, go vet, go mod tidy -diff and go build, in all modules
	@failed=; \
	unformatted=$$(find . \( -name node_modules -o -name testdata -o -name .git \) -prune -o -name '*.go' -exec "$$($(GO) env GOROOT)/bin/gofmt" -l {} +) || failed=' gofmt'; \
	if [ -n "$$unformatted" ]; then printf 'gofmt -l:\n%s\n' "$$unformatted"; failed=' gofmt'; fi; \
	for dir in $(MODULES); do \
		echo "== $$dir"; \
		(cd "$$dir" || exit; bad=0; \
			$(GO) build -o /dev/null ./... || bad=1; \
			$(GO) vet ./... || bad=1; \
			$(GO) mod tidy -diff || bad=1; \
			exit $$bad) || failed="$$failed $$dir"; \
	done; \
	$(verdict)

lint: ## golangci-lint in all modules
	@failed=; \
	for dir in $(MODULES); do \
		echo "== $$dir"; \
		(cd "$$dir" && $(GO) run $(GOLANGCI_LINT) run --config '$(CURDIR)/.golangci.yml' ./...) || failed="$$failed $$dir"; \
	done; \
	$(verdict)

bench: ## the benchmarks of the core module (BENCH, COUNT), and unless BENCH chooses, the tables
	@$(call list_tests,^Benchmark); \
	pkgs=$$(printf '%s\n' "$$found" | cut -d ' ' -f 1 | sort -u); \
	if [ -z "$$pkgs" ]; then echo 'make bench: no benchmark in the core module'; \
	else $(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $$pkgs || exit 1; fi; \
	if [ '$(BENCH)' = . ]; then $(MAKE) --no-print-directory tables; fi

# The tag adds the peer that takes longest to build, which nothing else needs.
tables: ## what a request costs, beside the bare signature check and other libraries (TABLES='-only peers,http')
	@cd internal/bench && $(GO) run -tags krakend . $(TABLES)

fuzz: ## every fuzz target of the core module, one after the other (FUZZTIME, for each)
	@$(call list_tests,^Fuzz); failed=; \
	if [ -z "$$found" ]; then echo 'make fuzz: no fuzz target in the core module'; fi; \
	set -- $$found; \
	while [ $$# -gt 0 ]; do \
		echo "== $$1 $$2"; \
		$(GO) test -run '^$$' -fuzz "^$$2\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s "$$1" || failed="$$failed $$1.$$2"; \
		shift 2; \
	done; \
	$(verdict)

mutants: ## take out each check on a token's way through jwtvalidate: a test must fail (MUTANTS, a part of a name)
	@MUTANTS='$(if $(MUTANTS),$(MUTANTS),all)' $(GO) test ./internal/house -run '^TestMutants$$' -count 1 -timeout 60m -v

api: ## rewrite the golden text of the exported API, in internal/house/testdata/api
	@$(GO) test ./internal/house -run '^TestAPI$$' -update
