#!/bin/sh
# Builds kube-apiserver from the modules of KUBE_VERSION, for machines that cannot run containers, and prints where it is.
# It takes ten minutes or more and needs Go. What was built is kept in .toolchain/.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
version=${KUBE_VERSION:-v1.36.3}
case $version in
v1.[0-9]*.[0-9]*) ;;
*) echo "build-kube-apiserver: KUBE_VERSION=$version: needed: v1.MINOR.PATCH" >&2; exit 2 ;;
esac
built=$root/.toolchain/kube-apiserver-$version
if [ -x "$built" ]; then
  echo "$built"
  exit 0
fi
command -v go >/dev/null 2>&1 || { echo "build-kube-apiserver: Go is missing (Debian: apt-get install golang-go; a newer one where $version needs it)" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work"
export GOFLAGS="-mod=mod -buildvcs=false" GOWORK=off
echo "build-kube-apiserver: building kube-apiserver $version; this takes a while" >&2
go mod init netsy.invalid/kube-apiserver 2>/dev/null
go mod edit -require="k8s.io/kubernetes@$version"
# Kubernetes requires the modules that it is made of as v0.0.0; published they are v0.MINOR.PATCH.
required=$(go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
[ -n "$required" ] || { echo "build-kube-apiserver: k8s.io/kubernetes@$version could not be fetched" >&2; exit 1; }
awk '$1 ~ /^k8s\.io\// && $2 == "v0.0.0" { print $1 }' "$required" | while read -r module; do
  go mod edit -replace="$module=$module@v0.${version#v1.}"
done
cat >main.go <<'GO'
package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
GO
minor=${version#v1.}
go build -o kube-apiserver -ldflags "-s -w
  -X k8s.io/component-base/version.gitVersion=$version
  -X k8s.io/component-base/version.gitMajor=1
  -X k8s.io/component-base/version.gitMinor=${minor%%.*}" .
mkdir -p "$root/.toolchain"
# It takes its name when it is complete: the move may be a copy from another file system.
mv kube-apiserver "$built.new"
mv "$built.new" "$built"
echo "$built"
