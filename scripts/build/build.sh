#!/bin/sh
# Compiles what the package contains to dist/, or to the folder $1. What an earlier build left there goes first, so that
# a file that was deleted or moved in src/ is not packed; other things in dist/ (release files, API pages) stay.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
out=${1:-$root/dist}
for made in core services layers programs; do rm -rf "${out:?}/$made"; done
rm -f "$out"/index.*
exec "$root/node_modules/.bin/tsc" -p "$root/tsconfig.build.json" --outDir "$out"
