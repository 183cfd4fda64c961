#!/bin/sh
# Everything that can be found without running the program. All steps run, so that one look shows all there is to mend.
set -u
failed=
step() {
  name=$1
  shift
  echo "==> $name"
  "$@" || failed="$failed, $name"
}
step "types" tsc -p .
step "Effect's diagnostics" effect-tsgo diagnostics --project tsconfig.json --format text --severity error
step "lint" oxlint --deny-warnings
step "format" oxfmt --check
step "rules of the house" vitest run test/tidy
[ -z "$failed" ] || { echo "check: failed: ${failed#, }" >&2; exit 1; }
echo "check: all right"
