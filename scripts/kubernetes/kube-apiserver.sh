#!/bin/sh
# A kube-apiserver on the nodes that make start started, with the development certificates; Ctrl+C stops it. It runs in a
# container, or as the executable that KUBE_APISERVER names. usage() has the variables.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
certs=${NETSY_CERTS_DIR:-$root/temp/certs}
version=${KUBE_VERSION:-v1.36.3}
image=${KUBE_IMAGE:-registry.k8s.io/kube-apiserver:$version}
port=${KUBE_PORT:-6443}

usage() {
  cat <<TEXT
usage: scripts/kubernetes/kube-apiserver.sh [--dry-run] [FLAG...]
  --dry-run   print the command instead of running it; nothing has to be there
  FLAG...     more flags of kube-apiserver, for example -v=2
variables:
  NETSY_COUNT                how many nodes it connects to; without it all that run
  KUBE_ETCD_SERVERS          endpoints with commas between them, in place of the development nodes'
  KUBE_VERSION               default $version
  KUBE_IMAGE                 default $image
  KUBE_RUNTIME               podman or docker; without it the first that is there
  KUBE_APISERVER             path of an executable that is run instead of a container
  KUBE_PORT                  default $port, on 127.0.0.1
  KUBE_COMPACTION_INTERVAL   default 5m
TEXT
}

dry_run=no
case ${1:-} in
-h | --help)
  usage
  exit 0
  ;;
--dry-run)
  dry_run=yes
  shift
  ;;
esac
case ${NETSY_COUNT:-1} in
[1-9]) ;;
*)
  echo "kube-apiserver: NETSY_COUNT=$NETSY_COUNT: 1 to 9 nodes can be started" >&2
  exit 2
  ;;
esac

# With --dry-run nothing is a problem.
problems=
problem() {
  [ $dry_run = yes ] || {
    echo "kube-apiserver: $*" >&2
    problems=yes
  }
}
listens() { ! "$root/scripts/dev/check-ports.sh" 1 "$1" 2>/dev/null; }

# etcd's client takes all endpoints, so the loss of a node is not the loss of the API. Without a number: all that run, in
# a dry run one.
most=${NETSY_COUNT:-9}
[ $dry_run = no ] || most=${NETSY_COUNT:-1}
[ -z "${KUBE_ETCD_SERVERS:-}" ] || most=0
servers=
k=1
while [ $k -le "$most" ]; do
  client_port=$((2378 + 10 * (k - 1)))
  if [ $dry_run = yes ] || listens $client_port; then
    servers=$servers,https://127.0.0.1:$client_port
  elif [ -n "${NETSY_COUNT:-}" ] || [ $k -eq 1 ]; then
    problem "no Netsy node listens on 127.0.0.1:$client_port; run 'make start${NETSY_COUNT:+ NETSY_COUNT=$NETSY_COUNT}' first"
  fi
  if [ -z "${NETSY_COUNT:-}" ] && [ "${servers##*:}" != "$client_port" ]; then break; fi
  k=$((k + 1))
done
servers=${KUBE_ETCD_SERVERS:-${servers#,}}

missing=
for file in ca.crt client.crt client.key kube-apiserver.crt kube-apiserver.key service-account.key; do
  [ -s "$certs/$file" ] || missing="$missing $file"
done
[ -z "$missing" ] || problem "missing in ${certs#"$root"/}:$missing; 'make start' makes them (or scripts/dev/certs.sh)"
if listens "$port"; then
  problem "port $port is taken, perhaps by another kube-apiserver; KUBE_PORT=7443 takes another"
fi

runtime=${KUBE_RUNTIME:-}
if [ -n "${KUBE_APISERVER:-}" ]; then
  [ -x "$KUBE_APISERVER" ] || problem "KUBE_APISERVER=$KUBE_APISERVER cannot be executed"
  seen=$certs
else
  for candidate in podman docker; do
    [ -n "$runtime" ] || ! command -v $candidate >/dev/null 2>&1 || runtime=$candidate
  done
  [ -n "$runtime" ] || problem "neither podman nor docker is here; install one (Debian: apt-get install podman), or name an executable with KUBE_APISERVER"
  runtime=${runtime:-podman}
  command -v "$runtime" >/dev/null 2>&1 || problem "KUBE_RUNTIME=$runtime is not here"
  # Where the files are for the one who reads them.
  seen=/etc/netsy
fi
[ -z "$problems" ] || exit 1

set -- \
  --etcd-servers="$servers" \
  --etcd-cafile="$seen/ca.crt" \
  --etcd-certfile="$seen/client.crt" \
  --etcd-keyfile="$seen/client.key" \
  --etcd-compaction-interval="${KUBE_COMPACTION_INTERVAL:-5m}" \
  --storage-media-type=application/vnd.kubernetes.protobuf \
  --bind-address=127.0.0.1 \
  --secure-port="$port" \
  --tls-cert-file="$seen/kube-apiserver.crt" \
  --tls-private-key-file="$seen/kube-apiserver.key" \
  --client-ca-file="$seen/ca.crt" \
  --anonymous-auth=true \
  --authorization-mode=Node,RBAC \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --service-account-key-file="$seen/service-account.key" \
  --service-account-signing-key-file="$seen/service-account.key" \
  --service-cluster-ip-range=10.0.0.0/24 \
  --allow-privileged=true \
  "$@"

if [ -n "${KUBE_APISERVER:-}" ]; then
  set -- "$KUBE_APISERVER" "$@"
else
  # The nodes listen on 127.0.0.1 of this machine, hence its network. Each file is mounted alone: the CA's key stays out.
  set -- --entrypoint=kube-apiserver "$image" "$@"
  for file in service-account.key kube-apiserver.key kube-apiserver.crt client.key client.crt ca.crt; do
    set -- --mount="type=bind,source=$certs/$file,target=$seen/$file,readonly" "$@"
  done
  set -- "$runtime" run --rm --name="netsy-kube-apiserver-$port" --network=host --security-opt=label=disable "$@"
fi

if [ $dry_run = yes ]; then
  # As lines that can be pasted into a shell.
  between=
  for argument in "$@"; do
    case $argument in
    '' | *[!A-Za-z0-9_./:,=@%+-]*) argument="'$(printf %s "$argument" | sed "s/'/'\\\\''/g")'" ;;
    esac
    printf '%s%s' "$between" "$argument"
    between=' \
  '
  done
  echo
  exit 0
fi
echo "kube-apiserver on https://127.0.0.1:$port, its store $servers. Ctrl+C stops it." >&2
echo "In another terminal: scripts/kubernetes/kubeconfig.sh, then kubectl --context netsy get namespaces" >&2
exec "$@"
