#!/bin/sh
# Runs a command in the clone's folder with its Node and its packages' commands first in PATH, after any set-up needed.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
cd "$root"
. scripts/dev/node.sh
scripts/dev/setup.sh
PATH="$(dirname -- "$(find_node "$root")"):$root/node_modules/.bin:$PATH"
export PATH
exec "$@"
