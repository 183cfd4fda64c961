import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { decide } from "../../src/core/config/command.ts"
import { allVariables, fileKeys, variableOf } from "../../src/core/config/fields.ts"
import { formatProblem } from "../../src/core/config/problem.ts"
import { resolveSettings } from "../../src/core/config/resolve.ts"

interface Setup {
  readonly argv?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly file?: string
}

const inputOf = ({ argv = [], env = {}, file }: Setup) => ({
  argv: file === undefined ? argv : ["--config", "c.jsonc", ...argv],
  env,
  cwd: "/srv/app",
  readFile: (path: string) => {
    if (path === "/srv/app/c.jsonc" && file !== undefined) return file
    throw new Error(`ENOENT: no such file or directory, open '${path}'`)
  }
})

const resolve = (setup: Setup) => resolveSettings(inputOf(setup))

const settings = (setup: Setup) => {
  const resolved = resolve(setup)
  if (!resolved.ok) throw new Error(resolved.problems.map(formatProblem).join("\n"))
  return resolved.settings
}

const problems = (setup: Setup): ReadonlyArray<string> => {
  const resolved = resolve(setup)
  return resolved.ok ? [] : resolved.problems.map(formatProblem)
}

const sample = `{
  "cluster_id": "dev-cluster",
  "storage": { "provider": "s3", "bucket_name": "netsy-dev" },
  "heartbeat_interval": "1s",
  "elector": { "degradation_count": 2, "deregistration_timeout": "3m", "primary_prior_timeout": "5s" },
  "replication": { "quorum": -1, "degradation_count": 2, "chunk_buffer": { "threshold_size_mb": 4, "threshold_age_minutes": 1 } },
  "snapshot": { "threshold_records": 10000, "threshold_size_mb": 10000, "threshold_age_minutes": 0 },
  "compaction_interval": "5m"
}`

/** The sample with some keys set by path, as JSON texts. */
const sampleWith = (changes: Readonly<Record<string, string | undefined>>): string => {
  const root = JSON.parse(sample)
  for (const [path, json] of Object.entries(changes)) {
    const keys = path.split(".")
    const last = keys.pop()!
    let group = root
    for (const key of keys) group = group[key] ??= {}
    if (json === undefined) delete group[last]
    else group[last] = JSON.parse(json)
  }
  return JSON.stringify(root)
}

const nodeEnv = {
  NETSY_NODE_ID: "dev-node-1",
  NETSY_ADVERTISE_CLIENT: "localhost:2378",
  NETSY_ADVERTISE_PEER: "localhost:2381",
  NETSY_ADVERTISE_ELECTION: "localhost:8443",
  NETSY_TLS_CA_CERT: "./certs/ca.crt",
  NETSY_TLS_SERVER_CERT: "./certs/server.crt",
  NETSY_TLS_SERVER_KEY: "./certs/server.key",
  NETSY_TLS_CLIENT_CERT: "/abs/peer.crt",
  NETSY_TLS_CLIENT_KEY: "/abs/peer.key"
}

const withSample = (
  changes: Readonly<Record<string, string | undefined>>,
  env: Readonly<Record<string, string>> = {}
): Setup => ({
  file: sampleWith(changes),
  env: { ...nodeEnv, ...env }
})

describe("settings of a cluster node", () => {
  it("are the sample's values and the documented defaults", () => {
    assert.deepStrictEqual(settings({ file: sample, env: nodeEnv }), {
      clusterId: "dev-cluster",
      nodeId: "dev-node-1",
      dataDir: "/var/lib/netsy",
      storage: {
        provider: "s3",
        bucketName: "netsy-dev",
        keyPrefix: "",
        class: "STANDARD",
        encryption: "provider-managed",
        kmsKeyId: "",
        path: ""
      },
      heartbeatIntervalMillis: 1_000,
      elector: {
        degradationCount: 2,
        deregistrationTimeoutMillis: 180_000,
        primaryPriorTimeoutMillis: 5_000,
        abandonAfterMillis: undefined
      },
      replication: {
        quorum: -1,
        degradationCount: 2,
        storeLeaseMillis: undefined,
        chunkBuffer: { thresholdSizeMib: 4, thresholdAgeMinutes: 1, limitMib: 256 }
      },
      snapshot: {
        thresholdRecords: 10_000,
        thresholdSizeMib: 10_000,
        thresholdAgeMinutes: undefined,
        cleanupStrategy: "auto",
        cleanupBatchSize: 250,
        cleanupBatchIntervalMillis: 1_000,
        keep: 3,
        historyMillis: 86_400_000
      },
      compactionIntervalMillis: 300_000,
      limits: { maxRequestBytes: 1_572_864, maxTxnOps: 128, quotaBytes: 0 },
      watch: { progressIntervalMillis: 600_000 },
      autoCompaction: undefined,
      auth: { tokens: { kind: "simple", ttlSeconds: 300 }, bcryptCost: 10, clientCertAuth: false },
      lease: { minTtlSeconds: 2 },
      http: { cors: ["*"], hostWhitelist: ["*"], gateway: true },
      metricsLevel: "basic",
      compaction: { batchLimit: 1_000, sleepMillis: 10 },
      log: { format: "text", debug: false, level: "info", outputs: ["stderr"] },
      bind: {
        client: { host: "", port: 2378 },
        peer: { host: "", port: 2381 },
        election: { host: "", port: 8443 },
        health: { host: "", port: 8080 }
      },
      advertise: { client: "localhost:2378", peer: "localhost:2381", election: "localhost:8443" },
      tls: {
        caCert: "/srv/app/certs/ca.crt",
        serverCert: "/srv/app/certs/server.crt",
        serverKey: "/srv/app/certs/server.key",
        clientCert: "/abs/peer.crt",
        clientKey: "/abs/peer.key"
      },
      etcd: undefined
    })
  })

  it("follow the zero, negative and off rules of Netsy 1.x", () => {
    const zero = settings(
      withSample({
        "elector.degradation_count": "0",
        "elector.deregistration_timeout": "0",
        "replication.degradation_count": "0",
        "snapshot.threshold_records": "0",
        "snapshot.threshold_size_mb": "-1",
        "snapshot.cleanup_batch_size": "-5",
        "snapshot.cleanup_batch_interval": '"0s"',
        heartbeat_interval: "500000000",
        compaction_interval: undefined,
        "storage.key_prefix": '"a/b"'
      })
    )
    assert.strictEqual(zero.elector.degradationCount, 2)
    assert.isUndefined(zero.elector.deregistrationTimeoutMillis)
    assert.strictEqual(zero.replication.degradationCount, 2)
    assert.strictEqual(zero.snapshot.thresholdRecords, 10_000)
    assert.isUndefined(zero.snapshot.thresholdSizeMib)
    assert.strictEqual(zero.snapshot.cleanupBatchSize, 250)
    assert.strictEqual(zero.snapshot.cleanupBatchIntervalMillis, 1_000)
    assert.strictEqual(zero.heartbeatIntervalMillis, 500)
    assert.strictEqual(zero.compactionIntervalMillis, 0)
    assert.strictEqual(zero.storage.keyPrefix, "a/b/")
    assert.isUndefined(
      settings(withSample({ "elector.deregistration_timeout": '"-1s"' })).elector.deregistrationTimeoutMillis
    )
    assert.strictEqual(
      settings(withSample({ "elector.deregistration_timeout": undefined })).elector.deregistrationTimeoutMillis,
      180_000
    )
    assert.strictEqual(settings(withSample({ "replication.quorum": "-7" })).replication.quorum, -1)
  })

  it("accept every storage class of their provider and no other", () => {
    for (const [provider, classes] of [
      ["s3", ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING"]],
      ["gcs", ["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"]]
    ] as const) {
      for (const name of classes) {
        const changes = { "storage.provider": `"${provider}"`, "storage.class": `"${name}"` }
        assert.strictEqual(settings(withSample(changes)).storage.class, name)
      }
    }
    assert.deepStrictEqual(problems(withSample({ "storage.class": '"NEARLINE"' })), [
      'storage.class (c.jsonc:1:90): got "NEARLINE"; allowed: STANDARD, STANDARD_IA, INTELLIGENT_TIERING'
    ])
  })

  it("each broken rule is named with key, value and what is allowed", () => {
    const cases: ReadonlyArray<readonly [Readonly<Record<string, string | undefined>>, string, string]> = [
      [{ cluster_id: undefined }, "cluster_id", "missing"],
      [{ cluster_id: '"Not-Ok"' }, "cluster_id", "1 to 32 characters"],
      [{ cluster_id: '"a--b"' }, "cluster_id", "no --"],
      [{ cluster_id: "5" }, "cluster_id", "a text in double quotes"],
      [{ "storage.provider": '"azure"' }, "storage.provider", "s3, gcs, directory"],
      [{ "storage.bucket_name": undefined }, "storage.bucket_name", "missing"],
      [{ "storage.provider": '"directory"' }, "storage.path", "missing"],
      [{ "storage.encryption": '"none"' }, "storage.encryption", "provider-managed, customer-managed"],
      [{ "storage.encryption": '"customer-managed"' }, "storage.kms_key_id", "the id of the key"],
      [{ heartbeat_interval: undefined }, "heartbeat_interval", "greater than 0"],
      [{ heartbeat_interval: '"0s"' }, "heartbeat_interval", "greater than 0"],
      [{ heartbeat_interval: '"1 s"' }, "heartbeat_interval", "1h30m"],
      [{ heartbeat_interval: "1.5" }, "heartbeat_interval", "nanoseconds"],
      [{ heartbeat_interval: "[1]" }, "heartbeat_interval", "neither a text nor a number"],
      [{ "elector.degradation_count": "-1" }, "elector.degradation_count", "from 1 to"],
      [{ "elector.primary_prior_timeout": '"1999ms"' }, "elector.primary_prior_timeout", "2s or more"],
      [{ "elector.primary_prior_timeout": undefined }, "elector.primary_prior_timeout", "missing"],
      [{ "replication.quorum": '"majority"' }, "replication.quorum", "a whole number"],
      [
        { "replication.chunk_buffer.threshold_age_minutes": "0" },
        "replication.chunk_buffer.threshold_age_minutes",
        "1 or more"
      ],
      [{ "replication.chunk_buffer.limit_mb": "3" }, "replication.chunk_buffer.threshold_size_mb", "at most"],
      [{ "replication.store_lease": '"1ms"' }, "replication.store_lease", "200ms to 10m"],
      [
        { storage: '{ "provider": "gcs", "bucket_name": "b-1" }', "replication.store_lease": '"3999ms"' },
        "replication.store_lease",
        "4s to 10m on GCS"
      ],
      [{ "snapshot.cleanup_strategy": '"fast"' }, "snapshot.cleanup_strategy", "auto, list, direct"],
      [{ "snapshot.keep": "0" }, "snapshot.keep", "from 1 to"],
      [{ "snapshot.threshold_records": "1.5" }, "snapshot.threshold_records", "a whole number"],
      [{ "limits.max_request_bytes": "100" }, "limits.max_request_bytes", "from 1024 to 67108864"],
      [{ "limits.quota_bytes": "1e300" }, "limits.quota_bytes", "0 or more"],
      [{ "watch.progress_interval": "0" }, "watch.progress_interval", "greater than 0"],
      [{ "auto_compaction.mode": '"daily"' }, "auto_compaction.mode", "periodic, revision"],
      [{ "auto_compaction.retention": '"-1h"' }, "auto_compaction.retention", "0s or more"],
      [
        { "auto_compaction.mode": '"revision"', "auto_compaction.retention": '"1h"' },
        "auto_compaction.retention",
        "a whole number, 0 or more"
      ],
      [{ "lease.min_ttl": '"1500ms"' }, "lease.min_ttl", "whole seconds"],
      [{ "auth.token": '"jwt,sign-method=RS256"' }, "auth.token", "neither pub-key nor priv-key is given"],
      [{ "auth.bcrypt_cost": "3" }, "auth.bcrypt_cost", "from 4 to 31"],
      [{ "auth.client_cert_auth": '"yes"' }, "auth.client_cert_auth", "true or false"],
      [{ "metrics.level": '"full"' }, "metrics.level", "basic, extensive"],
      [{ "log.format": '"xml"' }, "log.format", "text, json"]
    ]
    for (const [changes, key, allowed] of cases) {
      const found = problems(withSample(changes))
      assert.lengthOf(found, 1, `${JSON.stringify(changes)}: ${found.join(" | ")}`)
      assert.isTrue(found[0]!.startsWith(key), found[0])
      assert.include(found[0], allowed)
    }
    assert.deepStrictEqual(
      problems(withSample({ "replication.quorum": "0", "replication.chunk_buffer.threshold_age_minutes": "0" })),
      []
    )
  })

  it("what the etcd API can be told has keys of its own", () => {
    const found = settings(
      withSample(
        {
          "auto_compaction.mode": '"revision"',
          "auto_compaction.retention": "5000",
          "compaction.batch_limit": "10",
          "compaction.sleep_interval": '"20ms"',
          "auth.token": '"jwt,pub-key=keys/pub.pem,sign-method=ES256,ttl=10m"',
          "auth.client_cert_auth": "true",
          "http.gateway": "false",
          "http.cors": '"https://a.example, https://b.example"'
        },
        { NETSY_LEASE_MIN_TTL: "5s", NETSY_AUTH_BCRYPT_COST: "4", NETSY_METRICS_LEVEL: "extensive" }
      )
    )
    assert.deepInclude(found, {
      autoCompaction: { mode: "revision", retentionRevisions: 5_000 },
      compaction: { batchLimit: 10, sleepMillis: 20 },
      lease: { minTtlSeconds: 5 },
      metricsLevel: "extensive",
      http: { cors: ["https://a.example", "https://b.example"], hostWhitelist: ["*"], gateway: false }
    })
    assert.deepStrictEqual(found.auth, {
      bcryptCost: 4,
      clientCertAuth: true,
      tokens: {
        kind: "jwt",
        publicKeyFile: "/srv/app/keys/pub.pem",
        privateKeyFile: undefined,
        signMethod: "ES256",
        ttlSeconds: 600
      }
    })
    const periodic = (retention: string) =>
      settings(withSample({ "auto_compaction.retention": retention })).autoCompaction
    assert.deepStrictEqual(periodic('"1h"'), { mode: "periodic", retentionMillis: 3_600_000 })
    assert.isUndefined(periodic("0"))
  })

  it("all mistakes are listed at once", () => {
    const found = problems({
      file: '{ "cluster_id": "A", "storage": { "class": "X" }, "replication": { "quorum": "two" } }',
      argv: ["--unsecure", "--verbose=maybe", "extra"],
      env: { NETSY_BIND_CLIENT: "2378", NETSY_NODE_ID: "-", NETSY_TLS_CA_CERT: "./ca" }
    })
    for (const key of [
      "--unsecure",
      "--verbose",
      "argument",
      "cluster_id",
      "storage.class",
      "storage.bucket_name",
      "heartbeat_interval",
      "elector.primary_prior_timeout",
      "replication.quorum",
      "NETSY_BIND_CLIENT",
      "NETSY_NODE_ID",
      "NETSY_ADVERTISE_PEER",
      "NETSY_TLS_SERVER_CERT",
      "NETSY_TLS_CLIENT_KEY"
    ]) {
      assert.isDefined(
        found.find((line) => line.startsWith(key)),
        key
      )
    }
    assert.include(found[0], "did you mean --insecure?")
  })

  it("a file with a syntax error is reported by its place only, beside the node's own mistakes", () => {
    const found = problems({ file: '{ "cluster_id": }', env: { ...nodeEnv, NETSY_NODE_ID: "" } })
    assert.deepStrictEqual(found, [
      "c.jsonc:1:17: got }; allowed: a value",
      'NETSY_NODE_ID: got ""; allowed: 1 to 32 characters of a-z, 0-9 and -, no - at either end, no --'
    ])
    const [missing] = problems({ argv: ["--config=gone.jsonc"], env: nodeEnv })
    assert.include(missing, "gone.jsonc: got ENOENT")
  })

  it("variables win over the file, flags over variables, and every key has a variable", () => {
    const env = {
      NETSY_HEARTBEAT_INTERVAL: "2s",
      NETSY_SNAPSHOT_KEEP: "9",
      NETSY_LOG_FORMAT: "json",
      NETSY_STORAGE: "gs://b/p",
      NETSY_REPLICATION_STORE_LEASE: "5s"
    }
    const found = settings(withSample({ "snapshot.keep": "4" }, env))
    assert.deepStrictEqual(
      [found.heartbeatIntervalMillis, found.snapshot.keep, found.log.format, found.replication.storeLeaseMillis],
      [2_000, 9, "json", 5_000]
    )
    assert.deepInclude(found.storage, { provider: "gcs", bucketName: "b", keyPrefix: "p/" })
    const flagged = settings({ ...withSample({}, env), argv: ["--storage", "s3://c", "-v"] })
    assert.deepInclude(flagged.storage, { provider: "s3", bucketName: "c", keyPrefix: "" })
    assert.isTrue(flagged.log.debug)
    for (const key of fileKeys) {
      const broken = problems(
        withSample(
          { "storage.encryption": '"customer-managed"', "storage.kms_key_id": '"k"' },
          { [variableOf(key)]: "\u0001?" }
        )
      )
      const free = [
        "storage.key_prefix",
        "storage.kms_key_id",
        "storage.path",
        "http.cors",
        "http.host_whitelist"
      ].includes(key)
      assert.strictEqual(
        broken.some((line) => line.includes(variableOf(key))),
        !free,
        `${key}: ${broken.join(" | ")}`
      )
    }
    assert.strictEqual(new Set(allVariables).size, allVariables.length)
  })

  it("the storage word replaces place, and class and key of another provider", () => {
    const changes = {
      "storage.class": '"STANDARD_IA"',
      "storage.encryption": '"customer-managed"',
      "storage.kms_key_id": '"k"'
    }
    const same = settings({ ...withSample(changes), argv: ["--storage=s3://other/x/"] })
    assert.deepStrictEqual(same.storage, {
      provider: "s3",
      bucketName: "other",
      keyPrefix: "x/",
      class: "STANDARD_IA",
      encryption: "customer-managed",
      kmsKeyId: "k",
      path: ""
    })
    const other = settings({ ...withSample(changes), argv: ["--storage=dir:data"] })
    assert.deepInclude(other.storage, {
      provider: "directory",
      path: "/srv/app/data",
      class: "STANDARD",
      encryption: "provider-managed"
    })
    for (const word of ["dir:", "s3://", "s3:///p", "file:/x", "data", "s3://a b/c", ""]) {
      assert.isNotEmpty(problems({ ...withSample({}), argv: ["--storage", word] }), word)
    }
  })

  it("a database that the directory store would list as an object is refused", () => {
    const place = { "storage.provider": '"directory"', "storage.path": '"/srv/store"' }
    for (const dataDir of ["/srv/store", "/srv/store/db"]) {
      assert.include(problems(withSample(place, { NETSY_DATA_DIR: dataDir }))[0], "leading dot")
    }
    for (const dataDir of ["/srv/store/.node", "/srv/db", "/srv/store-2"]) {
      assert.strictEqual(settings(withSample(place, { NETSY_DATA_DIR: dataDir })).dataDir, dataDir)
    }
  })

  it("advertised addresses default to a bind address that names an interface, and are required otherwise", () => {
    const { NETSY_ADVERTISE_CLIENT: _, ...env } = nodeEnv
    assert.include(problems({ file: sample, env })[0], "NETSY_ADVERTISE_CLIENT: missing")
    assert.strictEqual(
      settings({ file: sample, env: { ...env, NETSY_BIND_CLIENT: "[fd00::1]:2378" } }).advertise.client,
      "[fd00::1]:2378"
    )
    for (const text of ["", "host", ":2378", "0.0.0.0:2378", "[::]:1", "h:0", "h:99999", "a b:1"]) {
      assert.lengthOf(problems({ file: sample, env: { ...nodeEnv, NETSY_ADVERTISE_CLIENT: text } }), 1, text)
    }
  })

  it("two listeners cannot share a port unless it is 0", () => {
    assert.include(
      problems({ file: sample, env: { ...nodeEnv, NETSY_BIND_PEER: "10.0.0.1:2378" } })[0],
      "another port than NETSY_BIND_CLIENT (:2378)"
    )
    assert.deepStrictEqual(
      problems({ file: sample, env: { ...nodeEnv, NETSY_BIND_PEER: "127.0.0.1:0", NETSY_BIND_CLIENT: "127.0.0.1:0" } }),
      []
    )
  })

  it("a likely slip in a variable's name is mentioned, other names with the prefix are not", () => {
    const resolved = resolve({
      file: sample,
      env: {
        ...nodeEnv,
        NETSY_NODEID: "x",
        NETSY_PORT: "tcp://10.0.0.1:2378",
        NETSY_SERVICE_HOST: "10.0.0.1",
        NETSY_COUNT: "3"
      }
    })
    assert.deepStrictEqual(resolved.warnings, ["unknown variable NETSY_NODEID is ignored; did you mean NETSY_NODE_ID?"])
  })
})

describe("what the command line asks for", () => {
  const decided = (argv: ReadonlyArray<string>, env: Record<string, string> = {}) => {
    const readFile = (): string => {
      throw new Error("no file is read")
    }
    const command = decide({ argv, env, readFile, cwd: "/here", version: "0.0.0" })
    return command.action === "exit" ? { code: command.code, lines: command.stderr.split("\n") } : undefined
  }

  it("is no command of this name, and perhaps another one", () => {
    const { code, lines } = decided(["statsu"])!
    assert.strictEqual(code, 1)
    assert.strictEqual(lines[0], 'netsy: there is no command "statsu"; did you mean status?')
    assert.strictEqual(decided(["./config.jsonc"])!.lines[0], 'netsy: there is no command "./config.jsonc"')
    assert.include(decided(["./config.jsonc"])!.lines[1], "--config PATH")
  })

  it("is nothing that can be done, when the only variable that says where the data is has a slip", () => {
    const { lines } = decided(["--insecure"], { NETSY_STORGE: "dir:./data" })!
    assert.strictEqual(lines[0], "warning: unknown variable NETSY_STORGE is ignored; did you mean NETSY_STORAGE?")
    assert.include(lines[2], "--config: missing")
  })
})

describe("settings of the embedded node", () => {
  it("come from one word", () => {
    const found = settings({ argv: ["--storage", "dir:./data", "--insecure"] })
    assert.deepInclude(found, {
      clusterId: "netsy",
      nodeId: "node-1",
      dataDir: "/srv/app/data/.node",
      heartbeatIntervalMillis: 1_000,
      tls: undefined
    })
    assert.strictEqual(found.elector.primaryPriorTimeoutMillis, 5_000)
    assert.strictEqual(found.storage.path, "/srv/app/data")
    assert.deepStrictEqual(found.bind, {
      client: { host: "127.0.0.1", port: 2378 },
      peer: { host: "127.0.0.1", port: 2381 },
      election: { host: "127.0.0.1", port: 8443 },
      health: { host: "127.0.0.1", port: 8080 }
    })
    assert.deepStrictEqual(found.advertise, {
      client: "127.0.0.1:2378",
      peer: "127.0.0.1:2381",
      election: "127.0.0.1:8443"
    })
    assert.strictEqual(
      settings({ env: { NETSY_STORAGE: "s3://b" }, argv: ["--insecure"] }).dataDir,
      "/srv/app/netsy-data"
    )
  })

  it("follow every variable", () => {
    const found = settings({
      argv: ["--insecure"],
      env: {
        NETSY_STORAGE: "dir:/d",
        NETSY_NODE_ID: "n2",
        NETSY_CLUSTER_ID: "c2",
        NETSY_DATA_DIR: "./elsewhere",
        NETSY_DEBUG: "true",
        NETSY_BIND_CLIENT: "localhost:0",
        NETSY_BIND_HEALTH: "[::1]:9",
        NETSY_ADVERTISE_PEER: "127.0.0.1:77",
        NETSY_HEARTBEAT_INTERVAL: "10s",
        NETSY_LIMITS_QUOTA_BYTES: "5"
      }
    })
    assert.deepInclude(found, { nodeId: "n2", clusterId: "c2", dataDir: "/srv/app/elsewhere" })
    assert.deepStrictEqual(found.bind.client, { host: "localhost", port: 0 })
    assert.deepStrictEqual(found.bind.health, { host: "::1", port: 9 })
    assert.deepStrictEqual(found.advertise, { client: "localhost:0", peer: "127.0.0.1:77", election: "127.0.0.1:8443" })
    assert.strictEqual(found.elector.primaryPriorTimeoutMillis, 20_000)
    assert.strictEqual(found.limits.quotaBytes, 5)
    assert.isTrue(found.log.debug)
    assert.isFalse(settings({ argv: ["--insecure"], env: { NETSY_STORAGE: "dir:/d", NETSY_DEBUG: "TRUE" } }).log.debug)
  })

  it("--insecure refuses every bind beyond loopback", () => {
    for (const bind of [
      ":2378",
      "0.0.0.0:2378",
      "10.1.2.3:2378",
      "[::]:2378",
      "[fd00::1]:2378",
      "[::ffff:7f:1]:2378",
      "example.org:2378"
    ]) {
      const found = problems({ argv: ["--storage=dir:/d", "--insecure"], env: { NETSY_BIND_CLIENT: bind } })
      assert.lengthOf(found, 1, bind)
      assert.include(found[0], "only a loopback address", bind)
    }
    for (const bind of ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[0:0::1]:1", "localhost:1", "[::ffff:127.0.0.1]:1"]) {
      assert.deepStrictEqual(
        problems({ argv: ["--storage=dir:/d", "--insecure"], env: { NETSY_BIND_CLIENT: bind } }),
        [],
        bind
      )
    }
  })

  it("without --insecure and certificates the list says what is missing", () => {
    const found = problems({ argv: ["--storage", "dir:/d"] })
    assert.lengthOf(found, 5)
    for (const line of found)
      assert.match(line, /^NETSY_TLS_[A-Z_]+: missing; needed: the PEM file of .* \(or --insecure/)
  })

  it("neither file nor storage: one sentence with both ways", () => {
    assert.deepStrictEqual(problems({}), [
      "--config: missing; needed: the path of a cluster file (or NETSY_CONFIG); or, for one node without a file, --storage dir:PATH"
    ])
  })
})

describe("the command line", () => {
  const run = (setup: Setup) => decide({ ...inputOf(setup), version: "1.2.3" })

  it("--version and --help print and exit 0", () => {
    assert.deepStrictEqual(run({ argv: ["--version"] }), {
      action: "exit",
      code: 0,
      stdout: "netsy 1.2.3\n",
      stderr: ""
    })
    const help = run({ argv: ["-h"] })
    assert.isTrue(help.action === "exit" && help.code === 0 && help.stdout.includes("--validate PATH"))
  })

  it("--validate checks the file and the node id, not certificates", () => {
    const file = sample
    const validate = (env: Readonly<Record<string, string>>, text = file) =>
      decide({ ...inputOf({ file: text, env }), argv: ["--validate", "c.jsonc"], version: "1" })
    assert.deepStrictEqual(validate({ NETSY_NODE_ID: "n" }), {
      action: "exit",
      code: 0,
      stdout: "Config is valid.\n",
      stderr: ""
    })
    assert.deepStrictEqual(validate({}), {
      action: "exit",
      code: 1,
      stdout: "",
      stderr:
        "Validation failed:\n  - NETSY_NODE_ID: missing; needed: 1 to 32 characters of a-z, 0-9 and -, no - at either end, no --\n"
    })
    const two = validate({ NETSY_NODE_ID: "n" }, sampleWith({ cluster_id: undefined, "snapshot.keep": "-1" }))
    assert.isTrue(two.action === "exit" && two.code === 1 && two.stderr.split("\n").length === 4)
  })

  it("every provider can be started and validated without a warning", () => {
    for (const word of ["gs://b/p", "s3://b/p", "dir:/d"]) {
      assert.strictEqual(run({ argv: ["--storage", word, "--insecure"] }).action, "run", word)
    }
    const file = sampleWith({ storage: '{ "provider": "gcs", "bucket_name": "b-1", "class": "NEARLINE" }' })
    const input = { ...inputOf({ file, env: { NETSY_NODE_ID: "n" } }), argv: ["--validate", "c.jsonc"], version: "1" }
    assert.deepStrictEqual(decide(input), { action: "exit", code: 0, stdout: "Config is valid.\n", stderr: "" })
  })

  it("a start with mistakes exits 1 with all of them", () => {
    const refused = run({ argv: ["--storage", "dir:/d", "--nope"], env: { NETSY_STORAG: "x" } })
    assert.isTrue(refused.action === "exit" && refused.code === 1)
    if (refused.action !== "exit") return
    assert.include(refused.stderr, "warning: unknown variable NETSY_STORAG is ignored; did you mean NETSY_STORAGE?\n")
    assert.include(
      refused.stderr,
      "netsy: not started, 6 problems in the configuration:\n  - --nope: got --nope; allowed: one of"
    )
    assert.isTrue(run({ argv: ["--storage", "dir:/d", "--insecure=true"] }).action === "run")
    assert.isTrue(run({ argv: ["--storage"] }).action === "exit")
  })

  it.prop(
    "no command line and no variables crash it",
    [Schema.Array(Schema.String), Schema.String],
    ([argv, text]) => {
      const env = Object.fromEntries(allVariables.map((name) => [name, text]))
      for (const words of [argv, [...argv, "--storage", text], ["--config", "c.jsonc", ...argv]]) {
        assert.isString(decide({ ...inputOf({ file: text }), argv: words, env, version: "1" }).action)
      }
    },
    { arbitrary: { runs: 200, seed: "command lines" } }
  )
})
