#!/bin/sh
# Userdata of a Netsy node on Debian or any other Linux with systemd. It belongs behind the lines that install and start the
# Nstance agent; docs/vm.md shows the whole. It may run again at any time: to try again what failed, or to upgrade.
#
#   NETSY_DOWNLOAD_URL     the program; default: the latest release for this machine
#   NETSY_DOWNLOAD_SHA512  what `sha512sum` says of it; default: not checked
#   NETSY_WAIT_SECONDS     how long to wait for the agent to deliver its files; default 600
#   NSTANCE_RECV_DIR, NSTANCE_KEYS_DIR, NSTANCE_IDENTITY_DIR  where it delivers them
set -eu

fail() {
  echo "netsy userdata: $*" >&2
  exit 1
}

[ "$(id -u)" -eq 0 ] || fail "must run as root"
case $(uname -m) in
x86_64) arch=amd64 ;;
aarch64 | arm64) arch=arm64 ;;
*) fail "there is no release for $(uname -m)" ;;
esac
url=${NETSY_DOWNLOAD_URL:-https://github.com/netsy-dev/netsy/releases/latest/download/netsy-linux-$arch}
sum=${NETSY_DOWNLOAD_SHA512:-}

RECV="${NSTANCE_RECV_DIR:-/opt/nstance-agent/recv}"
KEYS="${NSTANCE_KEYS_DIR:-/opt/nstance-agent/keys}"
IDENTITY="${NSTANCE_IDENTITY_DIR:-/opt/nstance-agent/identity}"

has_sum() { [ "$(sha512sum "$1" | cut -d ' ' -f 1)" = "$sum" ]; }

# Install Netsy: complete and checked before it takes its name
if [ -z "$sum" ] || [ ! -e /usr/bin/netsy ] || ! has_sum /usr/bin/netsy; then
  trap 'rm -f /usr/bin/.netsy.new' EXIT
  curl -fsSL --retry 5 --retry-connrefused --max-time 600 "$url" -o /usr/bin/.netsy.new ||
    fail "could not fetch $url"
  if [ -n "$sum" ] && ! has_sum /usr/bin/.netsy.new; then
    fail "$url has the SHA-512 sum $(sha512sum /usr/bin/.netsy.new | cut -d ' ' -f 1), not $sum"
  fi
  chmod 755 /usr/bin/.netsy.new
  mv /usr/bin/.netsy.new /usr/bin/netsy
fi

# Create netsy user and directories
id netsy >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin netsy
install -d -m 750 -o netsy -g netsy /etc/netsy/certs
install -d -m 750 -o netsy -g netsy /var/lib/netsy

# The program that puts Nstance-delivered files into place: here, and whenever Nstance delivers new ones
install -d -m 755 /usr/local/sbin
cat >/usr/local/sbin/netsy-files <<'EOF'
#!/bin/sh
# Puts what Nstance delivered where the Netsy node reads it. A running node takes new certificates by itself.
set -eu
RECV="${NSTANCE_RECV_DIR:-/opt/nstance-agent/recv}"
KEYS="${NSTANCE_KEYS_DIR:-/opt/nstance-agent/keys}"
IDENTITY="${NSTANCE_IDENTITY_DIR:-/opt/nstance-agent/identity}"
install -m 640 -o netsy -g netsy "$RECV/server.crt"        /etc/netsy/certs/server.crt
install -m 600 -o netsy -g netsy "$KEYS/netsy.server.key"  /etc/netsy/certs/server.key
install -m 640 -o netsy -g netsy "$RECV/peer.crt"          /etc/netsy/certs/peer.crt
install -m 600 -o netsy -g netsy "$KEYS/netsy.peer.key"    /etc/netsy/certs/peer.key
install -m 640 -o netsy -g netsy "$RECV/config.jsonc"      /etc/netsy/config.jsonc
install -m 640 -o netsy -g netsy "$RECV/netsy.env"         /etc/netsy/env

# Copy CA certificate from Nstance identity directory
install -m 640 -o netsy -g netsy "$IDENTITY/ca.crt" /etc/netsy/certs/ca.crt
EOF
chmod 755 /usr/local/sbin/netsy-files

# The agent delivers when the Nstance server has let it in
left=${NETSY_WAIT_SECONDS:-600}
for file in "$RECV/server.crt" "$KEYS/netsy.server.key" "$RECV/peer.crt" "$KEYS/netsy.peer.key" \
  "$RECV/config.jsonc" "$RECV/netsy.env" "$IDENTITY/ca.crt"; do
  while [ ! -s "$file" ]; do
    [ "$left" -gt 0 ] || fail "$file was not delivered within ${NETSY_WAIT_SECONDS:-600} s; journalctl -u nstance-agent says why"
    left=$((left - 1))
    sleep 1
  done
done
NSTANCE_RECV_DIR="$RECV" NSTANCE_KEYS_DIR="$KEYS" NSTANCE_IDENTITY_DIR="$IDENTITY" /usr/local/sbin/netsy-files

# Renewed certificates: put into place as they are delivered
cat >/etc/systemd/system/netsy-files.service <<EOF
[Unit]
Description=Files that Nstance delivered for Netsy
StartLimitIntervalSec=0

[Service]
Type=oneshot
# The others of one delivery arrive meanwhile.
ExecStartPre=/bin/sleep 2
Environment="NSTANCE_RECV_DIR=$RECV" "NSTANCE_KEYS_DIR=$KEYS" "NSTANCE_IDENTITY_DIR=$IDENTITY"
ExecStart=/usr/local/sbin/netsy-files
EOF
cat >/etc/systemd/system/netsy-files.path <<EOF
[Unit]
Description=New files from Nstance for Netsy

[Path]
PathChanged=$RECV/server.crt
PathChanged=$RECV/peer.crt
PathChanged=$RECV/config.jsonc
PathChanged=$RECV/netsy.env
PathChanged=$IDENTITY/ca.crt

[Install]
WantedBy=multi-user.target
EOF

# Install systemd unit
cat > /etc/systemd/system/netsy.service <<'EOF'
[Unit]
Description=Netsy
Documentation=https://github.com/netsy-dev/netsy
Wants=network-online.target
After=network-online.target nstance-agent.service
# However often it fails, it is started again: what it waits for may come back at any time.
StartLimitIntervalSec=0

[Service]
# Ready is what /readyz says. A start does not wait for it: a node may wait for other machines, as long as it takes.
Type=exec
Restart=always
RestartSec=2
User=netsy
Group=netsy
EnvironmentFile=/etc/netsy/env
ExecStart=/usr/bin/netsy
# A Primary hands over and stores what the bucket lacks, for 15 s at the most.
TimeoutStopSec=45
LimitNOFILE=65536

# The only place it writes to: NETSY_DATA_DIR, and whatever is added here.
StateDirectory=netsy
StateDirectoryMode=0750
ProtectSystem=strict
UMask=0077

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# V8 compiles to memory that it then runs.
MemoryDenyWriteExecute=no

[Install]
WantedBy=multi-user.target
EOF

systemctl daemon-reload
systemctl enable --now netsy-files.path
systemctl enable --now netsy
