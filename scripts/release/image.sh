#!/bin/sh
# `make image`: lays out the context of images/netsy/Containerfile in dist/image and builds the image for this machine
# with podman or docker. With --context it lays out the context and stops.
# usage: image.sh [--context]      NETSY_IMAGE: the image's name (netsy:latest)
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
release=$root/dist/release
context=$root/dist/image
case $(uname -m) in
x86_64) machine=amd64 ;;
aarch64 | arm64) machine=arm64 ;;
*) echo "image: there is no executable for $(uname -m), only for x86_64 and aarch64" >&2; exit 1 ;;
esac

for file in netsy-linux-amd64 netsy-linux-arm64 LICENSES.txt; do
  [ -f "$release/$file" ] || { echo "image: dist/release/$file is missing; run 'make release' first" >&2; exit 1; }
done
rm -rf "$context"
mkdir -p "$context/data"
for file in netsy-linux-amd64 netsy-linux-arm64 LICENSES.txt; do
  ln "$release/$file" "$context/$file" 2>/dev/null || cp "$release/$file" "$context/$file"
done
[ "${1:-}" = --context ] && exit 0

builder=
for name in podman docker; do
  if command -v "$name" >/dev/null 2>&1 && "$name" info >/dev/null 2>&1; then builder=$name && break; fi
done
[ -n "$builder" ] || {
  echo "image: building needs podman or docker, and neither runs here. The context is ready in dist/image: take it and" >&2
  echo "images/netsy/Containerfile to a machine that has one, or copy dist/release/netsy-linux-$machine as it is." >&2
  exit 1
}
version=$(sed -n 's/^export const version = "\(.*\)"$/\1/p' "$root/src/core/version.ts")
revision=$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)
exec "$builder" build -f "$root/images/netsy/Containerfile" -t "${NETSY_IMAGE:-netsy:latest}" \
  --build-arg TARGETARCH="$machine" --build-arg VERSION="$version" --build-arg REVISION="$revision" "$context"
