#!/bin/sh
# Adds cluster, user and context "netsy" for scripts/kubernetes/kube-apiserver.sh to the kubeconfig that kubectl uses
# (KUBECONFIG, else ~/.kube/config). Everything else in it stays, and so does the current context unless --use is given.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
certs=${NETSY_CERTS_DIR:-$root/temp/certs}
server=https://127.0.0.1:${KUBE_PORT:-6443}

usage() {
  cat <<'TEXT'
usage: scripts/kubernetes/kubeconfig.sh [--print | [--use] [--replace]]
  --print     print a kubeconfig of its own and change nothing; kubectl is not needed
  --use       make "netsy" the current context
  --replace   replace a cluster "netsy" that is somewhere else
variables: KUBECONFIG; KUBE_PORT as for kube-apiserver.sh
TEXT
}

print=no use=no replace=no
for argument in "$@"; do
  case $argument in
  --print) print=yes ;;
  --use) use=yes ;;
  --replace) replace=yes ;;
  -h | --help) usage && exit 0 ;;
  *) usage >&2 && exit 2 ;;
  esac
done

for file in ca.crt kubectl.crt kubectl.key; do
  [ -s "$certs/$file" ] || { echo "kubeconfig: ${certs#"$root"/}/$file is missing; 'make start' makes it (or scripts/dev/certs.sh)" >&2; exit 1; }
done

if [ $print = yes ]; then
  # In YAML's single quotes only a single quote is special.
  path=$(printf %s "$certs" | sed "s/'/''/g")
  cat <<YAML
apiVersion: v1
kind: Config
clusters:
  - name: netsy
    cluster:
      server: $server
      certificate-authority: '$path/ca.crt'
users:
  - name: netsy
    user:
      client-certificate: '$path/kubectl.crt'
      client-key: '$path/kubectl.key'
contexts:
  - name: netsy
    context:
      cluster: netsy
      user: netsy
current-context: netsy
YAML
  exit 0
fi

command -v kubectl >/dev/null 2>&1 || {
  echo "kubeconfig: kubectl is missing (Debian: apt-get install kubernetes-client); --print does without it" >&2
  exit 1
}
where=${KUBECONFIG:-${HOME:-}/.kube/config}
there=
# kubectl's JSONPath fails where there is no cluster at all.
! kubectl config get-clusters | grep -qx netsy ||
  there=$(kubectl config view -o "jsonpath={.clusters[?(@.name=='netsy')].cluster.server}")
if [ -n "$there" ] && [ "$there" != "$server" ] && [ $replace = no ]; then
  echo "kubeconfig: the cluster netsy in $where is $there, not $server; nothing was changed (--replace replaces it)" >&2
  exit 1
fi
kubectl config set-cluster netsy --server="$server" --certificate-authority="$certs/ca.crt" >/dev/null
kubectl config set-credentials netsy --client-certificate="$certs/kubectl.crt" --client-key="$certs/kubectl.key" >/dev/null
kubectl config set-context netsy --cluster=netsy --user=netsy >/dev/null
echo "$where: the context netsy is $server."
if [ $use = yes ]; then
  kubectl config use-context netsy >/dev/null
  echo "It is the current context now."
else
  echo "The current context is as it was; try: kubectl --context netsy get namespaces"
fi
