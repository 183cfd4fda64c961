/** The relay between nodes under test: late is late, but never out of order, and damage is only where it was asked for. */
import { connect, createServer, type Server } from "node:net"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { freePort } from "./support/places.ts"
import { TestProcess } from "./support/process.ts"
import type { Weather } from "./support/relayProcess.ts"

const host = "127.0.0.1"
const program = new URL("./support/relayProcess.ts", import.meta.url).pathname
const fair: Weather = { delayMillis: 0, jitterMillis: 0, loss: 0, reset: 0, garble: 0, seed: 1 }
const numbers = 40_000

const folder = mkdtempSync(join(tmpdir(), "netsy-relay-"))
const relay = new TestProcess("relay", join(folder, "relay.log"))
let echo: Server
let port: number

beforeAll(async () => {
  const target = await freePort(host)
  port = await freePort(host)
  echo = createServer((socket) => void socket.pipe(socket).on("error", () => socket.destroy()))
  await new Promise<void>((resolve) => echo.listen(target, host, resolve))
  const args = ["--disable-warning=ExperimentalWarning", program, host, `${port}:${target}`]
  relay.start({ file: process.execPath, args, env: {} }, { messages: true })
  await relay.received()
})
afterAll(async () => {
  await relay.kill9()
  echo.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Sends numbers there and back; how many came back other than they should. */
const wrong = async (meanwhile: () => Promise<void>): Promise<number> => {
  const socket = connect(port, host)
  let rest = Buffer.alloc(0)
  let seen = 0
  let bad = 0
  const all = new Promise<void>((resolve, reject) => {
    socket.on("error", reject)
    socket.on("close", () => reject(new Error(`closed after ${seen} numbers`)))
    socket.on("data", (piece) => {
      rest = Buffer.concat([rest, piece])
      let at = 0
      for (; at + 4 <= rest.length; at += 4) if (rest.readUInt32LE(at) !== seen++) bad++
      rest = rest.subarray(at)
      if (seen === numbers) resolve()
    })
  })
  const changing = meanwhile()
  for (let sent = 0; sent < numbers;) {
    const piece = Buffer.alloc(400)
    for (let i = 0; i < 100; i++) piece.writeUInt32LE(sent++, i * 4)
    socket.write(piece)
    if (sent % 2_000 === 0) await sleep(10)
  }
  await Promise.all([all, changing])
  socket.destroy()
  return bad
}

describe("the relay between nodes", () => {
  it("keeps the order of bytes under latency and loss, also when they end in the middle", async () => {
    relay.send({ ...fair, delayMillis: 20, jitterMillis: 40, loss: 0.05 })
    const bad = await wrong(async () => {
      await sleep(100)
      relay.send(fair)
    })
    assert.strictEqual(bad, 0)
  })

  it("damages bytes where it is asked to", async () => {
    relay.send({ ...fair, garble: 1 })
    assert.isAbove(await wrong(() => Promise.resolve()), 0)
    relay.send(fair)
  })
})
