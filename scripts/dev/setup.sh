#!/bin/sh
# Makes a clone ready to run: a new enough Node, the packages of package-lock.json installed under that Node, openssl.
# Does nothing when everything is there. With --verify it also tells what it found and installs the pre-commit hook.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
cd "$root"
. scripts/dev/node.sh

verify=no
[ "${1:-}" = --verify ] && verify=yes
step() { echo "==> $*" >&2; }
found() { if [ $verify = yes ]; then echo "    ok: $*" >&2; fi; }
fail() { echo "setup: $*" >&2; exit 1; }

command -v npm >/dev/null 2>&1 || fail "npm is missing (Debian: apt-get install npm)."

# Under npm's lifecycle environment of an older Node, packages for the wrong engine would be chosen: Node comes first.
node=$(find_node "$root") || {
  package=$(private_node_package)
  [ -n "$package" ] || fail "needs Node 22.19 or newer, found $(describe_machine_node), and there is no private Node for $(uname -sm)."
  step "Node 22.19 or newer is needed, here is $(describe_machine_node): fetching Node $PRIVATE_NODE_VERSION for this clone (.toolchain/)"
  mkdir -p .toolchain
  [ -f .toolchain/package.json ] || echo '{"private":true}' >.toolchain/package.json
  npm install --prefix .toolchain --no-save --no-package-lock --no-audit --no-fund --loglevel=error \
    "$package@$PRIVATE_NODE_VERSION" >&2 || fail "npm could not fetch $package@$PRIVATE_NODE_VERSION (see above)."
  node=$(find_node "$root") || fail "$package@$PRIVATE_NODE_VERSION was fetched but does not run on this machine."
}
PATH=$(dirname -- "$node"):$PATH
export PATH
found "Node $("$node" --version) ($node)"

# Redone only when the lock file or the Node changes.
wanted="$(cksum <package-lock.json) $("$node" -p 'process.version + " " + process.arch')"
stamp=node_modules/.netsy-setup
if [ ! -f $stamp ] || [ "$(cat $stamp)" != "$wanted" ]; then
  step "installing the packages of package-lock.json (npm ci under Node $("$node" --version))"
  npm ci --no-audit --no-fund --loglevel=error >&2 || fail "npm ci failed (see above)."
  "$node" -e 'new (require("better-sqlite3"))(":memory:").close()' ||
    fail "better-sqlite3 does not load in Node $("$node" --version) on this machine (see above)."
  echo "$wanted" >$stamp
fi
found "packages as in package-lock.json"

command -v openssl >/dev/null 2>&1 || fail "openssl is missing; it makes the development certificates (Debian: apt-get install openssl)."
found "$(openssl version)"

[ $verify = yes ] || exit 0

if command -v etcdctl >/dev/null 2>&1; then
  found "etcdctl ($(command -v etcdctl))"
else
  echo "    note: etcdctl is missing; make test and scripts/etcdctl/etcdctl.sh need it (Debian: apt-get install etcd-client)" >&2
fi

if git rev-parse --git-dir >/dev/null 2>&1 && [ "$(git rev-parse --show-toplevel)" = "$root" ]; then
  hook=$(git rev-parse --git-path hooks)/pre-commit
  if [ ! -e "$hook" ] && [ ! -L "$hook" ]; then
    mkdir -p "$(dirname -- "$hook")"
    # shellcheck disable=SC2016 # the hook itself asks for the folder, when it runs
    printf '#!/bin/sh\nexec "$(git rev-parse --show-toplevel)/scripts/git-hooks/pre-commit" "$@"\n' >"$hook"
    chmod +x "$hook"
    found "pre-commit hook installed"
  elif grep -q scripts/git-hooks/pre-commit "$hook" 2>/dev/null; then
    found "pre-commit hook is there"
  else
    echo "    note: $hook is somebody else's and was left alone; call scripts/git-hooks/pre-commit from it" >&2
  fi
fi
echo "Ready. Next: make start" >&2
