import { assert, describe, it } from "@effect/vitest"
import { parseCipherSuites } from "../../src/core/config/etcd/cipherSuites.ts"
import { identifierOf } from "../../src/core/config/etcd/names.ts"
import { parseUrls } from "../../src/core/config/etcd/urls.ts"
import { isIdentifier } from "../../src/core/config/identifier.ts"
import { etcdRefusal, etcdSettings, etcdWarnings } from "./etcdSetup.ts"

const listen = (url: string): ReadonlyArray<string> => [
  `--listen-client-urls=${url}`,
  "--advertise-client-urls=http://a.example:2379"
]

const kubeadm = [
  "--name=cp-1",
  "--feature-gates=InitialCorruptCheck=true",
  "--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379",
  "--advertise-client-urls=https://10.0.0.1:2379",
  "--listen-peer-urls=https://10.0.0.1:2380",
  "--initial-advertise-peer-urls=https://10.0.0.1:2380",
  "--data-dir=/var/lib/etcd",
  "--cert-file=/pki/server.crt",
  "--key-file=/pki/server.key",
  "--trusted-ca-file=/pki/ca.crt",
  "--client-cert-auth=true",
  "--peer-cert-file=/pki/peer.crt",
  "--peer-key-file=/pki/peer.key",
  "--peer-trusted-ca-file=/pki/ca.crt",
  "--peer-client-cert-auth=true",
  "--snapshot-count=10000",
  "--listen-metrics-urls=http://127.0.0.1:2381",
  "--watch-progress-notify-interval=5s",
  "--initial-cluster=cp-1=https://10.0.0.1:2380",
  "--initial-cluster-state=existing"
]

describe("settings of netsy etcd", () => {
  it("without flags are etcd's defaults and a store in the data directory", () => {
    const found = etcdSettings({})
    assert.deepInclude(found, { clusterId: "etcd-cluster", nodeId: "default", dataDir: "/srv/default.etcd" })
    assert.deepInclude(found.storage, { provider: "directory", path: "/srv/default.etcd/object-store" })
    assert.deepStrictEqual(found.limits, { maxRequestBytes: 1_572_864, maxTxnOps: 128, quotaBytes: 2_147_483_648 })
    assert.deepStrictEqual(found.bind.client, { host: "localhost", port: 2379 })
    assert.deepInclude(found.etcd, {
      memberName: "default",
      members: ["default"],
      advertiseClientUrls: ["http://localhost:2379"],
      advertisePeerUrls: ["http://localhost:2380"],
      listenMetrics: [],
      clientTls: undefined,
      peerTls: undefined,
      tlsMinVersion: "TLSv1.2",
      tlsMaxVersion: "TLSv1.3"
    })
    assert.deepStrictEqual(found.log, { format: "zap-json", debug: false, level: "info", outputs: ["stderr"] })
    assert.deepInclude(found, {
      autoCompaction: undefined,
      lease: { minTtlSeconds: 2 },
      http: { cors: ["*"], hostWhitelist: ["*"], gateway: true },
      metricsLevel: "basic",
      compaction: { batchLimit: 1_000, sleepMillis: 10 }
    })
  })

  it("of kubeadm's manifest are taken as they are", () => {
    const found = etcdSettings({ argv: kubeadm })
    assert.deepInclude(found, { nodeId: "cp-1", dataDir: "/var/lib/etcd" })
    assert.deepStrictEqual(
      found.etcd.listenClient.map(({ address, secure }) => [address.host, address.port, secure]),
      [
        ["127.0.0.1", 2379, true],
        ["10.0.0.1", 2379, true]
      ]
    )
    assert.deepStrictEqual(found.etcd.clientTls, {
      files: { cert: "/pki/server.crt", key: "/pki/server.key" },
      clientFiles: undefined,
      trustedCaFile: "/pki/ca.crt",
      clientCertAuth: true,
      crlFile: undefined,
      allowedCommonNames: [],
      allowedHostnames: []
    })
    assert.isTrue(found.auth.clientCertAuth)
    assert.strictEqual(found.watch.progressIntervalMillis, 5_000)
    assert.deepStrictEqual(etcdWarnings({ argv: kubeadm }), [
      "--feature-gates InitialCorruptCheck has no effect: every record carries a checksum that is compared whenever it is read"
    ])
  })

  it("turn values of etcd into Netsy's", () => {
    const read = (...argv: ReadonlyArray<string>) => etcdSettings({ argv })
    assert.deepStrictEqual(read("--auto-compaction-retention=8").autoCompaction, {
      mode: "periodic",
      retentionMillis: 28_800_000
    })
    assert.deepStrictEqual(read("--auto-compaction-retention=5m").autoCompaction, {
      mode: "periodic",
      retentionMillis: 300_000
    })
    assert.deepStrictEqual(read("--auto-compaction-mode=revision", "--auto-compaction-retention=1000").autoCompaction, {
      mode: "revision",
      retentionRevisions: 1_000
    })
    assert.isUndefined(read("--auto-compaction-retention=0").autoCompaction)
    assert.strictEqual(read("--quota-backend-bytes=0").limits.quotaBytes, 2 * 1024 ** 3)
    assert.strictEqual(read("--quota-backend-bytes=-1").limits.quotaBytes, 0)
    assert.strictEqual(read("--quota-backend-bytes=0x1000000").limits.quotaBytes, 16_777_216)
    assert.strictEqual(read("--election-timeout=5000", "--heartbeat-interval=500").lease.minTtlSeconds, 8)
    assert.strictEqual(read("--snapshot-count=5").snapshot.thresholdRecords, 5)
    assert.deepStrictEqual(read("--bcrypt-cost=4", "--auth-token-ttl=60").auth, {
      tokens: { kind: "simple", ttlSeconds: 60 },
      bcryptCost: 4,
      clientCertAuth: false
    })
    assert.deepStrictEqual(read("--auth-token=jwt,pub-key=p,priv-key=/k,sign-method=RS256").auth.tokens, {
      kind: "jwt",
      publicKeyFile: "/srv/p",
      privateKeyFile: "/k",
      signMethod: "RS256",
      ttlSeconds: 300
    })
    assert.deepStrictEqual(read("--log-outputs=stdout,etcd.log,systemd/journal", "--log-level=panic").log, {
      format: "zap-json",
      debug: false,
      level: "fatal",
      outputs: ["stdout", "/srv/etcd.log", "stderr"]
    })
    assert.isTrue(read("--debug", "--log-format=console").log.debug)
    const suites = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"
    assert.deepStrictEqual(read(`--cipher-suites=${suites}`).etcd.cipherSuites, [
      "ECDHE-RSA-AES128-GCM-SHA256",
      "ECDHE-RSA-CHACHA20-POLY1305"
    ])
    assert.deepStrictEqual(
      read("--grpc-keepalive-interval=10s", "--grpc-keepalive-timeout=1s", "--max-concurrent-streams=7").etcd.keepAlive,
      { intervalMillis: 10_000, timeoutMillis: 1_000 }
    )
  })

  it("keep what etcd has no flag for in Netsy's variables, which flags win over", () => {
    const env = {
      NETSY_SNAPSHOT_KEEP: "9",
      NETSY_LIMITS_QUOTA_BYTES: "5",
      NETSY_LIMITS_MAX_TXN_OPS: "6",
      NETSY_NODE_ID: "other"
    }
    const found = etcdSettings({ argv: ["--max-txn-ops=7"], env })
    assert.deepStrictEqual([found.snapshot.keep, found.limits.quotaBytes, found.limits.maxTxnOps], [9, 5, 7])
    assert.strictEqual(found.nodeId, "default")
    assert.include(etcdWarnings({ env }), "NETSY_NODE_ID has no effect: the flags of etcd say it")
  })

  it("put a shared store under the cluster's token, and several members need one", () => {
    const two = "--initial-cluster=a=http://10.0.0.1:2380,b=http://10.0.0.2:2380"
    const argv = ["--name=a", two, "--initial-advertise-peer-urls=http://10.0.0.1:2380", "--initial-cluster-token=prod"]
    assert.include(etcdRefusal({ argv })[0], "NETSY_STORAGE for the store that the 2 members share")
    const shared = etcdSettings({ argv, env: { NETSY_STORAGE: "s3://bucket/etcd" } })
    assert.deepInclude(shared.storage, { provider: "s3", bucketName: "bucket", keyPrefix: "etcd/prod/" })
    assert.deepStrictEqual(shared.etcd.members, ["a", "b"])
    assert.strictEqual(shared.clusterId, "prod")
    const local = etcdSettings({ argv: ["--initial-cluster-token=My Cluster"], env: { NETSY_STORAGE: "dir:/store" } })
    assert.match(local.storage.path, /^\/store\/my-cluster-[0-9a-f]{8}$/)
    assert.include(etcdRefusal({ argv: ["--name=c", two] })[0], 'this one (--name "c") among them')
    assert.include(etcdRefusal({ argv: ["--initial-cluster=nonsense"] })[0], "is not of the form name=url")
  })

  it("refuse a directory that holds data of etcd itself", () => {
    const [reason] = etcdRefusal({ argv: ["--data-dir=/var/lib/etcd"], existing: ["/var/lib/etcd/member"] })
    assert.include(reason, "holds the data of an etcd server")
  })

  it("refuse what cannot be ignored", () => {
    const cases: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
      [["--listen-client-urls=http://127.0.0.1:1"], "--advertise-client-urls: missing"],
      [listen("https://127.0.0.1:2379"), "--cert-file: missing"],
      [[...listen("https://127.0.0.1:2379"), "--cert-file=a"], "--key-file: missing"],
      [[...listen("https://1.1.1.1:1"), "--cert-file=a", "--key-file=b", "--client-cert-auth"], "--trusted-ca-file"],
      [listen("ftp://127.0.0.1:2379"), "the scheme must be http, https, unix or unixs"],
      [listen("http://127.0.0.1"), "the port is missing"],
      [listen("http://127.0.0.1:2379/x"), "nothing after host:port"],
      [listen("http://localhost:2380"), "--listen-peer-urls"],
      [["--listen-client-urls=http://:2379", "--advertise-client-urls=http://:2379"], "a host that others can dial"],
      [["--discovery=https://discovery.example/x"], "there is no discovery here"],
      [["--discovery-srv=example.com"], "there is no discovery here"],
      [["--proxy=on"], "no v2 API here"],
      [["--auto-compaction-mode=daily"], "periodic, revision"],
      [["--auto-compaction-mode=revision", "--auto-compaction-retention=1h"], "a whole number"],
      [["--heartbeat-interval=0"], "1 or more"],
      [["--election-timeout=400"], "at least 5 times --heartbeat-interval"],
      [["--election-timeout=50001"], "at most 50000"],
      [["--cipher-suites=TLS_NONE"], "unexpected TLS cipher suite"],
      [["--tls-min-version=TLS1.1"], "TLS1.2 or TLS1.3"],
      [["--tls-min-version=TLS1.3", "--tls-max-version=TLS1.2"], "at most --tls-max-version"],
      [["--tls-min-version=TLS1.3", "--cipher-suites=TLS_AES_128_GCM_SHA256"], "cannot be chosen"],
      [["--feature-gates=NoSuchThing=true"], '"NoSuchThing" is none'],
      [["--feature-gates=InitialCorruptCheck=perhaps"], "InitialCorruptCheck=true or"],
      [["--initial-cluster-state=old"], "new, existing"],
      [["--log-outputs=default,stdout"], "default alone"],
      [["--log-format=xml"], "json, console"],
      [["--auth-token=basic"], "neither simple nor jwt"],
      [["--name="], "--name"],
      [["--initial-cluster-token="], "--initial-cluster-token"],
      [["--max-concurrent-streams=0"], "1 to 4294967295"],
      [["--self-signed-cert-validity=0"], "1 to 100 years"],
      [["--auth-token-ttl=0"], "whole seconds, 1s or more"]
    ]
    for (const [argv, part] of cases) {
      assert.isTrue(
        etcdRefusal({ argv }).some((reason) => reason.includes(part)),
        `${argv.join(" ")}: ${etcdRefusal({ argv }).join(" | ")}`
      )
    }
    // Without a value they are as good as absent.
    assert.deepStrictEqual(etcdWarnings({ argv: ["--discovery=", "--proxy=off"] }), [])
  })

  it("go on with a warning where etcd does", () => {
    assert.strictEqual(etcdSettings({ argv: ["--bcrypt-cost=99"] }).auth.bcryptCost, 10)
    assert.include(etcdWarnings({ argv: ["--bcrypt-cost=99"] })[0], "10 is used")
    const argv = [...listen("http://127.0.0.1:2379"), "--cert-file=a", "--key-file=b"]
    assert.include(etcdWarnings({ argv })[0], "is plain text although certificates are given")
    assert.include(
      etcdWarnings({ argv: ["--initial-cluster=default=http://10.0.0.9:2380"] })[0],
      "--initial-advertise-peer-urls says http://localhost:2380"
    )
  })
})

describe("names of etcd", () => {
  it("become identifiers that stay different", () => {
    const names = ["cp-1.example.com", "cp-1-example-com", "CP-1", "cp_1", "ü", "", "-", "a".repeat(60), "a".repeat(61)]
    const made = names.map(identifierOf)
    for (const name of made) assert.isTrue(isIdentifier(name), name)
    assert.strictEqual(new Set(made).size, names.length)
    assert.strictEqual(identifierOf("cp-1"), "cp-1")
    assert.match(identifierOf("cp-1.example.com"), /^cp-1-example-com-[0-9a-f]{8}$/)
  })
})

describe("addresses of etcd", () => {
  it("are one or several of four schemes", () => {
    const parsed = parseUrls("http://127.0.0.1:1, https://[::1]:2,unix:///run/e.sock,unixs://rel:3,http://127.0.0.1:1")
    assert.deepStrictEqual(
      parsed.ok &&
        parsed.urls.map(({ address, scheme }) => [scheme, address.path ?? `${address.host} ${address.port}`]),
      [
        ["http", "127.0.0.1 1"],
        ["https", "::1 2"],
        ["unix", "/run/e.sock"],
        ["unixs", "rel:3"]
      ]
    )
    assert.isFalse(parseUrls(Array.from({ length: 65 }, (_, i) => `http://a:${i}`).join(",")).ok)
  })
})

describe("cipher suites", () => {
  it("of TLS 1.3 are always on, broken ones stay off, both with a word", () => {
    const parsed = parseCipherSuites(["TLS_AES_128_GCM_SHA256", "TLS_RSA_WITH_RC4_128_SHA"])
    assert.isTrue(parsed.ok)
    assert.deepStrictEqual(parsed.ok && [parsed.openssl, parsed.warnings.length], [[], 2])
    assert.isFalse(parseCipherSuites(["TLS_RSA_WITH_RC4_128_SHA"]).ok)
  })
})
