#!/bin/sh
# Fails, naming the Debian packages, when programs that the tests run are missing. With the word "clients" also those that
# make test does without, with "cluster" those of the network partitions, with "vm" those of whole machines, with "release" those
# that run the executable for arm64.
set -eu
missing=
need() { command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || missing="$missing $2"; }
need etcdctl etcd-client
need etcd etcd-server
need openssl openssl
need go golang-go
need /usr/share/gocode/src/github.com/Masterminds/sprig golang-github-masterminds-sprig-dev
need /usr/share/gocode/src/sigs.k8s.io/yaml golang-k8s-sigs-yaml-dev
need shellcheck shellcheck
if [ "${1:-}" = clients ]; then
  need /usr/share/gocode/src/go.etcd.io/etcd/clientv3 golang-etcd-server-dev
  need patroni patroni
  need pg_ctlcluster postgresql
fi
if [ "${1:-}" = cluster ]; then
  need ip iproute2
  need nft nftables
fi
if [ "${1:-}" = release ]; then
  need qemu-aarch64-static qemu-user-static
  need /usr/aarch64-linux-gnu/lib/libc.so.6 libc6-arm64-cross
  need /usr/aarch64-linux-gnu/lib/libstdc++.so.6 libstdc++6-arm64-cross
  need /usr/aarch64-linux-gnu/lib/libgcc_s.so.1 libgcc-s1-arm64-cross
fi
if [ "${1:-}" = vm ]; then
  need ip iproute2
  need nft nftables
  need /lib/systemd/systemd systemd
  need systemd-analyze systemd
  need nsenter util-linux
  need useradd passwd
  need curl curl
fi
[ -z "$missing" ] && exit 0
echo "The tests need Debian packages that are missing; install them with: apt-get install$missing" >&2
exit 1
