#!/bin/sh
# Creates KEY unless it is there, with the transaction that kube-apiserver creates objects with.
# usage: create.sh KEY VALUE
set -eu
here=$(dirname -- "$0")
. "$here/quote.sh"
[ $# -eq 2 ] || { echo "usage: create.sh KEY VALUE" >&2; exit 2; }
key=$(quote "$1")
value=$(quote "$2")
# Conditions, requests if they hold, requests if not; an empty line after each.
printf 'mod(%s) = "0"\n\nput %s %s\n\n\n' "$key" "$key" "$value" | "$here/etcdctl.sh" txn
