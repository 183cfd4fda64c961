#!/bin/sh
# Fails, naming the Debian package, when a program that the tests run is missing.
set -eu
missing=
command -v etcdctl >/dev/null 2>&1 || missing="$missing etcd-client"
command -v etcd >/dev/null 2>&1 || missing="$missing etcd-server"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
[ -z "$missing" ] && exit 0
echo "The tests need Debian packages that are missing; install them with: apt-get install$missing" >&2
exit 1
