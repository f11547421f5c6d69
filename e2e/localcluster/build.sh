#!/usr/bin/env bash
# Builds localcluster, kwok and metrics-server into a folder, unless they are there already, made
# from these sources. The first build compiles all of Kubernetes: five minutes or
# so on two cores. It says how far it is; Go's build cache keeps the result.
set -euo pipefail

if [ $# != 1 ]; then
  echo "usage: $0 BIN_DIR" >&2
  exit 2
fi
mkdir -p "$1"
bin=$(cd "$1" && pwd)
cd "$(dirname "$0")"

# The same for everybody, or the cache does not help.
export CGO_ENABLED=0 GOTOOLCHAIN="${GOTOOLCHAIN:-local}"

version_of() { awk -v module="$1" '$1 == module { print $2; exit }' go.mod; }

# progress NAME: reads what `go install -v` says, a line for each module and package.
# It counts them on a terminal, and writes a line every ten seconds elsewhere;
# messages are passed on.
progress() {
  local modules=0 packages=0 said=0 line state
  SECONDS=0
  while IFS= read -r line; do
    case $line in
      "go: downloading "*) modules=$((modules + 1)) ;;
      *" "*)
        [ ! -t 2 ] || printf '\r\033[K' >&2
        echo "$line" >&2
        ;;
      *) packages=$((packages + 1)) ;;
    esac
    state="building $1: $modules modules downloaded, $packages packages compiled, ${SECONDS}s"
    if [ -t 2 ]; then
      printf '\r\033[K%s' "$state" >&2
    elif [ $((SECONDS - said)) -ge 10 ]; then
      said=$SECONDS
      echo "$state" >&2
    fi
  done
  [ ! -t 2 ] || printf '\r\033[K' >&2
}

# build NAME STAMP COMMAND...: runs the command with GOBIN set to a folder where it
# leaves the program, unless the program is there with this stamp.
build() {
  local name=$1 stamp=$2 began
  shift 2
  if [ -x "$bin/$name" ] && [ "$(cat "$bin/.$name.stamp" 2>/dev/null)" = "$stamp" ]; then
    return
  fi
  echo "building $name (the first time takes minutes, then it is cached)" >&2
  GOBIN=$(mktemp -d "$bin/.build-XXXXXX")
  export GOBIN
  trap 'rm -rf "$GOBIN"' EXIT
  began=$(date +%s)
  "$@" 2>&1 | progress "$name"
  mv "$GOBIN/$name" "$bin/$name" # a program that runs goes on with the old one
  echo "$stamp" >"$bin/.$name.stamp"
  rm -rf "$GOBIN"
  trap - EXIT
  echo "built $name in $(($(date +%s) - began))s" >&2
}

shopt -s extglob
sources=$({ go version; cat build.sh go.mod go.sum !(*_test).go; } | git hash-object --stdin)
build localcluster "$sources" go install -v -buildvcs=false \
  -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$(version_of k8s.io/kubernetes)" .

# A module of its own: in that of localcluster it would ask for other versions of what
# Kubernetes is built from.
metrics_server=v0.9.0
build metrics-server "$metrics_server $(go version)" go install -v -ldflags '-s -w' \
  "sigs.k8s.io/metrics-server/cmd/metrics-server@$metrics_server"

kwok=$(version_of sigs.k8s.io/kwok)
build kwok "$kwok $(go version)" go install -v -ldflags '-s -w' "sigs.k8s.io/kwok/cmd/kwok@$kwok"
