/** A port that takes no connection and refuses none: its queue is full and nobody accepts. */
import { spawn } from "node:child_process"
import { connect, type Socket } from "node:net"
import { Effect, type Scope } from "effect"

const program = `
const server = require("node:net").createServer()
server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
  require("node:fs").writeSync(1, server.address().port + "\\n")
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})
`

export const silentPort: Effect.Effect<number, never, Scope.Scope> = Effect.gen(function* () {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] })),
    (process) => Effect.sync(() => void process.kill("SIGKILL"))
  )
  const port = yield* Effect.callback<number>((resume) => {
    child.stdout.once("data", (line: Buffer) => resume(Effect.succeed(Number(line.toString()))))
  })
  const fillers: Array<Socket> = []
  yield* Effect.addFinalizer(() => Effect.sync(() => fillers.forEach((socket) => socket.destroy())))
  // Until one of them hangs, the queue is not full.
  for (let hangs = false; !hangs;) {
    const socket = connect(port, "127.0.0.1")
    socket.on("error", () => {})
    fillers.push(socket)
    hangs = yield* Effect.callback<void>((resume) => void socket.once("connect", () => resume(Effect.void))).pipe(
      Effect.as(false),
      Effect.timeoutOrElse({ duration: 500, orElse: () => Effect.succeed(true) })
    )
  }
  return port
})
