import { assert, describe, it } from "@effect/vitest"
import { readConfigFile } from "../../src/core/config/etcd/configFile.ts"
import { etcdRefusal, etcdSettings, etcdWarnings } from "./etcdSetup.ts"

const file = `
# As etcd's own sample has it
name: 'file-member'
data-dir: /var/lib/file
listen-client-urls: https://10.0.0.1:2379
advertise-client-urls: https://10.0.0.1:2379
initial-cluster:
quota-backend-bytes: 0
max-txn-ops: 200
watch-progress-notify-interval: 5000000000
grpc-keepalive-timeout: 10s
enable-grpc-gateway: false
log-outputs: [stdout, stderr]
feature-gates:
  InitialCorruptCheck: false
client-transport-security:
  cert-file: server.crt
  key-file: server.key
  client-cert-auth: true
  trusted-ca-file: ca.crt
peer-transport-security:
  auto-tls: true
  allowed-cn: peer
experimental-compaction-batch-limit: 77
unheard-of: 1
`

const setup = (
  text: string,
  extra: { readonly argv?: ReadonlyArray<string>; readonly env?: Record<string, string> } = {}
) => ({
  argv: ["--config-file=etcd.yaml", ...(extra.argv ?? [])],
  env: extra.env ?? {},
  files: { "etcd.yaml": text }
})

describe("a configuration file of etcd", () => {
  it("gives every setting, in YAML", () => {
    const found = etcdSettings(setup(file))
    assert.deepInclude(found, { nodeId: "file-member", dataDir: "/var/lib/file" })
    assert.strictEqual(found.limits.maxTxnOps, 200)
    assert.strictEqual(found.watch.progressIntervalMillis, 5_000)
    assert.strictEqual(found.etcd.keepAlive.timeoutMillis, 10_000)
    assert.strictEqual(found.compaction.batchLimit, 77)
    assert.isFalse(found.http.gateway)
    assert.deepStrictEqual(found.log.outputs, ["stdout", "stderr"])
    assert.deepInclude(found.etcd.clientTls, {
      files: { cert: "/srv/server.crt", key: "/srv/server.key" },
      trustedCaFile: "/srv/ca.crt",
      clientCertAuth: true
    })
    assert.deepStrictEqual(etcdWarnings(setup(file)), [
      "etcd.yaml: unknown key unheard-of is ignored",
      "--experimental-compaction-batch-limit is the name of older versions; today it is --compaction-batch-limit",
      "http://localhost:2380 is plain text although certificates are given; they do not protect it"
    ])
  })

  it("names the key of a group that was probably meant", () => {
    const contents = "client-transport-security:\n  cert_file: a\npeer-transport-security:\n  trusted-ca-fil: b\n"
    assert.deepStrictEqual(etcdWarnings({ argv: ["--config-file", "e.yaml"], files: { "e.yaml": contents } }), [
      "e.yaml: unknown key client-transport-security.cert_file is ignored; did you mean cert-file?",
      "e.yaml: unknown key peer-transport-security.trusted-ca-fil is ignored; did you mean trusted-ca-file?"
    ])
  })

  it("may be JSON, and may be named by a variable", () => {
    const found = etcdSettings({
      env: { ETCD_CONFIG_FILE: "etcd.json" },
      files: { "etcd.json": '{"name": "j", "auto-compaction-retention": "2", "max-request-bytes": 2097152}' }
    })
    assert.deepInclude(found, { nodeId: "j", autoCompaction: { mode: "periodic", retentionMillis: 7_200_000 } })
    assert.strictEqual(found.limits.maxRequestBytes, 2_097_152)
  })

  it("stands alone: flags and variables are ignored then", () => {
    const both = setup("name: a", { argv: ["--name=b", "--max-txn-ops=5"], env: { ETCD_MAX_TXN_OPS: "6" } })
    const found = etcdSettings(both)
    assert.deepStrictEqual([found.nodeId, found.limits.maxTxnOps], ["a", 128])
    assert.deepStrictEqual(etcdWarnings(both), ["--name, --max-txn-ops ignored: the file etcd.yaml says everything"])
  })

  it("that is wrong is refused with the place", () => {
    const cases: ReadonlyArray<readonly [string, string]> = [
      ["name: [", "etcd.yaml: "],
      ["- a\n- b", "keys with values are needed"],
      ["just words", "keys with values are needed"],
      ["max-txn-ops: many", 'invalid value "many" for max-txn-ops: parse error'],
      ["max-txn-ops: 1.5", 'invalid value "1.5" for max-txn-ops: parse error'],
      ["max-txn-ops: {a: {b: 1}}", "neither a text nor a number"],
      ["client-transport-security: yes", "a group of keys is needed"],
      ["name: a\nname: b", "unique"],
      [
        "a: &a [x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c]",
        "etcd.yaml: "
      ],
      [`a: ${"[".repeat(100)}`, "more than 32 levels"],
      [`name: ${"x".repeat(1 << 20)}`, "longer than"],
      ["log-level: loud", "--log-level (etcd.yaml: log-level)"]
    ]
    for (const [text, part] of cases) {
      const reasons = etcdRefusal(setup(text))
      assert.isTrue(
        reasons.some((reason) => reason.includes(part)),
        `${text.slice(0, 60)}: ${reasons.join(" | ")}`
      )
    }
    assert.include(etcdRefusal({ argv: ["--config-file=gone.yaml"] })[0], "gone.yaml: ENOENT")
    assert.deepStrictEqual(readConfigFile("e", "").errors, [])
  })
})
