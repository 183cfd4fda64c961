/**
 * Every flag of etcd (etcd-api.md 6.1), with what it is to this server. `idle` says why a flag has no effect here; it is
 * accepted all the same, so that a command line written for etcd works. `refused` names what cannot be ignored.
 */

/** `ignored`: with a value or none, whatever it is. */
export type FlagKind = "text" | "bool" | "uint" | "int" | "duration" | "ignored"

export type FlagGroup = "member" | "cluster" | "security" | "auth" | "logging" | "checks" | "unsafe" | "misc"

export interface FlagSpec {
  readonly name: string
  readonly kind: FlagKind
  readonly group: FlagGroup
  /** As etcd has it. */
  readonly fallback: string
  readonly about: string
  readonly idle?: string
  readonly refused?: string
}

type Row = readonly [name: string, kind: FlagKind, fallback: string, about: string]
type IdleRow = readonly [name: string, kind: FlagKind, fallback: string, why: string]

const used = (group: FlagGroup, rows: ReadonlyArray<Row>): ReadonlyArray<FlagSpec> =>
  rows.map(([name, kind, fallback, about]) => ({ name, kind, group, fallback, about }))

const idle = (group: FlagGroup, rows: ReadonlyArray<IdleRow>): ReadonlyArray<FlagSpec> =>
  rows.map(([name, kind, fallback, why]) => ({ name, kind, group, fallback, about: "", idle: why }))

const noRaft = "there is no Raft here"
const noWal = "there is no write-ahead log of its own here"
const noBbolt = "the local database is SQLite"
const checksums = "every record carries a checksum that is compared whenever it is read"
const noTracing = "there is no tracing here"
const noDiscovery = "there is no discovery here; name the members with --initial-cluster"
const noV2 = "there is no v2 API here"
const since = "it has had no effect in etcd either for a long time"

/** One flag of a port's TLS; `prefix` is `` for clients and `peer-` for peers. */
const tlsFlags = (prefix: "" | "peer-", who: string): ReadonlyArray<FlagSpec> => [
  ...used("security", [
    [`${prefix}cert-file`, "text", "", `certificate of the ${who} port, PEM`],
    [`${prefix}key-file`, "text", "", `key of --${prefix}cert-file`],
    [`${prefix}trusted-ca-file`, "text", "", `CA that signs the certificates of ${who}s`],
    [`${prefix}client-cert-auth`, "bool", "false", `${who}s need a certificate of --${prefix}trusted-ca-file`],
    [`${prefix === "" ? "client-" : prefix}crl-file`, "text", "", `certificates of ${who}s that are revoked`],
    [`${prefix === "" ? "client-" : prefix}cert-allowed-hostname`, "text", "", `host names of ${who}s that are let in`],
    [`${prefix}auto-tls`, "bool", "false", `makes a certificate for the ${who} port by itself`]
  ])
]

export const flagTable: ReadonlyArray<FlagSpec> = [
  ...used("member", [
    ["name", "text", "default", "this member's name"],
    ["data-dir", "text", "${name}.etcd", "directory of the local database and, without NETSY_STORAGE, of the store"],
    ["snapshot-count", "uint", "10000", "records until the store gets a snapshot"],
    ["election-timeout", "uint", "1000", "milliseconds; leases live at least 1.5 times as long"],
    ["listen-peer-urls", "text", "http://localhost:2380", "where other members and /health/leadership are served"],
    ["listen-client-urls", "text", "http://localhost:2379", "where clients are served: http, https, unix, unixs"],
    ["listen-client-http-urls", "text", "", "where HTTP is served instead of on the client addresses"],
    ["quota-backend-bytes", "int", "0", "size at which writes are refused; 0: 2 GiB, negative: none"],
    ["max-txn-ops", "uint", "128", "operations in a transaction"],
    ["max-request-bytes", "uint", "1572864", "bytes of a request"],
    ["max-concurrent-streams", "uint", "4294967295", "streams on one connection"],
    ["grpc-keepalive-interval", "duration", "2h0m0s", "silence after which a client is pinged; 0: never"],
    ["grpc-keepalive-timeout", "duration", "20s", "time for the answer to a ping"],
    ["enable-grpc-gateway", "bool", "true", "the JSON gateway /v3/..."],
    ["socket-reuse-port", "bool", "false", "several processes may listen on one port"]
  ]),
  ...idle("member", [
    ["wal-dir", "text", "", noWal],
    ["heartbeat-interval", "uint", "100", noRaft],
    ["initial-election-tick-advance", "bool", "true", noRaft],
    ["max-snapshots", "uint", "5", "the store keeps what NETSY_SNAPSHOT_KEEP and NETSY_SNAPSHOT_HISTORY say"],
    ["max-wals", "uint", "5", noWal],
    ["memory-mlock", "bool", "false", "a program on Node.js cannot lock its memory"],
    ["backend-bbolt-freelist-type", "text", "map", noBbolt],
    ["backend-batch-interval", "duration", "0s", noBbolt],
    ["backend-batch-limit", "int", "0", noBbolt],
    ["grpc-keepalive-min-time", "duration", "5s", "clients may ping as often as they like"],
    ["socket-reuse-address", "bool", "false", "addresses are always reused"],
    ["raft-read-timeout", "duration", "5s", noRaft],
    ["raft-write-timeout", "duration", "5s", noRaft],
    ["wait-cluster-ready-timeout", "duration", "5s", "ports open when the node is ready"],
    ["set-member-localaddr", "bool", "false", "calls to other members leave from any address"],
    ["enable-lease-checkpoint", "bool", "false", "leases start anew with a new leader"],
    ["enable-lease-checkpoint-persist", "bool", "false", "leases start anew with a new leader"],
    ["txn-mode-write-with-shared-buffer", "bool", "true", noBbolt],
    ["stop-grpc-service-on-defrag", "bool", "false", "defragmentation stops nobody here"],
    ["enable-v2", "bool", "false", noV2],
    ["enable-v2v3", "text", "", noV2]
  ]),
  {
    name: "feature-gates",
    kind: "text",
    group: "member",
    fallback: "",
    about: "names as in etcd; none changes anything"
  },
  ...used("cluster", [
    ["initial-advertise-peer-urls", "text", "http://localhost:2380", "where other members reach this one"],
    ["initial-cluster", "text", "default=http://localhost:2380", "all members, name=url with commas between them"],
    ["initial-cluster-state", "text", "new", "new or existing; the store itself knows which"],
    ["initial-cluster-token", "text", "etcd-cluster", "the cluster's name, and its prefix in NETSY_STORAGE"],
    ["advertise-client-urls", "text", "http://localhost:2379", "where clients reach this member"],
    ["auto-compaction-mode", "text", "periodic", "periodic or revision"],
    [
      "auto-compaction-retention",
      "text",
      "0",
      "history that stays: hours, a duration, or a number of revisions; 0: off"
    ]
  ]),
  ...idle("cluster", [
    ["strict-reconfig-check", "bool", "true", noRaft],
    ["pre-vote", "bool", "true", noRaft],
    ["v2-deprecation", "text", "not-yet", noV2],
    ["proxy-failure-wait", "uint", "5000", noV2],
    ["proxy-refresh-interval", "uint", "30000", noV2],
    ["proxy-dial-timeout", "uint", "1000", noV2],
    ["proxy-write-timeout", "uint", "5000", noV2],
    ["proxy-read-timeout", "uint", "0", noV2],
    ["discovery-fallback", "text", "exit", noDiscovery],
    ["discovery-proxy", "text", "", noDiscovery],
    ["discovery-dial-timeout", "duration", "2s", noDiscovery],
    ["discovery-request-timeout", "duration", "5s", noDiscovery],
    ["discovery-keepalive-time", "duration", "2s", noDiscovery],
    ["discovery-keepalive-timeout", "duration", "6s", noDiscovery],
    ["discovery-insecure-transport", "bool", "true", noDiscovery],
    ["discovery-insecure-skip-tls-verify", "bool", "false", noDiscovery],
    ["discovery-cert", "text", "", noDiscovery],
    ["discovery-key", "text", "", noDiscovery],
    ["discovery-cacert", "text", "", noDiscovery],
    ["discovery-user", "text", "", noDiscovery],
    ["discovery-password", "text", "", noDiscovery]
  ]),
  ...(["discovery", "discovery-srv", "discovery-srv-name", "discovery-endpoints", "discovery-token"] as const).map(
    (name): FlagSpec => ({ name, kind: "text", group: "cluster", fallback: "", about: "", refused: noDiscovery })
  ),
  { name: "proxy", kind: "text", group: "cluster", fallback: "off", about: "", refused: `${noV2} and no proxy for it` },
  ...tlsFlags("", "client"),
  ...tlsFlags("peer-", "peer"),
  ...used("security", [
    ["peer-client-cert-file", "text", "", "certificate for calls to other members, if not --peer-cert-file"],
    ["peer-client-key-file", "text", "", "key of --peer-client-cert-file"],
    ["peer-cert-allowed-cn", "text", "", "common names of peers that are let in"],
    ["self-signed-cert-validity", "uint", "1", "years that a certificate of --auto-tls is valid"],
    ["cipher-suites", "text", "", "for TLS 1.2, in Go's names with commas between them"],
    ["cors", "text", "*", "origins that browsers may call from"],
    ["host-whitelist", "text", "*", "values of Host that are answered without TLS"],
    ["tls-min-version", "text", "TLS1.2", "TLS1.2 or TLS1.3"],
    ["tls-max-version", "text", "", "TLS1.2 or TLS1.3"]
  ]),
  ...idle("security", [
    ["client-cert-file", "text", "", "the JSON gateway needs no connection of its own"],
    ["client-key-file", "text", "", "the JSON gateway needs no connection of its own"],
    ["peer-skip-client-san-verification", "bool", "false", "addresses in peers' certificates are not compared"]
  ]),
  ...used("auth", [
    ["auth-token", "text", "simple", "simple, or jwt,sign-method=RS256,pub-key=PATH,priv-key=PATH,ttl=5m"],
    ["bcrypt-cost", "uint", "10", "cost of hashing passwords, 4 to 31"],
    ["auth-token-ttl", "uint", "300", "seconds that an unused simple token lives"]
  ]),
  ...used("logging", [
    ["log-outputs", "text", "default", "default, stdout, stderr or paths, with commas between them"],
    ["log-level", "text", "info", "debug, info, warn, error, panic or fatal"],
    ["log-format", "text", "json", "json or console"],
    ["debug", "bool", "false", "the same as --log-level=debug"],
    ["metrics", "text", "basic", "basic or extensive; /metrics shows everything with both"],
    ["listen-metrics-urls", "text", "", "where /metrics, /health, /livez and /readyz are served too"]
  ]),
  ...idle("logging", [
    ["logger", "text", "zap", "there is one logger; it writes lines as zap does"],
    ["log-package-levels", "text", "", "--log-level holds for all of the program"],
    ["enable-log-rotation", "bool", "false", "rotate files of --log-outputs from outside, by copying and truncating"],
    ["log-rotation-config-json", "text", "", "rotate files of --log-outputs from outside, by copying and truncating"],
    ["warning-unary-request-duration", "duration", "300ms", "slow calls show in the metrics"],
    ["warning-apply-duration", "duration", "100ms", "slow calls show in the metrics"],
    ["enable-pprof", "bool", "false", "there are no Go profiles; NODE_OPTIONS=--inspect shows what the program does"],
    ["enable-distributed-tracing", "bool", "false", noTracing],
    ["distributed-tracing-address", "text", "localhost:4317", noTracing],
    ["distributed-tracing-service-name", "text", "etcd", noTracing],
    ["distributed-tracing-instance-id", "text", "", noTracing],
    ["distributed-tracing-sampling-rate", "int", "0", noTracing]
  ]),
  ...used("checks", [
    ["compaction-batch-limit", "int", "1000", "revisions that a compaction removes in one go"],
    ["compaction-sleep-interval", "duration", "10ms", "pause between two of them"],
    ["watch-progress-notify-interval", "duration", "10m0s", "silence after which a watch hears how far it is"]
  ]),
  ...idle("checks", [
    ["initial-corrupt-check", "bool", "false", checksums],
    ["corrupt-check-time", "duration", "0s", checksums],
    ["compact-hash-check-enabled", "bool", "false", checksums],
    ["compact-hash-check-time", "duration", "1m0s", checksums],
    ["bootstrap-defrag-threshold-megabytes", "uint", "0", "space is given back all the time"],
    ["max-learners", "int", "1", "there are no learners here"],
    ["snapshot-catchup-entries", "uint", "5000", noRaft],
    ["downgrade-check-time", "duration", "5s", "there is nothing to downgrade"]
  ]),
  ...idle("unsafe", [
    [
      "force-new-cluster",
      "bool",
      "false",
      "whoever holds the store's lock is the cluster; no majority has to be forced"
    ],
    ["unsafe-no-fsync", "bool", "false", "what is answered is on disk, always"]
  ]),
  ...used("misc", [
    ["config-file", "text", "", "YAML or JSON with all settings; flags and variables are ignored then"],
    ["version", "bool", "false", "print the version and exit"]
  ]),
  ...[
    ...["cluster-active-size", "cluster-remove-delay", "cluster-sync-interval", "config", "force", "max-result-buffer"],
    ...[
      "max-retry-attempts",
      "peer-heartbeat-interval",
      "peer-election-timeout",
      "retry-interval",
      "snapshot",
      "v",
      "vv"
    ]
  ].map((name): FlagSpec => ({ name, kind: "ignored", group: "misc", fallback: "", about: "", idle: since }))
]

const byName: ReadonlyMap<string, FlagSpec> = new Map(flagTable.map((spec) => [spec.name, spec]))

/** Spellings of older versions that differ by more than the prefix. */
const formerNames: Readonly<Record<string, string>> = {
  "experimental-enable-initial-corrupt-check": "initial-corrupt-check",
  "experimental-set-member-local-addr": "set-member-localaddr",
  "experimental-memory-mlock": "memory-mlock",
  "set-member-local-addr": "set-member-localaddr"
}

const experimentalPrefix = "experimental-"

export interface FoundFlag {
  readonly spec: FlagSpec
  /** The spelling that was used, when it is not the flag's name of today. */
  readonly former: string | undefined
}

export const findFlag = (name: string): FoundFlag | undefined => {
  const exact = byName.get(name)
  if (exact !== undefined) return { spec: exact, former: undefined }
  const today = Object.hasOwn(formerNames, name)
    ? formerNames[name]!
    : name.startsWith(experimentalPrefix)
      ? name.slice(experimentalPrefix.length)
      : undefined
  const spec = today === undefined ? undefined : byName.get(today)
  return spec === undefined ? undefined : { spec, former: name }
}

export const flagNames: ReadonlyArray<string> = flagTable.map(({ name }) => name)

/** `ETCD_LISTEN_CLIENT_URLS` for `listen-client-urls`. */
export const variableOfFlag = (name: string): string => `ETCD_${name.toUpperCase().replaceAll("-", "_")}`
