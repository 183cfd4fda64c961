/** Random sequences over few keys, so that conflicts, ties, overlaps and compacted revisions are frequent. */
import { type Random, random } from "../wire/random.ts"
import { authPhase } from "./generateAuth.ts"
import { deleteRange, put, range, txn } from "./generateKv.ts"
import { ChosenLease, encode, methodOf, Revision } from "./messages.ts"
import type { Operation } from "./operations.ts"
import { filters, givenLease, interval, key, pick, value, weighted } from "./space.ts"

const streams = 4

const watch = (random: Random): Operation => {
  const start = weighted<() => unknown>(random, [
    [40, () => undefined],
    [35, () => new Revision("head", -random.int(40), 1)],
    [8, () => new Revision("head", 1 + random.int(6))],
    [5, () => new Revision("compact", -1 - random.int(3), 1)],
    [5, () => new Revision("compact", 0, 1)],
    [2, () => 1]
  ])()
  return {
    kind: "watch",
    stream: random.int(streams),
    create: {
      ...interval(random, 5),
      ...(start === undefined ? {} : { start_revision: start }),
      ...(random.chance(20) ? { progress_notify: true } : {}),
      ...(random.chance(50) ? { prev_kv: true } : {}),
      ...(random.chance(25) ? { filters: filters(random) } : {}),
      ...(random.chance(20) ? { fragment: true } : {}),
      ...(random.chance(25) ? { watch_id: 1 + random.int(10) } : {})
    }
  }
}

const grant = (random: Random, label: string | undefined): Operation => {
  const odd: ReadonlyArray<unknown> = [0, -5, 9_000_000_000, 9_000_000_001, "9223372036854775807"]
  const TTL = random.chance(12) ? pick(random, odd) : 600 + random.int(9000)
  // What counts on being alive must not run out within the run.
  const safe = TTL === 0 || TTL === -5 ? { ID: 0, TTL: 700 } : { ID: 0, TTL }
  if (label !== undefined) return { kind: "call", method: "Lease.LeaseGrant", request: safe, grants: label }
  return { kind: "call", method: "Lease.LeaseGrant", request: { ...safe, ID: givenLease(random) } }
}

/** A request of which the end is missing. */
const cutOff = (random: Random): Operation => {
  const put = random.chance(50)
  const { path, request } = methodOf(put ? "KV.Put" : "KV.Txn")
  const message = { key: key(random), value: value(random), prev_kv: true }
  const whole = encode(
    request,
    put ? message : { success: [{ request_put: message }, { request_range: { key: "a" } }] }
  )
  return { kind: "raw", path, body: Buffer.from(whole).toString("latin1").slice(0, random.int(whole.length)) }
}

export interface Options {
  readonly seed: number
  readonly operations: number
  /** Phases with users and roles. */
  readonly auth: boolean
  readonly leases: boolean
}

export const generate = ({ seed, operations, auth, leases }: Options): ReadonlyArray<Operation> => {
  const source = random(seed)
  const result: Array<Operation> = []
  let grants = 0
  let expiries = Math.max(1, Math.floor(operations / 2500))
  const quarter = Math.max(1, Math.floor(operations / 4))
  // Ids of the server's choice differ, and with them the hash: a sequence has either ids in keys or hashes.
  const chosen = (): boolean => Math.floor(result.length / quarter) % 2 === 1
  let everChosen = false
  const lease = (): unknown =>
    chosen() && grants > 0 && source.chance(50)
      ? new ChosenLease(`lease ${1 + source.int(grants)}`)
      : givenLease(source)
  const call = (method: string, request: Record<string, unknown>, reads = false): Operation => ({
    kind: "call",
    method,
    request,
    ...(reads ? { reads } : {})
  })

  const choices: ReadonlyArray<readonly [number, () => Operation]> = [
    [280, () => call("KV.Range", range(source), true)],
    [20, () => ({ kind: "rangeStream", request: range(source, true) })],
    [210, () => call("KV.Put", put(source, lease))],
    [60, () => call("KV.DeleteRange", deleteRange(source))],
    [200, () => call("KV.Txn", txn(source, lease))],
    [45, () => watch(source)],
    [30, () => ({ kind: "cancelWatch", stream: source.int(streams), id: source.int(14) })],
    [12, () => ({ kind: "progress", stream: source.int(streams) })],
    [4, () => ({ kind: "endStream", stream: source.int(streams) })],
    [
      9,
      () => {
        const plus = source.chance(85) ? -source.int(30) : 1 + source.int(3)
        const base = source.chance(80) ? "head" : "compact"
        const revision = source.chance(3) ? pick(source, [0, -1, "9223372036854775807"]) : new Revision(base, plus)
        return call("KV.Compact", { revision, ...(source.chance(30) ? { physical: true } : {}) })
      }
    ],
    [
      8,
      () => {
        if (everChosen) return call("Cluster.MemberList", {}, true)
        const request = source.chance(40) ? {} : { revision: new Revision("head", 2 - source.int(30)) }
        return call("Maintenance.HashKV", request, true)
      }
    ],
    [3, () => call("Cluster.MemberList", source.chance(50) ? {} : { linearizable: true }, true)],
    [4, () => cutOff(source)],
    [3, () => call("Maintenance.Status", {}, true)],
    [3, () => call("Maintenance.Alarm", { action: "GET" }, true)],
    ...(leases
      ? ([
          [
            25,
            () => {
              if (!chosen() || source.chance(50)) return grant(source, undefined)
              everChosen = true
              return grant(source, `lease ${++grants}`)
            }
          ],
          [16, () => call("Lease.LeaseRevoke", { ID: lease() })],
          [20, () => ({ kind: "keepAlive", ids: Array.from({ length: 1 + source.int(3) }, lease) })],
          [
            30,
            () => call("Lease.LeaseTimeToLive", { ID: lease(), ...(source.chance(60) ? { keys: true } : {}) }, true)
          ],
          [10, () => call("Lease.LeaseLeases", {}, true)],
          [
            3,
            () => {
              if (expiries-- <= 0) return call("Lease.LeaseLeases", {}, true)
              const renewed = source.chance(30) ? { renewAfterMillis: 1000 } : {}
              return { kind: "expire", id: 5000 + result.length, ttl: 2, keys: ["e2", "e1", "a"], ...renewed }
            }
          ]
        ] satisfies ReadonlyArray<readonly [number, () => Operation]>)
      : [])
  ]
  const phases = auth ? Math.max(1, Math.floor(operations / 2500)) : 0
  const phaseOperations = Math.floor(operations / 6 / Math.max(1, phases))
  const phaseEvery = Math.floor(operations / Math.max(1, phases))
  let phase = 0
  while (result.length < operations) {
    if (phase < phases && result.length >= (phase + 1) * phaseEvery - phaseOperations) {
      result.push(...authPhase(source, phaseOperations, phase++))
    } else result.push(weighted(source, choices)())
  }
  return result
}
