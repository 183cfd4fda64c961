#!/bin/sh
# Writes the pages of the public API to dist/api/ by typedoc, which is installed here, apart from the project: it needs
# an older TypeScript. An export without a description, or one whose types are not exported, is a failure.
set -eu
cd "$(dirname -- "$0")"
# Redone only when the lock file changes.
wanted=$(cksum <package-lock.json)
stamp=node_modules/.netsy-setup
if [ ! -f $stamp ] || [ "$(cat $stamp)" != "$wanted" ]; then
  echo "==> installing typedoc (scripts/apidocs/package-lock.json)" >&2
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  echo "$wanted" >$stamp
fi
exec node_modules/.bin/typedoc --options typedoc.json
