/** A node in a program that has ports: etcd's own client and the program use the same store. */
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber } from "effect"
import { Client, ClientListener, Netsy } from "../../src/index.ts"
import { etcdctl, startEtcdctl } from "../support/etcdctl.ts"

const anyPort = "127.0.0.1:0"

describe("a daemon in a program", () => {
  it.live("answers etcdctl, and excludes its locks and elections", () => {
    const folder = mkdtempSync(join(tmpdir(), "netsy-embed-"))
    const netsy = Netsy.daemon({
      storage: `dir:${folder}/store`,
      bind: { client: anyPort, peer: anyPort, election: anyPort, health: anyPort },
      log: { to: "none" }
    })
    return Effect.gen(function* () {
      const client = yield* Client
      const { address } = yield* ClientListener
      const daemon = { endpoint: `${address.host}:${address.port}` } as Parameters<typeof etcdctl>[0]
      const ctl = (...args: ReadonlyArray<string>) => Effect.promise(() => etcdctl(daemon, args))

      yield* client.put("from/program", "1")
      assert.strictEqual((yield* ctl("get", "from/program")).stdout, "from/program\n1\n")
      yield* ctl("put", "from/etcdctl", "2")
      assert.strictEqual((yield* client.get("from/etcdctl"))?.value, "2")

      const other = startEtcdctl(daemon, ["lock", "shared"])
      yield* Effect.promise(() => other.lines(1))
      const mine = yield* Effect.forkChild(Effect.scoped(client.lock("shared")))
      while ((yield* client.count({ prefix: "shared/" })) < 2) yield* Effect.sleep("1 millis")
      yield* Effect.sleep("20 millis")
      assert.isUndefined(mine.pollUnsafe())
      other.stop()
      const lock = yield* Fiber.join(mine)
      assert.match(Buffer.from(lock.key).toString(), /^shared\/[0-9a-f]+$/)

      yield* client.campaign("leaders", "the program")
      const listener = startEtcdctl(daemon, ["elect", "--listen", "leaders"])
      const heard = yield* Effect.promise(() => listener.lines(2))
      listener.stop()
      assert.strictEqual(heard[1], "the program")
    }).pipe(
      Effect.scoped,
      Effect.provide(netsy),
      Effect.ensuring(Effect.sync(() => rmSync(folder, { recursive: true })))
    )
  })
})
