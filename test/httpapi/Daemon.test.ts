/**
 * The HTTP side of a running server as its users meet it: what Patroni does, locks and elections, users, monitoring.
 * NETSY_TEST_TARGET=etcd asks the machine's etcd the same.
 */
import { readFileSync } from "node:fs"
import { connect as connectHttp2 } from "node:http2"
import { request as httpsRequest } from "node:https"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Daemon, isEtcd, startDaemon } from "../support/daemon.ts"

const base64 = (text: string): string => Buffer.from(text).toString("base64")

let daemon: Daemon

const url = (path: string): string => `http://${daemon.endpoint}${path}`

interface Answer {
  readonly status: number
  // The shapes are the test's to say.
  readonly json: Record<string, unknown>
}

const post = async (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> => {
  const response = await fetch(url(path), { method: "POST", body: JSON.stringify(body), headers })
  return { status: response.status, json: (await response.json()) as Record<string, unknown> }
}

/** Lines of a stream until the client hangs up. */
const watch = async (request: unknown) => {
  const abort = new AbortController()
  const response = await fetch(url("/v3/watch"), {
    method: "POST",
    body: JSON.stringify(request),
    signal: abort.signal
  })
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ""
  const next = async (): Promise<Record<string, unknown>> => {
    while (!rest.includes("\n")) {
      const { done, value } = await reader.read()
      if (done) throw new Error("the stream has ended")
      rest += value
    }
    const [line = ""] = rest.split("\n", 1)
    rest = rest.slice(line.length + 1)
    return (JSON.parse(line) as { result: Record<string, unknown> }).result
  }
  return { next, stop: () => abort.abort() }
}

describe("the HTTP side of a server", () => {
  beforeAll(async () => {
    daemon = await startDaemon()
  })
  afterAll(() => daemon?.release())

  it("is found, and names addresses where it is reached", async () => {
    const version = (await (await fetch(url("/version"))).json()) as Record<string, string>
    for (const name of ["etcdserver", "etcdcluster"]) {
      const parts = version[name]!.split(".").map(Number)
      assert.lengthOf(parts, 3)
      assert.isTrue(parts.every(Number.isInteger), version[name])
    }
    const { json } = await post("/v3/cluster/member/list", {})
    const [member] = json["members"] as ReadonlyArray<{ readonly clientURLs: ReadonlyArray<string> }>
    assert.strictEqual((await fetch(`${member!.clientURLs[0]}/version`)).status, 200)
    const health = (await (await fetch(url("/health"))).json()) as Record<string, string>
    assert.strictEqual(health["health"], "true")
  })

  it("lets one leader hold a key with a lease that is gone when it ends", async () => {
    const [key, ID] = [base64("/service/demo/leader"), "7587881234567890123"]
    const granted = await post("/v3/lease/grant", { ID, TTL: 60 })
    assert.strictEqual(granted.json["ID"], ID)
    assert.strictEqual(granted.json["TTL"], "60")
    const twice = await post("/v3/lease/grant", { ID, TTL: 60 })
    assert.strictEqual(twice.json["code"], 9)
    assert.strictEqual(twice.json["error"], "etcdserver: lease already exists")

    // The takeover of Patroni: a transaction inside the failure branch.
    const compare = (value: string) => ({ key, target: "VALUE", result: "EQUAL", value: base64(value) })
    const put = { request_put: { key, value: base64("a"), lease: ID } }
    const takeOver = await post("/v3/kv/txn", {
      compare: [compare("a")],
      success: [],
      failure: [
        {
          request_txn: {
            compare: [{ key, target: "CREATE", result: "EQUAL", create_revision: "0" }],
            success: [put],
            failure: [{ request_range: { key } }]
          }
        }
      ]
    })
    assert.isUndefined(takeOver.json["succeeded"])
    const [inner] = takeOver.json["responses"] as ReadonlyArray<{ response_txn: { succeeded: boolean } }>
    assert.isTrue(inner!.response_txn.succeeded)

    const read = await post("/v3/kv/range", { key, serializable: true })
    const [kv] = read.json["kvs"] as ReadonlyArray<Record<string, string>>
    assert.strictEqual(kv!["lease"], ID)
    assert.strictEqual(kv!["value"], base64("a"))

    const alive = await fetch(url("/v3/lease/keepalive"), { method: "POST", body: JSON.stringify({ ID }) })
    const { result } = (await alive.json()) as { readonly result: Record<string, string> }
    assert.strictEqual(result["TTL"], "60")

    // The request's body ends at once; the watch goes on.
    const seen = await watch({ create_request: { key, start_revision: kv!["mod_revision"], progress_notify: true } })
    assert.isTrue((await seen.next())["created"])
    const [first] = (await seen.next())["events"] as ReadonlyArray<Record<string, unknown>>
    assert.isUndefined(first!["type"])
    assert.deepStrictEqual(first!["kv"], kv)
    assert.deepStrictEqual(Object.keys((await post("/v3/lease/revoke", { ID })).json), ["header"])
    const [last] = (await seen.next())["events"] as ReadonlyArray<Record<string, unknown>>
    assert.strictEqual(last!["type"], "DELETE")
    assert.sameMembers(Object.keys(last!["kv"] as object), ["key", "mod_revision"])
    seen.stop()

    const dead = await fetch(url("/v3/lease/keepalive"), { method: "POST", body: JSON.stringify({ ID }) })
    const { result: gone } = (await dead.json()) as { readonly result: Record<string, string> }
    assert.sameMembers(Object.keys(gone), ["header", "ID"])
    const left = await post("/v3/kv/lease/timetolive", { ID })
    assert.strictEqual(left.json["TTL"], "-1")
    const revoked = await post("/v3/kv/lease/revoke", { ID })
    assert.strictEqual(revoked.status, 404)
    assert.strictEqual(revoked.json["error"], "etcdserver: requested lease not found")
    assert.strictEqual(revoked.json["code"], 5)
  })

  it("hands a lock on when its holder lets go, and a waiting client that hangs up leaves the queue", async () => {
    const name = base64("lock")
    const first = await post("/v3/lock/lock", { name })
    const abort = new AbortController()
    const given = { method: "POST", body: JSON.stringify({ name }) }
    const hungUp = fetch(url("/v3/lock/lock"), { ...given, signal: abort.signal }).then(
      () => "locked",
      () => "hung up"
    )
    await sleep(100)
    let isHeld = false
    const second = post("/v3/lock/lock", { name }).then((answer) => {
      isHeld = true
      return answer
    })
    await sleep(100)
    abort.abort()
    assert.strictEqual(await hungUp, "hung up")
    await sleep(100)
    assert.isFalse(isHeld)
    await post("/v3/lock/unlock", { key: first.json["key"] })
    const { key } = (await second).json
    assert.notStrictEqual(key, first.json["key"])
    await post("/v3/lock/unlock", { key })
  })

  it("elects a leader, tells who it is, and shows who comes next", async () => {
    const name = base64("election")
    const none = await post("/v3/election/leader", { name })
    assert.strictEqual(none.json["error"], "election: no leader")
    assert.strictEqual(none.json["code"], 2)
    for (const ID of ["21", "22"]) await post("/v3/lease/grant", { ID, TTL: 600 })
    const one = await post("/v3/election/campaign", { name, lease: "21", value: base64("one") })
    const two = post("/v3/election/campaign", { name, lease: "22", value: base64("two") })
    const { json } = await post("/v3/election/leader", { name })
    assert.strictEqual((json["kv"] as Record<string, string>)["value"], base64("one"))
    await post("/v3/election/proclaim", { leader: one.json["leader"], value: base64("still one") })
    const again = await post("/v3/election/leader", { name })
    assert.strictEqual((again.json["kv"] as Record<string, string>)["value"], base64("still one"))
    await post("/v3/election/resign", { leader: one.json["leader"] })
    assert.strictEqual(((await two).json["leader"] as Record<string, string>)["lease"], "22")
    for (const ID of ["21", "22"]) await post("/v3/lease/revoke", { ID })
  })

  it("a snapshot arrives in lines of base64", async () => {
    const response = await fetch(url("/v3/maintenance/snapshot"), { method: "POST", body: "{}" })
    const lines = (await response.text()).trim().split("\n")
    const blobs = lines.map((line) =>
      Buffer.from((JSON.parse(line) as { result: { blob: string } }).result.blob, "base64")
    )
    const size = blobs.reduce((sum, blob) => sum + blob.length, 0)
    // Pages of a database, and the checksum behind them.
    assert.strictEqual(size % 512, 32)
  })

  const metrics: Readonly<Record<string, ReadonlyArray<string>>> = {
    gauge: [
      "etcd_server_has_leader",
      "etcd_server_is_leader",
      "etcd_server_is_learner",
      "etcd_server_proposals_committed_total",
      "etcd_server_proposals_applied_total",
      "etcd_server_proposals_pending",
      "etcd_server_version",
      "etcd_server_id",
      "etcd_server_quota_backend_bytes",
      "etcd_cluster_version",
      "etcd_mvcc_db_total_size_in_bytes",
      "etcd_mvcc_db_total_size_in_use_in_bytes",
      "etcd_debugging_mvcc_keys_total",
      "etcd_debugging_mvcc_watcher_total",
      "etcd_debugging_mvcc_slow_watcher_total",
      "etcd_debugging_mvcc_watch_stream_total",
      "etcd_debugging_mvcc_pending_events_total",
      "etcd_debugging_mvcc_current_revision",
      "etcd_debugging_mvcc_compact_revision",
      "process_resident_memory_bytes",
      "process_open_fds",
      "process_max_fds",
      "process_start_time_seconds"
    ],
    counter: [
      "etcd_server_leader_changes_seen_total",
      "etcd_server_proposals_failed_total",
      "etcd_server_slow_apply_total",
      "etcd_server_slow_read_indexes_total",
      "etcd_server_read_indexes_failed_total",
      "etcd_server_heartbeat_send_failures_total",
      "etcd_server_health_success",
      "etcd_server_health_failures",
      "etcd_server_client_requests_total",
      "etcd_mvcc_put_total",
      "etcd_mvcc_delete_total",
      "etcd_mvcc_range_total",
      "etcd_mvcc_txn_total",
      "etcd_debugging_mvcc_events_total",
      "etcd_debugging_lease_granted_total",
      "etcd_debugging_lease_revoked_total",
      "etcd_debugging_lease_renewed_total",
      "etcd_debugging_server_lease_expired_total",
      "etcd_network_client_grpc_received_bytes_total",
      "etcd_network_client_grpc_sent_bytes_total",
      "grpc_server_started_total",
      "grpc_server_handled_total",
      "grpc_server_msg_received_total",
      "grpc_server_msg_sent_total",
      "process_cpu_seconds_total"
    ],
    histogram: [
      "etcd_debugging_lease_ttl_total",
      "etcd_disk_wal_fsync_duration_seconds",
      "etcd_disk_backend_commit_duration_seconds"
    ]
  }

  it("shows etcd's metrics under their names and types, with values", async () => {
    const text = await (await fetch(url("/metrics"))).text()
    for (const [type, names] of Object.entries(metrics)) {
      for (const name of names) {
        assert.include(text, `# TYPE ${name} ${type}\n`)
        assert.match(text, new RegExp(`^${name}(?:_count)?(?:\\{.*\\})? -?\\d`, "m"))
      }
    }
    const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)![1])
    assert.strictEqual(value("etcd_server_has_leader"), 1)
    assert.strictEqual(value("etcd_server_is_leader"), 1)
    assert.strictEqual(value("etcd_server_leader_changes_seen_total"), 1)
    for (const name of [
      "etcd_mvcc_put_total",
      "etcd_mvcc_range_total",
      "etcd_mvcc_db_total_size_in_bytes",
      "etcd_debugging_mvcc_current_revision",
      "etcd_debugging_mvcc_events_total",
      "etcd_disk_wal_fsync_duration_seconds_count",
      "etcd_disk_backend_commit_duration_seconds_count",
      "etcd_network_client_grpc_sent_bytes_total"
    ]) {
      assert.isAbove(value(name), 0, name)
    }
    const handled = 'grpc_server_handled_total{grpc_code="AlreadyExists",grpc_method="Snapshot"'
    const labels = text.split("\n").find((line) => line.includes('"Snapshot"') && line.includes("AlreadyExists"))
    assert.isTrue(labels?.endsWith(" 0"), handled)
  })

  it("users log in through the gateway and are told in etcd's words what is wrong", async () => {
    const refused = async (
      path: string,
      body: unknown,
      headers: Record<string, string>,
      code: number,
      text: string
    ) => {
      const { json } = await post(path, body, headers)
      assert.deepStrictEqual([json["code"], json["error"], json["message"]], [code, text, text])
    }
    const credentials = { name: "root", password: "secret" }
    await refused("/v3/auth/authenticate", credentials, {}, 9, "etcdserver: authentication is not enabled")
    await post("/v3/auth/user/add", credentials)
    await post("/v3/auth/role/add", { name: "root" })
    await post("/v3/auth/user/grant", { user: "root", role: "root" })
    await post("/v3/auth/user/add", { name: "guest", password: "guest" })
    await post("/v3/auth/enable", {})
    const range = { key: base64("a") }
    await refused("/v3/kv/range", range, {}, 3, "etcdserver: user name is empty")
    await refused("/v3/kv/range", range, { authorization: "bad" }, 16, "etcdserver: invalid auth token")
    const wrong = "etcdserver: authentication failed, invalid user ID or password"
    await refused("/v3/auth/authenticate", { ...credentials, password: "x" }, {}, 3, wrong)
    const token = async (given: unknown): Promise<{ readonly authorization: string }> => {
      const { json } = await post("/v3/auth/authenticate", given)
      return { authorization: String(json["token"]) }
    }
    const guest = await token({ name: "guest", password: "guest" })
    await refused("/v3/kv/range", range, guest, 7, "etcdserver: permission denied")
    const root = await token(credentials)
    assert.strictEqual((await post("/v3/kv/range", range, root)).status, 200)
    const health = (await (await fetch(url("/health"))).json()) as Record<string, string>
    assert.strictEqual(health["health"], "true")
    assert.strictEqual((await post("/v3/auth/disable", {}, root)).status, 200)
  })
})

describe("the HTTP side of a server with TLS", () => {
  beforeAll(async () => {
    daemon = await startDaemon({ tls: true })
  })
  afterAll(() => daemon?.release())

  const tls = () => {
    const { ca, cert, key } = daemon.certificates!
    return { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) }
  }

  it("serves the gateway to HTTP/1.1 and to HTTP/2", async () => {
    const body = JSON.stringify({ key: base64("a"), value: base64("b") })
    const one = await new Promise<number>((resolve, reject) => {
      const options = { port: daemon.ports.client, host: "127.0.0.1", path: "/v3/kv/put", method: "POST", ...tls() }
      const request = httpsRequest(options, (response) => {
        response.resume()
        resolve(response.statusCode!)
      })
      request.on("error", reject)
      request.end(body)
    })
    // etcd's gateway calls itself with the server's certificate, which is none for clients here.
    assert.strictEqual(one, isEtcd ? 503 : 200)
    if (isEtcd) return
    const session = connectHttp2(`https://${daemon.endpoint}`, tls())
    try {
      const text = await new Promise<string>((resolve, reject) => {
        const request = session.request({ ":method": "POST", ":path": "/v3/kv/range" })
        let got = ""
        request.on("data", (piece: Buffer) => (got += piece.toString()))
        request.on("end", () => resolve(got))
        request.on("error", reject)
        request.end(body)
      })
      assert.include(text, `"value":"${base64("b")}"`)
    } finally {
      session.close()
    }
  })

  it("does not serve it to a client without a certificate", async () => {
    const { ca } = tls()
    const refused = await new Promise<string>((resolve) => {
      const options = { port: daemon.ports.client, host: "127.0.0.1", path: "/health", ca }
      httpsRequest(options, (response) => resolve(String(response.statusCode)))
        .on("error", () => resolve("refused"))
        .end()
    })
    assert.strictEqual(refused, "refused")
    assert.isTrue(daemon.isRunning())
  })
})
