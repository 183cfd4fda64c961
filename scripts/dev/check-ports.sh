#!/bin/sh
# Fails when a port that the development environment of N nodes (default 1) needs is taken; names it and who has it.
# usage: check-ports.sh [N] [PORT...]      with PORTs only these are looked at
set -eu
count=${1:-1}
case $count in '' | *[!0-9]* | 0) echo "check-ports: the number of nodes must be 1 or more, not '$count'" >&2; exit 2 ;; esac
[ $# -gt 0 ] && shift

if [ $# -eq 0 ]; then
  set -- 4566
  k=0
  while [ $k -lt "$count" ]; do
    set -- "$@" $((2378 + 10 * k)) $((2381 + 10 * k)) $((8443 + 10 * k)) $((8080 + 10 * k))
    k=$((k + 1))
  done
fi

# Socket inodes that listen on port $1, from the kernel's own tables; empty when nobody does.
listening_inodes() {
  hex=$(printf '%04X' "$1")
  awk -v port="$hex" '$4 == "0A" { n = split($2, a, ":"); if (a[n] == port) print $10 }' \
    /proc/net/tcp /proc/net/tcp6 2>/dev/null | sort -u
}

# "name (pid N)" of the process that holds a socket inode, as far as this user may see it.
owner_of() {
  link=$(find /proc/[0-9]*/fd -lname "socket:\\[$1\\]" 2>/dev/null | head -n 1)
  [ -n "$link" ] || return 0
  pid=${link#/proc/}
  pid=${pid%%/*}
  echo "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-100 | sed 's/ *$//') (pid $pid)"
}

taken=0
for port in "$@"; do
  owner=
  if [ -r /proc/net/tcp ]; then
    inodes=$(listening_inodes "$port")
    [ -n "$inodes" ] || continue
    for inode in $inodes; do [ -n "$owner" ] || owner=$(owner_of "$inode"); done
  elif command -v lsof >/dev/null 2>&1; then
    owner=$(lsof -nP -iTCP:"$port" -sTCP:LISTEN 2>/dev/null | awk 'NR == 2 { print $1 " (pid " $2 ")" }')
    [ -n "$owner" ] || continue
  else
    continue
  fi
  taken=1
  echo "check-ports: port $port is taken by ${owner:-a process of another user}" >&2
done
exit $taken
