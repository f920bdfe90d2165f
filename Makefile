# Everything here is a short name for a command you may as well type yourself;
# .ci/run calls the same targets. `make` alone lists them.

GO       ?= go
# Per package, so that a hang ends with a goroutine dump and not with CI's limit.
TIMEOUT  ?= 30m
FUZZTIME ?= 10s
BENCH    ?= .
COUNT    ?= 1
LEAVES   ?= 1000000

# The race detector links C code. On a machine with only Go the tests still
# run, without it; CI always has a compiler.
RACE = $(shell command -v "$$($(GO) env CC)" >/dev/null 2>&1 && echo -race)

# Tools are pinned in a module of their own: the linter's hundreds of
# dependencies must not take part in choosing ours. `go tool` keeps the linked
# binary in the build cache (minutes once, half a second afterwards), so there
# is no copy here that could be stale.
TOOL = $(GO) tool -modfile=tools/go.mod

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## compile everything, put the commands into bin/
	$(GO) build ./...
	$(GO) build -o bin/ ./cmd/...

.PHONY: demo
demo: ## run the whole service with sample orders on http://127.0.0.1:8080
	$(GO) run ./cmd/tradetrail serve --demo

.PHONY: test
test: ## all tests, shuffled, with the race detector
	$(GO) test $(RACE) -shuffle=on -timeout=$(TIMEOUT) ./...

.PHONY: short
short: ## the quick tests only, cached
	$(GO) test -short -timeout=$(TIMEOUT) ./...

.PHONY: fuzz
fuzz: ## every fuzz function for FUZZTIME (10s) each
	@found=$$(grep -rHoE --include='*_test.go' --exclude-dir=node_modules --exclude-dir=tools \
		'^func Fuzz[A-Za-z0-9_]+' . | sort); \
	[ -n "$$found" ] || { echo "no fuzz functions found"; exit 0; }; \
	echo "$$found" | while IFS=: read -r file func; do \
		name=$${func#func }; \
		echo "== $$name ($${file%/*})"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$${file%/*}" </dev/null || exit 1; \
	done

# No race detector here: the numbers would be its own.
.PHONY: bench
bench: ## all benchmarks; BENCH=regexp, COUNT=10 for benchstat, LEAVES=1000000 of the log
	TRADETRAIL_BENCH_LEAVES=$(LEAVES) $(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count=$(COUNT) -timeout=60m ./...

# No install scripts: what is native in them comes built, as an optional package
# for each platform.
.PHONY: node-client
node-client: ## install the Node clients, for the tests with them
	cd eventstore/embedded/nodeclient && npm ci --no-audit --no-fund --ignore-scripts
	cd graph/nodeclients && npm ci --no-audit --no-fund --ignore-scripts

.PHONY: graphql-audit
graphql-audit: ## install the audits of GraphQL over HTTP, for the test with them
	cd graph/audit && npm ci --no-audit --no-fund --ignore-scripts

# Only needed after a change below graph/graphiql: what it makes is committed. The
# same sources and lock file give the same bytes.
.PHONY: graphiql
graphiql: ## bundle the page at /graphiql anew
	cd graph/graphiql && npm ci --no-audit --no-fund --ignore-scripts && npm run build

.PHONY: web-packages
web-packages: ## install what the dashboard is built and tested with
	cd web && npm ci --no-audit --no-fund --ignore-scripts

# Only needed after a change below web/ or in the schema: what it makes is committed.
# The same sources and lock file give the same bytes.
.PHONY: web
web: web-packages ## generate the dashboard's operations and build it anew
	cd web && npm run gen && npm run build

# Compared with the tree as it was, as in gen-check.
.PHONY: web-check
web-check: web-packages ## types, lint and tests of the dashboard; building it again changes nothing
	bash web/check.sh

.PHONY: web-e2e
web-e2e: ## the dashboard in Chromium; takes the pictures of docs/dashboard.md anew
	TRADETRAIL_REQUIRE=1 TRADETRAIL_SCREENSHOTS=$(CURDIR)/docs/screenshots $(GO) test -count=1 -v -run InABrowser ./web

.PHONY: soak
soak: ## long load, kill -9, outage, damage and tamper tests
	TRADETRAIL_SOAK=1 $(GO) test -run 'Soak|Kill|Tamper|UnderLoad|Outage|Flipped|AnyConfiguration' -count=1 -v -timeout=90m ./...

.PHONY: cover
cover: ## test coverage over all packages, generated code left out
	@mkdir -p .cache
	$(GO) test -coverpkg=./... -coverprofile=.cache/cover.all -timeout=$(TIMEOUT) ./...
	@grep -vE '/graph/(generated|model)/' .cache/cover.all >.cache/cover.out
	$(GO) tool cover -html=.cache/cover.out -o .cache/cover.html
	@$(GO) tool cover -func=.cache/cover.out | tail -n 1
	@echo "line by line: .cache/cover.html"

# The linter's cache remembers paths: findings of one checkout would turn up in
# another, where the rules per folder don't match them.
.PHONY: lint
lint: ## golangci-lint with .golangci.yml
	$(TOOL) golangci-lint config verify
	GOLANGCI_LINT_CACHE=$(CURDIR)/.cache/golangci-lint $(TOOL) golangci-lint run ./...

.PHONY: fmt
fmt: ## gofumpt and goimports, in place
	$(TOOL) golangci-lint fmt ./...

.PHONY: gen
gen: ## run all generators
	$(GO) generate ./...

.PHONY: check
check: gen-check tidy-check compose-check ## generated code, go.mod, compose file, vet and format are as they should be
	$(GO) vet ./...
	$(TOOL) golangci-lint fmt --diff ./...

# Compared with the tree as it was, not with the last commit, so that it can be
# used in the middle of a change.
.PHONY: gen-check
gen-check: ## generating again changes nothing
	@state() { git status --porcelain; git diff HEAD | git hash-object --stdin; }; \
	before=$$(state); \
	$(GO) generate ./... || exit 1; \
	[ "$$before" = "$$(state)" ] || { \
		echo "generated code is not up to date; run 'make gen' and commit:"; \
		git status --short; git --no-pager diff --stat HEAD; exit 1; }

.PHONY: tidy-check
tidy-check: ## go.mod and go.sum are tidy, here and in tools/
	$(GO) mod tidy -diff
	$(GO) -C tools mod tidy -diff

# The loader is Docker Compose's own, with its schema; the test holds what the
# schema can't say (ports on loopback, health checks, flags that exist).
.PHONY: compose-check
compose-check: ## docker-compose.yml is valid and keeps our rules
	$(TOOL) github.com/compose-spec/compose-go/v2/cmd docker-compose.yml >/dev/null
	$(GO) test -count=1 ./deploy

.PHONY: ci
ci: ## what CI runs, in its order
	bash .ci/run

.PHONY: clean
clean: ## remove what the targets above have made
	rm -rf bin .cache eventstore/embedded/nodeclient/node_modules graph/nodeclients/node_modules graph/audit/node_modules graph/graphiql/node_modules web/node_modules
