#!/bin/sh
# Deletes KEY if it was last changed at REVISION, with the transaction that kube-apiserver deletes objects with; else
# shows what it is now.
# usage: delete.sh KEY REVISION
set -eu
here=$(dirname -- "$0")
. "$here/quote.sh"
[ $# -eq 2 ] || { echo "usage: delete.sh KEY REVISION" >&2; exit 2; }
key=$(quote "$1")
expected=$(revision "$2")
printf 'mod(%s) = %s\n\ndel %s\n\nget %s\n\n' "$key" "$expected" "$key" "$key" | "$here/etcdctl.sh" txn
