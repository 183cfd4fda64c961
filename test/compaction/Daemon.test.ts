/** Compaction and defragmentation of a real process under writes, killed in the middle of them. */
import { statSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Etcd3 } from "etcd3"
import { type Daemon, startDaemon } from "../support/daemon.ts"

const mebibyte = 1024 * 1024
const keys = 20

describe("a process that is killed while it compacts", () => {
  let daemon: Daemon
  let client: Etcd3

  const connect = (): Etcd3 => new Etcd3({ hosts: `http://${daemon.endpoint}` })

  beforeAll(async () => {
    daemon = await startDaemon({ program: "netsy" })
    client = connect()
  })
  afterAll(async () => {
    client?.close()
    await daemon?.release()
  })

  const diskBytes = (): number =>
    ["", "-wal"]
      .map((suffix) => statSync(join(daemon.directory, "data", `db.sqlite3${suffix}`), { throwIfNoEntry: false })?.size)
      .reduce<number>((sum, size) => sum + (size ?? 0), 0)

  /** Values of 8 KiB; the last one of each key. */
  const fill = async (round: number, count: number): Promise<void> => {
    for (let from = 0; from < count; from += 100) {
      const puts = Array.from({ length: 100 }, (_, i) =>
        client.put(`k${(from + i) % keys}`).value(`${round} ${from + i} `.padEnd(8192, "x"))
      )
      await Promise.all(puts.map((put) => put.exec()))
    }
  }

  const revision = async (): Promise<string> => (await client.get("k0").exec()).header.revision

  const values = async (): Promise<ReadonlyArray<string>> => {
    const all = await client.getAll().prefix("k").strings()
    return Object.entries(all)
      .map(([key, value]) => `${key}=${value.trimEnd().slice(0, 12)}`)
      .sort()
  }

  it(
    "comes back with every key, every lease and the floor, and its files shrink under writes",
    { timeout: 120_000 },
    async () => {
      const leases = await Promise.all(
        [600, 700].map(async (ttl) => (await client.leaseClient.leaseGrant({ TTL: ttl, ID: 0 })).ID)
      )
      for (let round = 0; round < 3; round++) {
        await fill(round, 1_000)
        const before = await values()
        const at = await revision()
        // Not waited for: the process is killed while the rows are being removed.
        client.kv.compact({ revision: at, physical: true }).catch(() => {})
        client.maintenance.defragment().catch(() => {})
        await sleep(20 + 60 * round)
        await daemon.kill9()
        await daemon.start()
        // The old one does not call again for a while after failures.
        client.close()
        client = connect()
        assert.deepStrictEqual(await values(), before)
        // Done by the first call or by this one; at or below it nothing is readable in either case.
        await client.kv.compact({ revision: at, physical: true }).catch((error: Error) => {
          assert.include(error.message, "required revision has been compacted")
        })
        const below = await client
          .get("k0")
          .revision(Number(at) - 1)
          .exec()
          .catch((error: Error) => error)
        assert.include((below as Error).message, "required revision has been compacted")
      }
      await fill(3, 100)
      let writing = true
      const writer = (async () => {
        let count = 0
        while (writing) {
          await client.put("other").value(`${count++}`)
        }
        return count
      })()
      const at = await revision()
      await client.kv.compact({ revision: at, physical: true })
      await client.maintenance.defragment()
      // A snapshot that is just being taken still needs the old file.
      for (let i = 0; i < 50 && diskBytes() > 4 * mebibyte; i++) {
        await sleep(200)
        await client.maintenance.defragment()
      }
      writing = false
      assert.isAbove(await writer, 0)
      assert.isBelow(diskBytes(), 4 * mebibyte)
      const found = (await client.leaseClient.leaseLeases()).leases.map(({ ID }) => ID)
      assert.includeMembers(found, leases)
    }
  )
})
