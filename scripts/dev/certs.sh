#!/bin/sh
# Development certificates in temp/certs for N nodes (default 1): one CA, one external client, a server and a peer
# certificate a node; for a kube-apiserver on top its server certificate, its administrator's and its service-account
# key. What is there and valid for another week stays.
# usage: certs.sh [N]      NETSY_CERTS_ADDRESSES: more IP addresses for the server certificates
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
count=${1:-1}
case $count in '' | *[!0-9]* | 0) echo "certs: the number of nodes must be 1 or more, not '$count'" >&2; exit 2 ;; esac
command -v openssl >/dev/null 2>&1 || { echo "certs: openssl is missing (Debian: apt-get install openssl)" >&2; exit 1; }

cluster=dev-cluster
certs=${NETSY_CERTS_DIR:-$root/temp/certs}
umask 077
mkdir -p "$certs"
cd "$certs"
work=$(mktemp -d ./.work.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

quietly() { "$@" >"$work/openssl.log" 2>&1 || { cat "$work/openssl.log" >&2; echo "certs: failed: $*" >&2; exit 1; }; }
new_key() { quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
# A certificate and its key are there, belong to this CA and stay valid for a week.
good() {
  [ -s "$1.crt" ] && [ -s "$1.key" ] && openssl x509 -in "$1.crt" -noout -checkend 604800 >/dev/null 2>&1 &&
    openssl verify -CAfile ca.crt "$1.crt" >/dev/null 2>&1
}

# certificate PATH SUBJECT SAN KEY-USAGE EXTENDED-KEY-USAGE; without a name besides the subject SAN is empty
certificate() {
  if good "$1"; then return 0; fi
  mkdir -p "$(dirname -- "$1")"
  new_key "$work/leaf.key"
  quietly openssl req -new -key "$work/leaf.key" -subj "$2" -out "$work/leaf.csr"
  cat >"$work/leaf.ext" <<EXT
basicConstraints = critical, CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
${3:+subjectAltName = $3}
keyUsage = critical, $4
extendedKeyUsage = $5
EXT
  quietly openssl x509 -req -in "$work/leaf.csr" -CA ca.crt -CAkey ca.key -days 3640 \
    -set_serial "0x$(openssl rand -hex 16 | sed 's/^./1/')" -extfile "$work/leaf.ext" -out "$work/leaf.crt"
  mv "$work/leaf.key" "$1.key"
  mv "$work/leaf.crt" "$1.crt"
  made="$made $1"
}

made=
if ! good ca; then
  cat >"$work/ca.cnf" <<CNF
[req]
distinguished_name = dn
x509_extensions = v3_ca
[dn]
[v3_ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
CNF
  new_key "$work/ca.key"
  quietly openssl req -x509 -new -key "$work/ca.key" -config "$work/ca.cnf" -subj "/CN=$cluster-ca" -days 3650 -out "$work/ca.crt"
  mv "$work/ca.key" ca.key
  mv "$work/ca.crt" ca.crt
  made=" ca"
fi

certificate client /CN=etcd-client "URI:netsy://$cluster/client/etcd-client" digitalSignature clientAuth

names="DNS:localhost, IP:127.0.0.1, IP:::1"
for address in ${NETSY_CERTS_ADDRESSES:-}; do names="$names, IP:$address"; done

k=1
while [ $k -le "$count" ]; do
  node=dev-node-$k
  id="URI:netsy://$cluster/peer/$node"
  certificate "$node/server" "/CN=$node" "$id, $names" "digitalSignature, keyEncipherment" serverAuth
  certificate "$node/peer" "/CN=$node" "$id" digitalSignature clientAuth
  k=$((k + 1))
done

# 10.0.0.1 is the first address of the services in scripts/kubernetes/kube-apiserver.sh.
certificate kube-apiserver /CN=kube-apiserver \
  "DNS:kubernetes, DNS:kubernetes.default, DNS:kubernetes.default.svc, DNS:kubernetes.default.svc.cluster.local, IP:10.0.0.1, $names" \
  "digitalSignature, keyEncipherment" serverAuth
# Kubernetes gives the group system:masters every right. Netsy refuses this certificate: it has no name netsy://…
certificate kubectl /O=system:masters/CN=kubectl "" digitalSignature clientAuth

if [ ! -s service-account.key ]; then
  quietly openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$work/service-account.key"
  mv "$work/service-account.key" service-account.key
  made="$made service-account.key"
fi

if [ -n "$made" ]; then echo "certificates made in ${certs#"$root"/}:$made"; else echo "certificates in ${certs#"$root"/} are valid"; fi
