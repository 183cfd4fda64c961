/** `etcdctl make-mirror`: what is there is copied, what comes is followed. */
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { startEtcdctl } from "../support/etcdctl.ts"
import { commands } from "./command.ts"

const untilEqual = async (read: () => Promise<string>, wanted: string): Promise<void> => {
  for (const deadline = Date.now() + 20_000; ; await sleep(50)) {
    const got = await read()
    if (got === wanted) return
    if (Date.now() > deadline) assert.strictEqual(got, wanted)
  }
}

const mirror = async (source: Daemon, destination: Daemon): Promise<void> => {
  const from = commands(source)
  const to = commands(destination)
  for (let i = 0; i < 20; i++) await from.run("put", `m/${i}`, `old ${i}`)
  await from.run("put", "elsewhere", "1")
  const running = startEtcdctl(source, ["make-mirror", "--prefix=m/", "--dest-prefix=copy/", destination.endpoint])
  const all = ["get", "copy/", "--prefix"]
  const original = async (): Promise<string> => (await from.run("get", "m/", "--prefix")).replaceAll(/^m\//gm, "copy/")
  await untilEqual(() => to.run(...all), await original())
  await from.run("put", "m/5", "new")
  await from.run("put", "m/new", "new")
  await from.run("del", "m/6")
  await from.feed("\n\nput m/7 together\nput m/8 together\n\n\n", "txn")
  await untilEqual(() => to.run(...all), await original())
  assert.strictEqual(await to.run("get", "elsewhere"), "")
  running.stop()
  await running.ended
}

describe("etcdctl make-mirror", () => {
  it.each([
    ["to an etcd", undefined, "etcd"],
    ["from an etcd", "etcd", undefined]
  ] as const)("%s", async (_, first, second) => {
    const source = await startDaemon(first === undefined ? {} : { program: first })
    try {
      const destination = await startDaemon(second === undefined ? {} : { program: second })
      try {
        await mirror(source, destination)
      } finally {
        await destination.release()
      }
    } finally {
      await source.release()
    }
  })
})
