/**
 * Leases under load: keys with a lease that is kept alive for a while and then revoked or left to expire. A history knows
 * no leases, so the end of each is recorded as a delete of its key of which nobody says when it happens.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { decodePutResponse, encodePutRequest } from "../../../src/core/wire/codec/kv.ts"
import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseRevokeRequest
} from "../../../src/core/wire/codec/lease.ts"
import type { Recorder } from "../../linear/Recorder.ts"
import { callOf } from "../../linear/wire.ts"
import type { Cluster } from "./cluster.ts"
import { Connection } from "./connection.ts"

const ttlSeconds = 6
const keepAliveMillis = 1_500
const deadlineMillis = 8_000
const leasedKeys = "leased-"

export class Leases {
  readonly problems: Array<string> = []
  granted = 0
  kept = 0
  readonly #cluster: Cluster
  readonly #recorder: Recorder
  readonly #random: () => number
  #running = true
  #number = 0

  constructor(cluster: Cluster, recorder: Recorder, random: () => number) {
    this.#cluster = cluster
    this.#recorder = recorder
    this.#random = random
  }

  /** One lease after the other until `stop`; run several for several at a time. */
  async run(): Promise<void> {
    while (this.#running) {
      const { nodes } = this.#cluster
      const node = nodes[Math.floor(this.#random() * nodes.length)]!
      const connection = new Connection(node.endpoint, this.#cluster.certificates)
      await this.#one(connection).catch(() => sleep(200))
      connection.close()
    }
  }

  stop(): void {
    this.#running = false
  }

  /** Failures of calls end the round: the node may be gone. */
  async #one(connection: Connection): Promise<void> {
    const key = `${leasedKeys}${this.#number++}`
    const grant = LeaseGrantRequest.encode({ ttl: ttlSeconds, id: 0n })
    const { id } = LeaseGrantResponse.decode(
      await connection.unary("/etcdserverpb.Lease/LeaseGrant", grant, deadlineMillis)
    )
    this.granted++
    const value = `lease ${id}`
    const begun = this.#recorder.begin("leases", { kind: "put", key, value })
    this.#recorder.begin("leases", { kind: "delete", key })
    const put = encodePutRequest({
      key: Buffer.from(key),
      value: Buffer.from(value),
      lease: id,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false
    })
    try {
      const answer = decodePutResponse(await connection.unary("/etcdserverpb.KV/Put", put, deadlineMillis))
      begun.ok({ revision: answer.header!.revision, result: { kind: "put" } })
    } catch (error) {
      begun.unknown(String(error))
      throw error
    }
    for (let rounds = Math.floor(this.#random() * 6); rounds > 0 && this.#running; rounds--) {
      if (!(await this.#keepAlive(connection, id))) return
      // Just kept alive for 6 s: its key must be there.
      const asked = performance.now()
      const get = callOf({ kind: "get", key })
      const recorded = this.#recorder.begin("leases", { kind: "get", key })
      try {
        const answer = get.decode(await connection.unary(get.path, get.body, deadlineMillis))
        recorded.ok(answer)
        const there = answer.result.kind === "get" && answer.result.kvs.length === 1
        if (!there && performance.now() - asked < 4_000)
          this.problems.push(
            `${key} is gone although lease ${id} was kept alive ${performance.now() - asked} ms before`
          )
      } catch (error) {
        recorded.unknown(String(error))
        throw error
      }
      this.kept++
      await sleep(keepAliveMillis)
    }
    if (this.#random() < 0.5)
      await connection.unary("/etcdserverpb.Lease/LeaseRevoke", LeaseRevokeRequest.encode({ id }), deadlineMillis)
  }

  #keepAlive(connection: Connection, id: bigint): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const call = connection.stream("/etcdserverpb.Lease/LeaseKeepAlive")
      const late = setTimeout(() => call.cancel(), deadlineMillis)
      call.on("data", (bytes: Buffer) => {
        clearTimeout(late)
        const { ttl } = LeaseKeepAliveResponse.decode(bytes)
        resolve(ttl > 0)
        call.cancel()
      })
      call.on("error", (error) => {
        clearTimeout(late)
        reject(error)
      })
      call.write(LeaseKeepAliveRequest.encode({ id }))
    })
  }
}
