/** What docs/observability.md says about metrics and the log is what a node shows and writes. */
import { assert, describe, it } from "@effect/vitest"
import { parse } from "yaml"
import { callsIn, filesThatHandOn, handedOn, logEvents, unexpectedCalls } from "../../scripts/docs/events.ts"
import { eventNotes } from "../../scripts/docs/eventNotes.ts"
import { labelValues, worthAnAlert } from "../../scripts/docs/metricHints.ts"
import { allMetrics, catalogs } from "../../scripts/docs/metrics.ts"
import { startDaemon } from "../support/daemon.ts"
import { files, read } from "./support/project.ts"

const known = new Map(allMetrics.map((entry) => [entry.name, entry]))
const isKnown = (name: string): boolean => known.has(name) || known.has(name.replace(/_(?:bucket|sum|count)$/, ""))
const layers = files.filter((path) => /^src\/(?:layers|programs)\/.*\.ts$/.test(path)).map((path) => read(path))

/** Names and types of Prometheus' text. */
const shown = (text: string): ReadonlyArray<readonly [name: string, type: string]> =>
  [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]) => [name, type])

/** Metrics and events of Netsy 1.x (netsy-1x.md 14.2, 14.3) that are called otherwise here, or are gone. */
const former = [
  "netsy_replica_receipt_age_seconds",
  "netsy_replica_proxy_requests_total",
  "netsy_replica_proxy_request_duration_seconds",
  "netsy_primary_quorum_rollbacks_total",
  "netsy_primary_healthy_replicas",
  "netsy_primary_receipted_replicas",
  "netsy_primary_chunk_buffer_age_seconds",
  "netsy_primary_chunk_buffer_flushes_total",
  "netsy_primary_chunk_buffer_flush_duration_seconds",
  "netsy_primary_replication_streams",
  "netsy_primary_drain_duration_seconds",
  "netsy_primary_preflight_stage_duration_seconds",
  "netsy_primary_compaction_confirmation_failures_total",
  ...["duration_seconds", "chunks_listed_total", "chunks_requested_total", "chunks_deleted_total"].map(
    (name) => `netsy_primary_snapshot_cleanup_${name}`
  ),
  ...["chunks_failed_total", "queued_revision", "last_revision"].map(
    (name) => `netsy_primary_snapshot_cleanup_${name}`
  ),
  ...["loading_restarted", "write_path_switched", "write_transaction", "write_failed", "quorum_rollback"],
  ...["chunk_buffer_flush_started", "chunk_buffer_flush_completed", "object_storage_write"],
  ...["compaction_notice_failed", "chunk cleanup starting"]
]

/** What 1.x has under the same name. */
const kept = [
  ...["info", "state_health", "state_elector", "state_primary", "process_start_time_seconds", "latest_revision"],
  ...["committed_revision", "compaction_revision", "retries_total", "compaction_duration_seconds"],
  ...["client_requests_total", "client_request_duration_seconds", "watchers", "watches", "watch_min_revision"],
  ...["object_storage_writes_total", "object_storage_write_duration_seconds", "object_storage_write_bytes"],
  ...["object_storage_reads_total", "object_storage_read_duration_seconds", "loading_stage_duration_seconds"],
  ...["loading_restarts_total", "local_db_rebuilds_total", "node_registration_duration_seconds"],
  ...["elector_registered_nodes", "elector_healthy_nodes", "elector_degraded_nodes"],
  ...["elector_primary_elections_total", "elector_primary_election_failures_total"],
  ...["elector_primary_election_duration_seconds", "elector_primary_election_contacts_total"],
  ...["elector_auto_deregistrations_total", "primary_write_path", "primary_write_transactions_total"],
  ...["primary_write_duration_seconds", "primary_required_receipts", "primary_chunk_buffer_records"],
  ...["primary_chunk_buffer_bytes", "primary_object_storage_revision", "primary_compactions_total"],
  ...["primary_compaction_coordination_duration_seconds", "primary_snapshot_creations_total"],
  ...["primary_snapshot_creation_duration_seconds", "primary_snapshot_age_seconds"],
  "primary_snapshot_cleanup_runs_total"
].map((name) => `netsy_${name}`)

describe("metrics", () => {
  it("are described in the catalogs alone, each once", () => {
    assert.strictEqual(known.size, allMetrics.length)
    for (const text of layers) {
      assert.notMatch(text, /\bmetrics\.(?:counter|gauge|histogram)\(\s*\{/)
      assert.notMatch(text, /\bname: [`"](?:netsy|etcd|grpc)_/)
    }
  })
  it("are updated by somebody, or say that they are always 0", () => {
    const code = layers.join("\n")
    for (const catalog of Object.values(catalogs)) {
      for (const [key, { help, name }] of Object.entries(catalog)) {
        assert.isTrue(new RegExp(`atalog\\.${key}\\b`).test(code) || help.startsWith("Always 0"), name)
      }
    }
  })
  it("have hints only where there is such a metric and such a label", () => {
    for (const name of Object.keys(worthAnAlert)) assert.isTrue(isKnown(name), name)
    for (const [name, labels] of Object.entries(labelValues)) {
      if (name === "*") continue
      for (const label of Object.keys(labels)) assert.include(known.get(name)?.labels ?? [], label, name)
    }
  })
  it("that Netsy 1.x had are there, or the page says what there is instead", () => {
    const page = read("docs/observability.md")
    const since = page.slice(page.indexOf("## Since Netsy 1.x"))
    for (const name of kept) assert.isTrue(known.has(name), name)
    for (const name of former) {
      assert.isFalse(known.has(name) || logEvents.some((event) => event.name === name), name)
      assert.include(since, `\`${name}\``)
    }
  })
  it("that alerts look at exist, and the page has every alert", () => {
    const { groups } = parse(read("deploy/prometheus/alerts.yaml")) as {
      groups: ReadonlyArray<{ rules: ReadonlyArray<{ alert: string; expr: string }> }>
    }
    const page = read("docs/observability.md")
    const rules = groups.flatMap(({ rules }) => rules)
    assert.isAbove(rules.length, 10)
    for (const { alert, expr } of rules) {
      for (const [name] of expr.matchAll(/\b(?:netsy|etcd|grpc|process|nodejs)_\w+/g))
        assert.isTrue(isKnown(name), name)
      assert.include(page, `| \`${alert}\` |`)
    }
    const names = [...page.matchAll(/^\| `(Netsy\w+)` \|/gm)].map((match) => match[1]!)
    assert.deepStrictEqual(names.toSorted(), rules.map(({ alert }) => alert).toSorted())
  })
  it("of a running node are those of the page, the same on both ports", async () => {
    const daemon = await startDaemon()
    try {
      const scrape = async (port: number) => shown(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text())
      const health = await scrape(daemon.ports.health)
      assert.deepStrictEqual(await scrape(daemon.ports.client), health)
      assert.isAbove(health.length, 80)
      for (const [name, type] of health) assert.strictEqual(known.get(name)?.type, type, name)
      const names = new Set(health.map(([name]) => name))
      // A lone node is Primary and Elector; nothing is registered late but what a Replica has.
      for (const { name } of allMetrics) assert.isTrue(names.has(name), name)
    } finally {
      await daemon.stop()
    }
  }, 60_000)
})

describe("the log", () => {
  it("has no event that the page does not explain, and the page explains none that is not there", () => {
    const written = logEvents.map(({ name }) => name)
    assert.isAbove(written.length, 80)
    assert.deepStrictEqual(
      written.filter((name) => eventNotes[name] === undefined),
      []
    )
    assert.deepStrictEqual(
      Object.keys(eventNotes).filter((name) => !written.includes(name)),
      []
    )
  })
  it("is written with names that stand where it is written", () => {
    assert.deepStrictEqual(unexpectedCalls, [])
    assert.deepStrictEqual(filesThatHandOn, [])
  })
  it("says in the page what to do about every error and every warning", () => {
    for (const { levels, name } of logEvents) {
      if (levels.includes("ERROR") || levels.includes("WARN")) assert.isDefined(eventNotes[name]?.act, name)
    }
  })
})

describe("a call of the log", () => {
  it("is found with level, name and fields, also where the level is chosen there", () => {
    const source =
      'log.warn("a_b", { key, n: f({ inner: 1 }), ...rest, // why\n  text: "x, y: }" })\njournal[bad ? "warn" : "info"]("c", {})\n'
    assert.deepStrictEqual(callsIn("x.ts", source), [
      { path: "x.ts", level: "WARN", name: "a_b", fields: ["key", "n", "text"] },
      { path: "x.ts", level: "WARN", name: "c", fields: [] },
      { path: "x.ts", level: "INFO", name: "c", fields: [] }
    ])
  })
  it("is not overlooked when its name or its level comes from elsewhere", () => {
    assert.isUndefined(callsIn("x.ts", "log.info(name, { a: 1 })")[0]!.name)
    assert.isTrue(handedOn("const write = bad ? log.warn : log.info\n"))
    assert.isFalse(handedOn('log.warn("a")\n'))
  })
})
