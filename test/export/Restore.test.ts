/**
 * The way out with the tools that people have: `etcdctl snapshot save` from the node, `snapshot status` and `snapshot
 * restore`, and a real etcd on what was restored.
 */
import { rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { encodeCompactionRequest, decodeRangeResponse, encodeRangeRequest } from "../../src/core/wire/codec/kv.ts"
import * as lease from "../../src/core/wire/codec/lease.ts"
import { AlarmRequest, HashKVRequest, HashKVResponse } from "../../src/core/wire/codec/maintenance.ts"
import { encodeTxnRequest } from "../../src/core/wire/codec/txn.ts"
import type { RequestOp } from "../../src/core/wire/messages.ts"
import { del, put, rangeRequest, txnRequest } from "../mvcc/requests.ts"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { etcdctl } from "../support/etcdctl.ts"
import { RawClient } from "../support/grpc.ts"
import { random } from "../wire/random.ts"

interface Side {
  readonly daemon: Daemon
  readonly client: RawClient
}

const sideOf = (daemon: Daemon): Side => ({ daemon, client: new RawClient(daemon) })

const release = async ({ client, daemon }: Side): Promise<void> => {
  client.close()
  await daemon.release()
}

const call = async (side: Side, path: string, body: Uint8Array): Promise<Buffer> => {
  const answer = await side.client.unary(`/etcdserverpb.${path}`, body)
  assert.strictEqual(answer.code, 0, `${path}: ${answer.details}`)
  return answer.body
}

const ran = async (side: Side, args: ReadonlyArray<string>): Promise<string> => {
  const { code, stderr, stdout } = await etcdctl(side.daemon, args)
  assert.strictEqual(code, 0, `etcdctl ${args.join(" ")}: ${stdout}${stderr}`)
  return stdout
}

/** What `path` is restored to, as the data directory of a real etcd that was started in its place. */
const restored = async (path: string, whileStarting?: (daemon: Daemon) => Promise<void>): Promise<Side> => {
  const daemon = await startDaemon({ program: "etcd" })
  await daemon.stop()
  const data = join(daemon.directory, "data")
  rmSync(data, { recursive: true })
  const peer = `http://127.0.0.1:${daemon.ports.peer}`
  const made = await etcdctl(daemon, [
    "snapshot",
    "restore",
    path,
    `--data-dir=${data}`,
    "--name=node-1",
    `--initial-cluster=node-1=${peer}`,
    `--initial-advertise-peer-urls=${peer}`
  ])
  assert.strictEqual(made.code, 0, made.stdout + made.stderr)
  await Promise.all([daemon.start(), whileStarting?.(daemon)])
  return sideOf(daemon)
}

const everythingAt = async (side: Side, revision: number) => {
  const request = encodeRangeRequest(rangeRequest("\0", "\0", { revision }))
  const { header, kvs } = decodeRangeResponse(await call(side, "KV/Range", request))
  return {
    revision: header!.revision,
    kvs: kvs.map((kv) => ({
      ...kv,
      key: Buffer.from(kv.key).toString("hex"),
      value: Buffer.from(kv.value).toString("hex")
    }))
  }
}

const leasesOf = async (side: Side) => {
  const listed = lease.LeaseLeasesResponse.decode(
    await call(side, "Lease/LeaseLeases", lease.LeaseLeasesRequest.encode({}))
  )
  const found = []
  for (const { id } of listed.leases) {
    const body = await call(side, "Lease/LeaseTimeToLive", lease.LeaseTimeToLiveRequest.encode({ id, keys: true }))
    const { grantedTtl, keys, ttl } = lease.LeaseTimeToLiveResponse.decode(body)
    assert.isAbove(ttl, 0)
    found.push({ id, grantedTtl, keys: keys.map((key) => Buffer.from(key).toString("latin1")).sort() })
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1))
}

describe("a snapshot of a node with a history, restored into etcd", () => {
  let netsy: Side
  let etcd: Side
  let file: string
  let head = 0
  const floor = 60

  const write = (ops: ReadonlyArray<RequestOp>) => call(netsy, "KV/Txn", encodeTxnRequest(txnRequest([], ops)))

  beforeAll(async () => {
    netsy = sideOf(await startDaemon())
    const grant = (id: bigint, ttl: number) =>
      call(netsy, "Lease/LeaseGrant", lease.LeaseGrantRequest.encode({ id, ttl }))
    const ids = [11n, 0x7fffffffffffff01n, 12n]
    for (const id of ids) await grant(id, 900)
    const source = random(7)
    for (let i = 0; i < 120; i++) {
      const names = new Set(Array.from({ length: 1 + source.int(4) }, () => `key-${source.int(15)}`))
      await write(
        [...names].map((key) => {
          if (source.chance(25)) return del(key)
          return put(key, `value ${i}`, source.chance(30) ? { lease: ids[source.int(i > 100 ? 2 : 3)]! } : {})
        })
      )
      // Its keys die in one revision, the operation in the same entry of the log.
      if (i === 40 || i === 100) await call(netsy, "Lease/LeaseRevoke", lease.LeaseRevokeRequest.encode({ id: 12n }))
      if (i === 40) await grant(12n, 800)
    }
    await write([
      put("large", "x".repeat(1_000_000)),
      put("\xff\0binary", "\0\xff"),
      put("attached", "", { lease: 11n })
    ])
    await call(netsy, "KV/Compact", encodeCompactionRequest({ revision: floor, physical: true }))
    await write([put("last", "one")])
    file = join(netsy.daemon.directory, "snapshot.db")
    await ran(netsy, ["snapshot", "save", file])
    head = (await everythingAt(netsy, 0)).revision
    etcd = await restored(file)
  }, 120_000)

  afterAll(async () => {
    if (etcd !== undefined) await release(etcd)
    await release(netsy)
  })

  it("is a file of whole pages and a checksum, of which etcdctl knows revision and size", async () => {
    const bytes = statSync(file).size
    assert.strictEqual(bytes % 4096, 32)
    const status = JSON.parse(await ran(netsy, ["snapshot", "status", file, "-w", "json"]))
    assert.strictEqual(status.revision, head)
    assert.strictEqual(status.totalSize, bytes - 32)
  })

  it("shows every key at every revision above the compaction, with versions and leases", async () => {
    for (let revision = floor; revision <= head; revision++) {
      assert.deepStrictEqual(await everythingAt(etcd, revision), await everythingAt(netsy, revision), `at ${revision}`)
    }
    assert.isAbove((await everythingAt(etcd, 0)).kvs.length, 5)
  })

  it("refuses what was compacted", async () => {
    const request = encodeRangeRequest(rangeRequest("\0", "\0", { revision: floor - 1 }))
    for (const { client } of [netsy, etcd]) {
      const answer = await client.unary("/etcdserverpb.KV/Range", request)
      assert.strictEqual(answer.details, "etcdserver: mvcc: required revision has been compacted")
    }
  })

  it("has every lease with its time and its keys", async () => {
    const leases = await leasesOf(netsy)
    assert.deepStrictEqual(
      leases.map(({ grantedTtl, id }) => [id, grantedTtl]),
      [
        [11n, 900],
        [0x7fffffffffffff01n, 900]
      ]
    )
    assert.include(leases[0]!.keys, "attached")
    assert.deepStrictEqual(await leasesOf(etcd), leases)
  })

  it("hashes as the node does, at every revision", async () => {
    const hashOf = async (side: Side, revision: number) => {
      const body = await call(side, "Maintenance/HashKV", HashKVRequest.encode({ revision }))
      const { compactRevision, hash, header } = HashKVResponse.decode(body)
      return { compactRevision, hash, revision: header!.revision }
    }
    // Not at the compaction itself, which etcd 3.4 refuses.
    for (const revision of [0, floor + 1, floor + 2, head - 10, head]) {
      assert.deepStrictEqual(await hashOf(etcd, revision), await hashOf(netsy, revision), `at ${revision}`)
    }
  })

  it("can be written, compacted and restarted", async () => {
    await call(etcd, "KV/Txn", encodeTxnRequest(txnRequest([], [put("after", "all"), del("last")])))
    await call(etcd, "KV/Compact", encodeCompactionRequest({ revision: head, physical: true }))
    await call(etcd, "Maintenance/Defragment", new Uint8Array(0))
    const before = await everythingAt(etcd, 0)
    assert.strictEqual(before.revision, head + 1)
    await etcd.daemon.stop()
    await etcd.daemon.start()
    assert.deepStrictEqual(await everythingAt(etcd, 0), before)
  })
})

describe("a snapshot of a node with users and an alarm, restored into etcd", () => {
  let netsy: Side
  let etcd: Side
  let alarms = ""
  let refused = ""
  const root = "--user=root:secret"

  /** An etcd with an alarm never says that it is healthy. */
  const disarm = async (daemon: Daemon): Promise<void> => {
    let listed = await etcdctl(daemon, [root, "alarm", "list"])
    for (let i = 0; i < 20 && listed.code !== 0; i++) listed = await etcdctl(daemon, [root, "alarm", "list"])
    alarms = listed.stdout
    refused = (await etcdctl(daemon, [root, "put", "a", "b"])).stderr
    await etcdctl(daemon, [root, "alarm", "disarm"])
  }

  beforeAll(async () => {
    netsy = sideOf(await startDaemon())
    for (const args of [
      ["put", "app/one", "1"],
      ["put", "other", "2"],
      ["user", "add", "root:secret"],
      ["user", "add", "anna:pass"],
      ["role", "add", "app"],
      ["role", "grant-permission", "app", "--prefix=true", "readwrite", "app/"],
      ["role", "grant-permission", "app", "read", "alone"],
      ["user", "grant-role", "anna", "app"]
    ]) {
      await ran(netsy, args)
    }
    const alarm = { action: 1, memberId: 77n, alarm: 1 }
    await call(netsy, "Maintenance/Alarm", AlarmRequest.encode(alarm))
    await ran(netsy, ["auth", "enable"])
    const file = join(netsy.daemon.directory, "snapshot.db")
    await ran(netsy, [root, "snapshot", "save", file])
    etcd = await restored(file, disarm)
  }, 120_000)

  afterAll(async () => {
    if (etcd !== undefined) await release(etcd)
    await release(netsy)
  })

  it("knows users, roles and grants, and asks for passwords", async () => {
    for (const args of [
      ["user", "list"],
      ["role", "list"],
      ["user", "get", "anna"],
      ["role", "get", "app"]
    ]) {
      assert.strictEqual(await ran(etcd, [root, ...args]), await ran(netsy, [root, ...args]), args.join(" "))
    }
    for (const side of [netsy, etcd]) {
      assert.strictEqual(await ran(side, ["--user=anna:pass", "get", "app/one", "--print-value-only"]), "1\n")
      for (const args of [
        ["get", "app/one"],
        ["--user=anna:wrong", "get", "app/one"],
        ["--user=anna:pass", "get", "other"]
      ]) {
        assert.notStrictEqual((await etcdctl(side.daemon, args)).code, 0, args.join(" "))
      }
    }
  })

  it("gives snapshots and hashes to root only, before and after", async () => {
    for (const { daemon } of [netsy, etcd]) {
      for (const args of [
        ["snapshot", "save", join(netsy.daemon.directory, "stolen.db")],
        ["endpoint", "hashkv"]
      ]) {
        const refused = await etcdctl(daemon, ["--user=anna:pass", ...args])
        assert.notStrictEqual(refused.code, 0)
        assert.include(refused.stderr, "permission denied")
        assert.notStrictEqual((await etcdctl(daemon, args)).code, 0)
      }
      assert.strictEqual((await etcdctl(daemon, [root, "endpoint", "hashkv"])).code, 0)
    }
  })

  it("keeps the alarm until it is disarmed", async () => {
    assert.strictEqual(alarms, "memberID:77 alarm:NOSPACE \n")
    assert.include(refused, "mvcc: database space exceeded")
    assert.strictEqual(await ran(etcd, [root, "alarm", "list"]), "")
    assert.strictEqual(await ran(etcd, [root, "put", "a", "b"]), "OK\n")
  })
})
