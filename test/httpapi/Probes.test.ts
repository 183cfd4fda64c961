/** `/version`, health and metrics on the client port, CORS and the whitelist of hosts. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { alarmReason, checksAnswer } from "../../src/core/health/etcdChecks.ts"
import { etcdCatalog } from "../../src/core/metrics/etcdCatalog.ts"
import { errors } from "../../src/core/wire/errors.ts"
import * as HttpApiEtcd from "../../src/layers/HttpApiEtcd.ts"
import * as ClientApiEtcd from "../../src/layers/ClientApiEtcd.ts"
import * as ClientListenerGrpc from "../../src/layers/ClientListenerGrpc.ts"
import { Alarms } from "../../src/services/Alarms.ts"
import { Kv } from "../../src/services/Kv.ts"
import { Metrics } from "../../src/services/Metrics.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { plain } from "../clientapi/certs.ts"
import { ground, settings } from "../clientapi/fakes.ts"
import { address, world } from "../clientapi/plainPort.ts"
import { call, get } from "./server.ts"

/** What is wrong with the node; changed by the test while it runs. */
interface Wrong {
  alarm: number
  read: "well" | "fails"
}

const troubled = (wrong: Wrong) => {
  const alarms = Layer.effect(
    Alarms,
    Effect.map(Alarms, (given) =>
      Alarms.of({ ...given, active: () => (wrong.alarm === 0 ? [] : [{ memberId: 5n, alarm: wrong.alarm }]) })
    )
  )
  const kv = Layer.effect(
    Kv,
    Effect.map(Kv, (given) =>
      Kv.of({
        ...given,
        barrier: (reply) => (wrong.read === "well" ? given.barrier(reply) : reply.fail(errors.leaderChanged))
      })
    )
  )
  return ClientListenerGrpc.layer().pipe(
    Layer.provide(HttpApiEtcd.layer()),
    Layer.provide(Layer.merge(ClientApiEtcd.layer, plain)),
    Layer.provide(Layer.merge(alarms, kv)),
    Layer.provideMerge(ground())
  )
}

describe("probes on the client port", () => {
  it.live("/version names the versions that Patroni and kubeadm split on dots", () =>
    Effect.gen(function* () {
      const answer = yield* get((yield* address).port, "/version")
      assert.strictEqual(answer.text, '{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}')
      assert.strictEqual(answer.headers["content-type"], "application/json")
    }).pipe(Effect.provide(world()))
  )

  it.live("only GET is served", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      for (const path of ["/version", "/health", "/livez", "/readyz", "/metrics", "/readyz/non_learner"]) {
        for (const method of ["POST", "PUT", "HEAD"]) {
          const answer = yield* call(port, path, { method })
          assert.strictEqual(answer.status, 405, `${method} ${path}`)
          assert.strictEqual(answer.headers.allow, "GET")
        }
      }
    }).pipe(Effect.provide(world()))
  )

  it.live("/health says true as text, or why not: alarms, leader, read, in this order", () => {
    const wrong: Wrong = { alarm: 0, read: "well" }
    return Effect.gen(function* () {
      const { port } = yield* address
      const health = (query = "") => Effect.map(get(port, `/health${query}`), ({ status, text }) => `${status} ${text}`)
      const bad = (reason: string) => `503 {"health":"false","reason":"${reason}"}\n`
      const well = '200 {"health":"true","reason":""}'
      assert.strictEqual(yield* health(), well)
      wrong.read = "fails"
      assert.strictEqual(yield* health(), bad("RANGE ERROR:etcdserver: leader changed"))
      assert.strictEqual(yield* health("?serializable=true"), well)
      const status = yield* NodeStatus
      status.setTerm(4, 0n)
      assert.strictEqual(yield* health(), bad("RAFT NO LEADER"))
      assert.strictEqual(yield* health("?serializable=true"), well)
      wrong.alarm = 1
      assert.strictEqual(yield* health("?serializable=true"), bad("ALARM NOSPACE"))
      assert.strictEqual(yield* health("?serializable=true&exclude=CORRUPT&exclude=NOSPACE"), well)
      wrong.alarm = 2
      assert.strictEqual(yield* health(), bad("ALARM CORRUPT"))
      wrong.alarm = 9
      assert.strictEqual(yield* health("?exclude=NOSPACE"), bad("ALARM UNKNOWN"))
      const text = yield* Effect.promise((yield* Metrics).render)
      assert.include(text, "etcd_server_health_success 4")
      assert.include(text, "etcd_server_health_failures 5")
    }).pipe(Effect.provide(troubled(wrong)))
  })

  it.live("/livez and /readyz run their checks, all, some or one, and tell as much as is asked for", () => {
    const wrong: Wrong = { alarm: 0, read: "well" }
    return Effect.gen(function* () {
      const { port } = yield* address
      const probe = (path: string) => Effect.map(get(port, path), ({ status, text }) => `${status} ${text}`)
      assert.strictEqual(yield* probe("/livez"), "200 ok\n")
      assert.strictEqual(yield* probe("/livez?verbose"), "200 [+]serializable_read ok\nok\n")
      assert.strictEqual(
        yield* probe("/readyz?verbose"),
        "200 [+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n"
      )
      wrong.read = "fails"
      assert.strictEqual(yield* probe("/livez"), "200 ok\n")
      assert.strictEqual(
        yield* probe("/readyz"),
        "503 [+]data_corruption ok\n[+]serializable_read ok\n" +
          "[-]linearizable_read failed: etcdserver: leader changed\n[+]non_learner ok\n\n"
      )
      assert.strictEqual(yield* probe("/readyz?exclude=linearizable_read&exclude=none"), "200 ok\n")
      assert.strictEqual(yield* probe("/readyz/serializable_read"), "200 ok\n")
      wrong.alarm = 2
      assert.strictEqual(
        yield* probe("/readyz/data_corruption"),
        "503 [-]data_corruption failed: alarm activated: CORRUPT\n\n"
      )
      assert.strictEqual((yield* get(port, "/readyz/nothing")).status, 404)
      const { text } = yield* get(port, "/metrics")
      assert.include(text, 'etcd_server_healthcheck{type="readyz",name="data_corruption"} 0')
      assert.include(text, 'etcd_server_healthchecks_total{type="readyz",name="linearizable_read",status="success"} 1')
      assert.include(text, 'etcd_server_healthchecks_total{type="livez",name="serializable_read",status="success"} 3')
    }).pipe(Effect.provide(troubled(wrong)))
  })

  it.live("/metrics is Prometheus' text with every rpc at zero from the start", () =>
    Effect.gen(function* () {
      const { headers, text } = yield* get((yield* address).port, "/metrics")
      assert.include(String(headers["content-type"]), "text/plain; version=0.0.4")
      assert.include(text, "# TYPE grpc_server_handled_total counter")
      const labels = 'grpc_type="bidi_stream",grpc_service="etcdserverpb.Lease",grpc_method="LeaseKeepAlive"'
      assert.include(text, `grpc_server_started_total{${labels}} 0`)
      assert.include(text, `grpc_server_handled_total{${labels},grpc_code="Unavailable"} 0`)
      assert.include(text, "# TYPE etcd_mvcc_put_total counter\netcd_mvcc_put_total 0")
    }).pipe(Effect.provide(world()))
  )

  it.live("puts, ranges and deletes count, also those in transactions", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      yield* call(port, "/v3/kv/put", { body: '{"key":"YQ=="}' })
      yield* call(port, "/v3/kv/range", { body: '{"key":"YQ=="}' })
      const ops =
        '[{"requestRange":{"key":"YQ=="}},{"requestPut":{"key":"YQ=="}},{"requestDeleteRange":{"key":"YQ=="}}]'
      yield* call(port, "/v3/kv/txn", { body: `{"success":${ops}}` })
      yield* call(port, "/v3/kv/range", { body: "{}" })
      const { text } = yield* get(port, "/metrics")
      assert.include(text, "\netcd_mvcc_put_total 2\n")
      assert.include(text, "\netcd_mvcc_range_total 2\n")
      assert.include(text, "\netcd_mvcc_delete_total 1\n")
      assert.include(text, "\netcd_mvcc_txn_total 1\n")
    }).pipe(Effect.provide(world()))
  )
})

describe("access over HTTP", () => {
  const withHttp = (http: Partial<typeof settings.http>) =>
    world({ settings: { ...settings, http: { ...settings.http, ...http } } })

  it.live("any page may call by default, and is told so before it does", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      const asked = yield* call(port, "/v3/kv/put", { method: "OPTIONS", headers: { origin: "http://a" } })
      assert.strictEqual(asked.status, 200)
      assert.strictEqual(asked.headers["access-control-allow-origin"], "*")
      assert.strictEqual(asked.headers["access-control-allow-methods"], "POST, GET, OPTIONS, PUT, DELETE")
      assert.strictEqual(asked.headers["access-control-allow-headers"], "accept, content-type, authorization")
      assert.strictEqual((yield* get(port, "/version")).headers["access-control-allow-origin"], "*")
    }).pipe(Effect.provide(withHttp({ cors: ["*"] })))
  )

  it.live("with a list of origins the others are told nothing", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      const allowed = yield* get(port, "/version", { origin: "http://a" })
      assert.strictEqual(allowed.headers["access-control-allow-origin"], "http://a")
      const other = yield* get(port, "/version", { origin: "http://b" })
      assert.isUndefined(other.headers["access-control-allow-origin"])
    }).pipe(Effect.provide(withHttp({ cors: ["http://a"] })))
  )

  it.live("empty lists leave everybody in, as in etcd", () =>
    Effect.gen(function* () {
      const answer = yield* get((yield* address).port, "/version", { host: "any", origin: "http://b" })
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.headers["access-control-allow-origin"], "*")
    }).pipe(Effect.provide(withHttp({ cors: [], hostWhitelist: [] })))
  )

  it.live("with a whitelist of hosts other names are refused", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      assert.strictEqual((yield* get(port, "/version", { host: "etcd.local:2379" })).status, 200)
      assert.strictEqual((yield* get(port, "/version", { host: "evil" })).status, 421)
      const put = { headers: { host: "evil" }, body: '{"key":"YQ=="}' }
      assert.strictEqual((yield* call(port, "/v3/kv/put", put)).status, 421)
      const preflight = { method: "OPTIONS", headers: { host: "etcd.local" }, body: '{"key":"YQ=="}' }
      assert.strictEqual((yield* call(port, "/v3/kv/put", preflight)).text, "")
      const read = yield* call(port, "/v3/kv/range", { headers: { host: "etcd.local" }, body: '{"key":"YQ=="}' })
      assert.notInclude(read.text, "kvs")
    }).pipe(Effect.provide(withHttp({ hostWhitelist: ["etcd.local"] })))
  )

  it.live("without the gateway its paths are not there, the others are", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      assert.strictEqual((yield* call(port, "/v3/kv/range", { body: "{}" })).status, 404)
      assert.strictEqual((yield* get(port, "/health")).status, 200)
    }).pipe(Effect.provide(withHttp({ gateway: false })))
  )
})

describe("etcd's health in words", () => {
  it("no check at all is a success; alarms that are excluded do not count", () => {
    assert.deepStrictEqual(checksAnswer([], true), { ok: true, body: "ok\n" })
    assert.strictEqual(alarmReason([{ alarm: 1 }, { alarm: 2 }], new Set(["NOSPACE"])), "ALARM CORRUPT")
    assert.isUndefined(alarmReason([{ alarm: 1 }], new Set(["NOSPACE"])))
  })
})

describe("etcd's metrics", () => {
  it("every name is its own, and only counters and etcd's old gauges end in _total", () => {
    const names = Object.values(etcdCatalog).map(({ name }) => name)
    assert.strictEqual(new Set(names).size, names.length)
    const totals = Object.values(etcdCatalog).filter(({ name, type }) => type === "gauge" && name.endsWith("_total"))
    assert.deepStrictEqual(
      totals.map(({ name }) => name),
      [
        "etcd_server_proposals_committed_total",
        "etcd_server_proposals_applied_total",
        "etcd_debugging_mvcc_keys_total",
        "etcd_debugging_mvcc_watch_stream_total",
        "etcd_debugging_mvcc_watcher_total",
        "etcd_debugging_mvcc_slow_watcher_total",
        "etcd_debugging_mvcc_pending_events_total"
      ]
    )
  })
})
