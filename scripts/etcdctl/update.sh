#!/bin/sh
# Sets KEY to VALUE if it was last changed at REVISION, with the transaction that kube-apiserver updates objects with;
# else shows what it is now.
# usage: update.sh KEY REVISION VALUE
set -eu
here=$(dirname -- "$0")
. "$here/quote.sh"
[ $# -eq 3 ] || { echo "usage: update.sh KEY REVISION VALUE" >&2; exit 2; }
key=$(quote "$1")
expected=$(revision "$2")
value=$(quote "$3")
printf 'mod(%s) = %s\n\nput %s %s\n\nget %s\n\n' "$key" "$expected" "$key" "$value" "$key" | "$here/etcdctl.sh" txn
