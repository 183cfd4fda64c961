import { assert, describe, it } from "@effect/vitest"
import { decideEtcd } from "../../src/core/config/etcd/command.ts"
import { flagTable, findFlag, variableOfFlag } from "../../src/core/config/etcd/flagTable.ts"
import { parseGoFlags } from "../../src/core/config/etcd/goFlags.ts"
import { parseGoDuration, parseGoInt, parseGoUint } from "../../src/core/config/etcd/goValues.ts"
import { type EtcdSetup, etcdInput, etcdRefusal, etcdSettings, etcdWarnings } from "./etcdSetup.ts"

const valuesOf = (argv: ReadonlyArray<string>) => {
  const { error, help, rest, values } = parseGoFlags(argv)
  return { values: Object.fromEntries([...values].map(([name, { text }]) => [name, text])), rest, error, help }
}

describe("a command line of etcd", () => {
  it("is split as Go's flag package splits it", () => {
    const cases: ReadonlyArray<
      readonly [ReadonlyArray<string>, Readonly<Record<string, string>>, ReadonlyArray<string>]
    > = [
      [["-name", "a"], { name: "a" }, []],
      [["--name", "a"], { name: "a" }, []],
      [["-name=a"], { name: "a" }, []],
      [["--name=a=b"], { name: "a=b" }, []],
      [["--name="], { name: "" }, []],
      [["--name", "-data-dir", "x"], { name: "-data-dir" }, ["x"]],
      [["--client-cert-auth", "--name", "a"], { "client-cert-auth": "true", name: "a" }, []],
      [["--client-cert-auth=F", "-peer-auto-tls=1"], { "client-cert-auth": "F", "peer-auto-tls": "1" }, []],
      [["--client-cert-auth", "false"], { "client-cert-auth": "true" }, ["false"]],
      [["--name=a", "--", "--name=b"], { name: "a" }, ["--name=b"]],
      [["--name=a", "-", "--name=b"], { name: "a" }, ["-", "--name=b"]],
      [["--name=a", "--name=b"], { name: "b" }, []],
      [["--max-txn-ops=0x80"], { "max-txn-ops": "0x80" }, []],
      [["-v", "-vv=3", "--snapshot"], { v: "true", vv: "3", snapshot: "true" }, []],
      [[], {}, []]
    ]
    for (const [argv, values, rest] of cases) {
      assert.deepStrictEqual(valuesOf(argv), { values, rest, error: undefined, help: false }, argv.join(" "))
    }
    for (const word of ["-h", "--help", "-help", "--h"]) assert.isTrue(parseGoFlags([word, "--nope"]).help)
  })

  it("ends at the first mistake, named in Go's words", () => {
    const cases: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
      [["--xyzzy"], "flag provided but not defined: -xyzzy"],
      [
        ["-listen-client-url=x"],
        "flag provided but not defined: -listen-client-url (did you mean --listen-client-urls?)"
      ],
      [["--no\nline"], "flag provided but not defined: -no\\nline"],
      [["---name"], "bad flag syntax: ---name"],
      [["--=x"], "bad flag syntax: --=x"],
      [["-=x"], "bad flag syntax: -=x"],
      [["--name"], "flag needs an argument: -name"],
      [["--client-cert-auth=maybe"], 'invalid boolean value "maybe" for -client-cert-auth: parse error'],
      [["--max-txn-ops", "-1"], 'invalid value "-1" for flag -max-txn-ops: parse error'],
      [["--max-txn-ops", "1.5", "--nope"], 'invalid value "1.5" for flag -max-txn-ops: parse error'],
      [["--quota-backend-bytes=2GiB"], 'invalid value "2GiB" for flag -quota-backend-bytes: parse error'],
      [["--grpc-keepalive-timeout=20"], 'invalid value "20" for flag -grpc-keepalive-timeout: parse error']
    ]
    for (const [argv, error] of cases) assert.strictEqual(parseGoFlags(argv).error, error)
  })

  it("has numbers and durations as Go reads them", () => {
    const uints: ReadonlyArray<readonly [string, bigint | undefined]> = [
      ["0", 0n],
      ["18446744073709551615", 2n ** 64n - 1n],
      ["18446744073709551616", undefined],
      ["0x1F", 31n],
      ["0b101", 5n],
      ["0o17", 15n],
      ["017", 15n],
      ["08", undefined],
      ["1_000", 1000n],
      ["1__0", undefined],
      ["_1", undefined],
      ["+1", undefined],
      ["", undefined],
      ["9".repeat(400), undefined]
    ]
    for (const [text, value] of uints) assert.strictEqual(parseGoUint(text), value, text)
    assert.deepStrictEqual(["-9223372036854775808", "+7", "-0x10", "9223372036854775808", "-"].map(parseGoInt), [
      -(2n ** 63n),
      7n,
      -16n,
      undefined,
      undefined
    ])
    assert.deepStrictEqual(["1h30m", "-5ms", "5"].map(parseGoDuration), [5_400_000_000_000n, -5_000_000n, undefined])
  })

  it("may use every spelling that a version of etcd had", () => {
    for (const [former, today] of [
      ["experimental-initial-corrupt-check", "initial-corrupt-check"],
      ["experimental-watch-progress-notify-interval", "watch-progress-notify-interval"],
      ["experimental-compaction-batch-limit", "compaction-batch-limit"],
      ["experimental-memory-mlock", "memory-mlock"],
      ["experimental-peer-skip-client-san-verification", "peer-skip-client-san-verification"],
      ["experimental-distributed-tracing-sampling-rate", "distributed-tracing-sampling-rate"]
    ] as const) {
      assert.deepInclude(findFlag(former), { former })
      assert.strictEqual(findFlag(former)?.spec.name, today)
    }
    assert.isUndefined(findFlag("experimental-nothing"))
    const warnings = etcdWarnings({ argv: ["--experimental-watch-progress-notify-interval=5s"] })
    assert.deepStrictEqual(warnings, [
      "--experimental-watch-progress-notify-interval is the name of older versions; today it is --watch-progress-notify-interval"
    ])
    const found = etcdSettings({ argv: ["--experimental-watch-progress-notify-interval=5s"] })
    assert.strictEqual(found.watch.progressIntervalMillis, 5_000)
  })

  it("names each flag once, and every default is a value of its kind", () => {
    assert.strictEqual(new Set(flagTable.map(({ name }) => name)).size, flagTable.length)
    for (const { fallback, kind, name } of flagTable) {
      if (kind === "ignored") continue
      assert.isUndefined(parseGoFlags([`--${name}=${fallback}`]).error, name)
    }
  })

  it("warns of a flag without effect and says why; one with effect is silent", () => {
    for (const { fallback, idle, kind, name, refused } of flagTable) {
      if (refused !== undefined || ["config-file", "version", "advertise-client-urls"].includes(name)) continue
      const text = kind === "ignored" ? "1" : fallback.replace("${name}", "x")
      const argv = [`--${name}=${text}`]
      if (name === "listen-client-urls") argv.push("--advertise-client-urls=http://localhost:2379")
      const expected = idle === undefined ? [] : [`--${name} has no effect: ${idle}`]
      assert.deepStrictEqual(etcdWarnings({ argv }), expected, name)
    }
  })
})

describe("exit codes and what is printed", () => {
  const exit = (setup: EtcdSetup) => {
    const decided = decideEtcd(etcdInput(setup))
    assert.strictEqual(decided.action, "exit")
    return decided as { readonly code: number; readonly stdout: string; readonly stderr: string }
  }

  it("--version prints four lines, the first with the version of etcd that this is", () => {
    const { code, stderr, stdout } = exit({ argv: ["--version"] })
    assert.deepStrictEqual([code, stderr], [0, ""])
    assert.match(stdout, /^etcd Version: 3\.7\.1\nGit SHA: \S+\nGo Version: \S[^\n]*\nGo OS\/Arch: linux\/amd64\n$/)
    assert.strictEqual(exit({ argv: ["-version"], env: { ETCD_NAME: "x" } }).code, 0)
  })

  it("--help names every flag and exits 0", () => {
    const { code, stdout } = exit({ argv: ["--help"] })
    assert.strictEqual(code, 0)
    for (const { name } of flagTable) assert.include(stdout, name)
  })

  it("a flag that cannot be read exits 2 with the usage, whatever else is right", () => {
    for (const argv of [["--nope"], ["--name"], ["--max-txn-ops=x"], ["--config-file", "etcd.yaml", "--nope"]]) {
      const { code, stderr, stdout } = exit({ argv, files: { "etcd.yaml": "name: a" } })
      assert.deepStrictEqual([code, stdout], [2, ""], argv.join(" "))
      assert.include(stderr, "Usage:")
    }
  })

  it("what flags say is wrong exits 1, all of it listed", () => {
    const { code, stderr } = exit({ argv: ["--log-level=loud", "--metrics=full", "--listen-peer-urls=ftp://x:1"] })
    assert.strictEqual(code, 1)
    for (const flag of ["--log-level", "--metrics", "--listen-peer-urls"]) assert.include(stderr, flag)
    assert.strictEqual(exit({ argv: ["gateway", "start"] }).code, 1)
    assert.include(exit({ argv: ["--name", "a", "b"] }).stderr, '"b" is not a valid flag')
    assert.strictEqual(exit({ argv: [], env: { ETCD_MAX_TXN_OPS: "x" } }).code, 1)
  })
})

describe("variables of etcd", () => {
  it("exist for every flag, and a flag wins", () => {
    for (const { name } of flagTable) {
      assert.strictEqual(variableOfFlag(name), `ETCD_${name.toUpperCase().replaceAll("-", "_")}`)
    }
    const env = { ETCD_NAME: "by-variable", ETCD_DATA_DIR: "/v", ETCD_ENABLE_GRPC_GATEWAY: "f", ETCD_LOG_LEVEL: "" }
    const found = etcdSettings({ argv: ["--name=by-flag"], env })
    assert.deepInclude(found, { nodeId: "by-flag", dataDir: "/v" })
    assert.isFalse(found.http.gateway)
    assert.deepStrictEqual(etcdWarnings({ argv: ["--name=by-flag"], env }), ["ETCD_NAME is shadowed by --name"])
  })

  it("may have the names of older versions, those of today win", () => {
    const env = { ETCD_EXPERIMENTAL_COMPACTION_BATCH_LIMIT: "5" }
    assert.strictEqual(etcdSettings({ env }).compaction.batchLimit, 5)
    assert.strictEqual(etcdSettings({ env: { ...env, ETCD_COMPACTION_BATCH_LIMIT: "6" } }).compaction.batchLimit, 6)
  })

  it("that nobody knows are warned about, with a hint where it was a slip", () => {
    const env = { ETCD_PORT: "tcp://10.0.0.1:2379", ETCD_LISTEN_CLIENT_URL: "x", ETCD_VERSION: "3", ETCDCTL_API: "3" }
    assert.deepStrictEqual(etcdWarnings({ env }), [
      "unrecognized environment variable ETCD_LISTEN_CLIENT_URL; did you mean ETCD_LISTEN_CLIENT_URLS?",
      "unrecognized environment variable ETCD_PORT",
      "ETCD_VERSION has no effect; --version prints the version"
    ])
  })

  it("that cannot be read name themselves", () => {
    assert.deepStrictEqual(etcdRefusal({ env: { ETCD_MAX_TXN_OPS: "x", ETCD_AUTO_TLS: "2" } }), [
      'invalid value "2" for ETCD_AUTO_TLS: parse error',
      'invalid value "x" for ETCD_MAX_TXN_OPS: parse error'
    ])
  })
})
