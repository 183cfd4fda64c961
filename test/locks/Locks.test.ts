/** v3lock and v3election on a running server; with `NETSY_TEST_TARGET=etcd` on the machine's real etcd. */
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { CampaignRequest } from "../../src/core/wire/codec/election.ts"
import { LockRequest } from "../../src/core/wire/codec/lock.ts"
import { type Daemon, isEtcd, startDaemon } from "../support/daemon.ts"
import { RawClient } from "../support/grpc.ts"
import {
  acquire,
  bytes,
  campaign,
  got,
  keysUnder,
  leader,
  leaseTime,
  listLeases,
  newLease,
  observe,
  proclaim,
  putKey,
  release,
  resign,
  revokeLease,
  text
} from "./client.ts"

let daemon: Daemon
let client: RawClient

beforeAll(async () => {
  daemon = await startDaemon()
  client = new RawClient(daemon)
}, 60_000)

afterAll(async () => {
  client.close()
  await daemon.release()
}, 60_000)

const until = async (holds: () => boolean | Promise<boolean>, what: string): Promise<void> => {
  for (const deadline = Date.now() + 15_000; !(await holds()); await sleep(20)) {
    if (Date.now() > deadline) throw new Error(`not within 15 s: ${what}`)
  }
}

/** What etcd does otherwise, or its old version. */
const onlyHere = (name: string, test: () => Promise<void>, millis?: number): void => {
  if (!isEtcd) it(name, test, millis)
}

const keyOf = (name: string, lease: bigint): string => `${name}/${lease.toString(16)}`

describe("v3lock", () => {
  it("a lock is held by its first caller until it is unlocked; the others follow in their order", async () => {
    const name = bytes("first")
    const leases = [await newLease(client), await newLease(client), await newLease(client)]
    const first = got(await acquire(client, { name, lease: leases[0]! }))
    assert.strictEqual(text(first.key), keyOf("first", leases[0]!))
    const order: Array<number> = []
    const waiting = [1, 2].map(async (i) => {
      await until(async () => (await keysUnder(client, "first/")).length === i, `${i} in line`)
      const { key } = got(await acquire(client, { name, lease: leases[i]! }))
      order.push(i)
      return key
    })
    await until(async () => (await keysUnder(client, "first/")).length === 3, "all in line")
    assert.deepStrictEqual(
      await keysUnder(client, "first/"),
      leases.map((lease) => keyOf("first", lease))
    )
    await sleep(100)
    assert.deepStrictEqual(order, [])
    const unlocked = got(await release(client, { key: first.key }))
    assert.isAbove(unlocked.header!.revision, first.header!.revision)
    const second = await waiting[0]!
    await sleep(100)
    assert.deepStrictEqual(order, [1])
    await release(client, { key: second })
    assert.strictEqual(text(await waiting[1]), keyOf("first", leases[2]!))
    assert.deepStrictEqual(order, [1, 2])
  }, 60_000)

  it("asked again with the same lease it is held at once, with the same key", async () => {
    const name = bytes("again")
    const lease = await newLease(client)
    const first = got(await acquire(client, { name, lease }))
    const second = got(await acquire(client, { name, lease }))
    assert.deepStrictEqual([text(second.key), second.header!.revision], [text(first.key), first.header!.revision])
  })

  it("without a lease it gets one of 60 seconds that nobody keeps alive", async () => {
    const { key } = got(await acquire(client, { name: bytes("own"), lease: 0n }))
    const id = BigInt(`0x${text(key).slice("own/".length)}`)
    const { grantedTtl, keys } = got(await leaseTime(client, { id, keys: true }))
    assert.deepStrictEqual([grantedTtl, keys.map(text)], [60, [text(key)]])
    got(await release(client, { key }))
    assert.deepStrictEqual(got(await leaseTime(client, { id, keys: true })).keys, [])
  })

  it("goes to the next when its holder's lease is revoked or runs out", async () => {
    const name = bytes("dies")
    const [one, two, three] = [await newLease(client), await newLease(client, 2), await newLease(client)]
    got(await acquire(client, { name, lease: one }))
    const second = acquire(client, { name, lease: two })
    await until(async () => (await keysUnder(client, "dies/")).length === 2, "the second in line")
    const third = acquire(client, { name, lease: three })
    await until(async () => (await keysUnder(client, "dies/")).length === 3, "the third in line")
    got(await revokeLease(client, { id: one }))
    assert.strictEqual(text(got(await second).key), keyOf("dies", two))
    assert.strictEqual(text(got(await third).key), keyOf("dies", three))
  }, 60_000)

  // etcd 3.4 did not look.
  onlyHere("a caller whose lease is gone while it waits is told", async () => {
    const name = bytes("expires")
    const [one, two] = [await newLease(client), await newLease(client)]
    const { key } = got(await acquire(client, { name, lease: one }))
    const second = acquire(client, { name, lease: two })
    await until(async () => (await keysUnder(client, "expires/")).length === 2, "the second in line")
    got(await revokeLease(client, { id: two }))
    got(await release(client, { key }))
    assert.strictEqual(await second, "2 mutex: session is expired")
  })

  it("a caller that gives up or runs out of time leaves the line; the one behind it moves up", async () => {
    const name = bytes("leaves")
    const leases = await Promise.all([newLease(client), newLease(client), newLease(client), newLease(client)])
    const { key } = got(await acquire(client, { name, lease: leases[0]! }))
    const line = (length: number, what: string): Promise<void> =>
      until(async () => (await keysUnder(client, "leaves/")).length === length, what)
    assert.match(String(await acquire(client, { name, lease: leases[1]! }, 1_000)), /^4 /)
    await line(1, "the impatient one has left")
    const canceled = client.pending("/v3lockpb.Lock/Lock", LockRequest.encode({ name, lease: leases[2]! }))
    await line(2, "the one that gives up in line")
    const patient = acquire(client, { name, lease: leases[3]! })
    await line(3, "the patient one in line")
    canceled.cancel()
    assert.strictEqual((await canceled.answer).code, 1)
    await line(2, "the one that gave up has left")
    got(await release(client, { key }))
    assert.strictEqual(text(got(await patient).key), keyOf("leaves", leases[3]!))
  }, 60_000)

  onlyHere("a caller without a lease that gives up leaves no lease behind", async () => {
    const name = bytes("own-leaves")
    const before = got(await listLeases(client, {})).leases.length
    const { key } = got(await acquire(client, { name, lease: 0n }))
    const canceled = client.pending("/v3lockpb.Lock/Lock", LockRequest.encode({ name, lease: 0n }))
    await until(async () => (await keysUnder(client, "own-leaves/")).length === 2, "in line")
    canceled.cancel()
    await until(async () => (await keysUnder(client, "own-leaves/")).length === 1, "out of the line")
    await until(async () => got(await listLeases(client, {})).leases.length === before + 1, "its lease is gone")
    got(await release(client, { key }))
  })

  it("refuses a lease that does not exist, and an empty key", async () => {
    const lock = await acquire(client, { name: bytes("refused"), lease: 404n })
    assert.strictEqual(lock, "2 etcdserver: requested lease not found")
    assert.strictEqual(await release(client, { key: new Uint8Array(0) }), "2 etcdserver: key is not provided")
    got(await release(client, { key: bytes("refused/nothing") }))
  })
})

describe("v3election", () => {
  it("has no leader before somebody campaigns", async () => {
    assert.strictEqual(await leader(client, { name: bytes("nobody") }), "2 election: no leader")
    const missing = '2 "leader" field must be provided'
    assert.strictEqual(await proclaim(client, { leader: undefined, value: bytes("x") }), missing)
    assert.strictEqual(await resign(client, { leader: undefined }), missing)
  })

  it("is won by the first, who proclaims and resigns; then the next leads", async () => {
    const name = bytes("won")
    const [one, two] = [await newLease(client), await newLease(client)]
    const first = got(await campaign(client, { name, lease: one, value: bytes("a") }))
    assert.deepStrictEqual(
      [text(first.leader?.name), text(first.leader?.key), first.leader?.rev, first.leader?.lease],
      ["won", keyOf("won", one), first.header!.revision, one]
    )
    const second = campaign(client, { name, lease: two, value: bytes("b") })
    await until(async () => (await keysUnder(client, "won/")).length === 2, "the second stands")
    assert.strictEqual(text(got(await leader(client, { name })).kv?.value), "a")
    got(await proclaim(client, { leader: first.leader, value: bytes("a2") }))
    const { kv } = got(await leader(client, { name }))
    assert.deepStrictEqual([text(kv?.value), kv?.createRevision, kv?.version], ["a2", first.leader!.rev, 2])
    got(await resign(client, { leader: first.leader }))
    const won = got(await second)
    assert.strictEqual(won.leader?.lease, two)
    // The header is that of the candidacy, as in etcd.
    assert.strictEqual(won.header!.revision, won.leader!.rev)
    assert.strictEqual(text(got(await leader(client, { name })).kv?.value), "b")
    assert.strictEqual(await proclaim(client, { leader: first.leader, value: bytes("x") }), "2 election: not leader")
    got(await resign(client, { leader: first.leader }))
    assert.strictEqual(text(got(await leader(client, { name })).kv?.value), "b")
  }, 60_000)

  it("a leader that campaigns again with another value proclaims it", async () => {
    const name = bytes("twice")
    const lease = await newLease(client)
    const first = got(await campaign(client, { name, lease, value: bytes("a") }))
    const second = got(await campaign(client, { name, lease, value: bytes("b") }))
    assert.strictEqual(second.leader?.rev, first.leader?.rev)
    assert.strictEqual(text(got(await leader(client, { name })).kv?.value), "b")
  })

  it("a candidate that gives up is out of the race", async () => {
    const name = bytes("gives-up")
    const [one, two, three] = [await newLease(client), await newLease(client), await newLease(client)]
    const first = got(await campaign(client, { name, lease: one, value: bytes("a") }))
    const request = CampaignRequest.encode({ name, lease: two, value: bytes("b") })
    const canceled = client.pending("/v3electionpb.Election/Campaign", request)
    await until(async () => (await keysUnder(client, "gives-up/")).length === 2, "the second stands")
    const third = campaign(client, { name, lease: three, value: bytes("c") })
    await until(async () => (await keysUnder(client, "gives-up/")).length === 3, "the third stands")
    canceled.cancel()
    await until(async () => (await keysUnder(client, "gives-up/")).length === 2, "the second is out")
    got(await resign(client, { leader: first.leader }))
    assert.strictEqual(got(await third).leader?.lease, three)
  }, 60_000)

  it("observers see each leader and each value, from before the first one on", async () => {
    const name = bytes("seen")
    const early = observe(client, "seen")
    await sleep(200)
    // A neighbour's key is none of this election.
    await putKey(client, "seen0", "not me")
    const [one, two] = [await newLease(client), await newLease(client)]
    const first = got(await campaign(client, { name, lease: one, value: bytes("a") }))
    await until(() => early.leaders.length === 1, "the first leader is seen")
    const late = observe(client, "seen")
    await until(() => late.leaders.length === 1, "the latecomer sees the leader")
    const second = campaign(client, { name, lease: two, value: bytes("b") })
    await until(async () => (await keysUnder(client, "seen/")).length === 2, "the second stands")
    got(await proclaim(client, { leader: first.leader, value: bytes("a2") }))
    await until(() => late.leaders.length === 2, "the new value is seen")
    got(await resign(client, { leader: first.leader }))
    const won = got(await second)
    await until(() => late.leaders.length === 3, "the second leader is seen")
    got(await resign(client, { leader: won.leader }))
    await sleep(200)
    const third = got(await campaign(client, { name, lease: one, value: bytes("c") }))
    await until(() => early.leaders.length === 4 && late.leaders.length === 4, "the third leader is seen")
    assert.deepStrictEqual(
      [early.leaders, late.leaders],
      [
        ["a", "a2", "b", "c"],
        ["a", "a2", "b", "c"]
      ]
    )
    got(await resign(client, { leader: third.leader }))
    early.call.cancel()
    late.call.cancel()
  }, 60_000)

  onlyHere("a candidate whose lease is gone does not win", async () => {
    const name = bytes("lost")
    const [one, two] = [await newLease(client), await newLease(client)]
    const first = got(await campaign(client, { name, lease: one, value: bytes("a") }))
    const second = campaign(client, { name, lease: two, value: bytes("b") })
    await until(async () => (await keysUnder(client, "lost/")).length === 2, "the second stands")
    got(await revokeLease(client, { id: two }))
    got(await resign(client, { leader: first.leader }))
    assert.strictEqual(await second, "2 election: not leader")
  })
})

if (!isEtcd) {
  describe("a server with waiting calls", () => {
    it("stops without waiting for them", async () => {
      const other = await startDaemon()
      const caller = new RawClient(other)
      const name = bytes("stop")
      got(await acquire(caller, { name, lease: 0n }))
      const waiting = acquire(caller, { name, lease: 0n }, 30_000)
      await until(async () => (await keysUnder(caller, "stop/")).length === 2, "in line")
      const begun = Date.now()
      assert.strictEqual(await other.stop(), 0)
      assert.isBelow(Date.now() - begun, 4_000)
      assert.match(String(await waiting), /^14 /)
      caller.close()
      await other.release()
    }, 60_000)
  })
}
