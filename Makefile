# What a developer runs. Tests and demo need root: they make real btrfs file
# systems on loop devices. The first run installs what is missing on Debian.
#
#   sudo make test        everything that is checked
#   sudo make demo        two mailboxes, and a day of changes, step by step

# sudo takes /usr/local/go/bin out of the PATH.
export PATH := $(PATH):/usr/local/go/bin

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0
FUZZTIME    = 30s
TIMEOUT     = 20m
DEMO_DIR    = /tmp/snapmerge-demo

# Go asks git for the version, and fails where git refuses to tell it: in a
# checkout that belongs to somebody else than who runs make.
export GOFLAGS := $(GOFLAGS) -buildvcs=$(shell git status >/dev/null 2>&1 && echo auto || echo false)

# The process that receives a send stream runs this same file, confined: it can
# open no shared libraries then, so tests are static programs as the real one is.
export CGO_ENABLED := 0

# A shell of ours: make itself would look for go along the old PATH.
SHELL = /bin/bash
.SHELLFLAGS = -ec

.PHONY: build test soak lint fuzz bench demo demo-clean clean root deps

# One static file: it can be copied to a machine without Go.
build:
	go build -trimpath -o snapmerge ./cmd/snapmerge

test: root deps lint
	go run ./scripts/gotest -p 2 -timeout $(TIMEOUT) ./...
	$(MAKE) fuzz

# The random tests with other seeds than those of "make test", and more of them;
# and eight clients against one sync after the other, which no two runs do alike.
soak: root deps
	SNAPMERGE_SEED=random SNAPMERGE_HISTORIES=500 SNAPMERGE_KILLS=all SNAPMERGE_CASES=1000 SNAPMERGE_CUTS=1000 \
		go test -p 2 -timeout 5h ./merge ./internal/enginetest ./internal/crashtest ./internal/stream ./internal/mirror
	SNAPMERGE_SEED=random SNAPMERGE_STRESS=20000 go test -run TestStress -timeout 1h ./internal/livetest

# How long each stage of a sync takes, beside what the kernel alone needs. Needs a
# quiet machine; SNAPMERGE_BENCH="10000 100000 1000000" measures a million mails too,
# SNAPMERGE_MBSYNC=1 also mbsync (apt-get install isync).
bench: root deps
	go test -run '^$$' -bench . -benchtime 1x -timeout 5h ./internal/bench

lint:
	@out=$$(gofmt -l .); if [ "$$out" ]; then echo "gofmt -w, please:" $$out >&2; exit 1; fi
	go vet ./...
	go build -o /dev/null ./cmd/snapmerge
	go run $(STATICCHECK) ./...

# Each fuzz target for FUZZTIME; what one finds lands in its testdata/fuzz.
fuzz:
	scripts/fuzz $(FUZZTIME)

demo: root deps build
	demo/run.sh $(DEMO_DIR)

demo-clean: root
	demo/clean.sh $(DEMO_DIR)

clean:
	rm -f snapmerge

root:
	@if [ "$$(id -u)" != 0 ]; then echo "make $(MAKECMDGOALS) needs root (snapshots, loop devices); run: sudo make $(MAKECMDGOALS)" >&2; exit 1; fi

deps:
	@scripts/install-deps.sh
