#!/bin/sh
# etcdctl against the development node (make start), with its certificates. Arguments go through as they are.
# ETCDCTL_ENDPOINTS or --endpoints choose another endpoint.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
certs=$root/temp/certs

command -v etcdctl >/dev/null 2>&1 || {
  echo "etcdctl is missing; it is in Debian's package etcd-client: apt-get install etcd-client" >&2
  exit 1
}
for file in ca.crt client.crt client.key; do
  [ -s "$certs/$file" ] || { echo "temp/certs/$file is missing; 'make start' makes it (or scripts/dev/certs.sh)" >&2; exit 1; }
done

# As variables, because etcdctl refuses a variable that a flag repeats, and appends endpoints given twice.
given=" $* "
for pair in "ENDPOINTS=${ETCDCTL_ENDPOINTS:-https://127.0.0.1:2378}" "CACERT=$certs/ca.crt" "CERT=$certs/client.crt" "KEY=$certs/client.key"; do
  name=${pair%%=*}
  flag=$(printf %s "$name" | tr '[:upper:]' '[:lower:]')
  case $given in
  *" --$flag "* | *" --$flag="*) unset "ETCDCTL_$name" ;;
  *) export "ETCDCTL_$name=${pair#*=}" ;;
  esac
done
export ETCDCTL_API=3
exec etcdctl "$@"
