/**
 * The main thread's end of the database thread: requests go out in the order in which they were made, and only so many
 * (by count and bytes) are under way at once; whoever comes later waits its turn. A thread that has died answers nobody,
 * so its end fails everything that waits, and everything after it.
 */
import type { Worker } from "node:worker_threads"
import { Effect } from "effect"
import { InvariantViolation } from "../../core/assert.ts"
import type { Frame } from "../../core/localstore/frame.ts"
import { LocalStoreFailed } from "../../services/LocalStore.ts"
import type { Reply, Request, RequestName } from "./protocol.ts"

const underWayCountMax = 256
const underWayBytesMax = 64 * 1024 * 1024

/** What a request carries besides numbers and text; made only when its turn has come. */
export interface Payload {
  readonly bytesMax: number
  readonly encode: () => Frame
}

interface Waiting {
  readonly id: number
  readonly name: RequestName
  readonly numbers: ReadonlyArray<number>
  readonly text: string
  readonly payload: Payload | undefined
  readonly resume: (answer: Effect.Effect<Reply, LocalStoreFailed>) => void
}

export class Requests {
  private readonly worker: Worker
  private readonly path: string
  private readonly underWay = new Map<number, Waiting>()
  private readonly queue: Array<Waiting> = []
  private underWayBytes = 0
  private nextId = 1
  private ended: string | undefined

  constructor(worker: Worker, path: string) {
    this.worker = worker
    this.path = path
    worker.on("message", (reply: Reply) => this.onReply(reply))
    worker.on("messageerror", (error) => this.end(`an answer of the database thread is unreadable: ${error.message}`))
    worker.on("error", (error) => this.end(`the database thread failed: ${String(error)}`))
    worker.on("exit", (code) => this.end(`the database thread ended (exit code ${code})`))
  }

  call(
    name: RequestName,
    numbers: ReadonlyArray<number> = [],
    text = "",
    payload?: Payload
  ): Effect.Effect<Reply, LocalStoreFailed> {
    return Effect.callback<Reply, LocalStoreFailed>((resume) => {
      const waiting: Waiting = { id: this.nextId++, name, numbers, text, payload, resume }
      if (this.ended !== undefined) return resume(this.failed(name, this.ended))
      this.queue.push(waiting)
      this.sendWhatFits()
      // A request that has gone out is served in any case; one that still waits its turn is taken back.
      return Effect.sync(() => {
        const at = this.queue.indexOf(waiting)
        if (at >= 0) this.queue.splice(at, 1)
      })
    })
  }

  /** Fails everything under way and everything to come. */
  end(reason: string): void {
    if (this.ended !== undefined) return
    this.ended = reason
    const waiting = [...this.underWay.values(), ...this.queue]
    this.underWay.clear()
    this.queue.length = 0
    for (const one of waiting) one.resume(this.failed(one.name, reason))
  }

  private sendWhatFits(): void {
    while (this.queue.length > 0) {
      const next = this.queue[0]!
      const bytes = next.payload?.bytesMax ?? 0
      if (this.underWay.size >= underWayCountMax) return
      if (this.underWayBytes > 0 && this.underWayBytes + bytes > underWayBytesMax) return
      this.queue.shift()
      this.send(next, bytes)
    }
  }

  private send(waiting: Waiting, bytes: number): void {
    let frame: Frame | undefined
    try {
      frame = waiting.payload?.encode()
    } catch (error) {
      waiting.resume(Effect.die(error))
      return
    }
    this.underWay.set(waiting.id, waiting)
    this.underWayBytes += bytes
    const { id, name, numbers, text } = waiting
    const request: Request = { id, name, numbers, text, buffer: frame?.buffer, length: frame?.length ?? 0 }
    this.worker.postMessage(request, frame === undefined ? [] : [frame.buffer])
  }

  private onReply(reply: Reply): void {
    const waiting = this.underWay.get(reply.id)
    if (waiting === undefined) return
    this.underWay.delete(reply.id)
    this.underWayBytes -= waiting.payload?.bytesMax ?? 0
    const { failure } = reply
    if (failure === undefined) waiting.resume(Effect.succeed(reply))
    else if (failure.kind === "defect") waiting.resume(Effect.die(new InvariantViolation(failure.reason)))
    else waiting.resume(this.failed(waiting.name, failure.reason, failure.path))
    this.sendWhatFits()
  }

  private failed(operation: RequestName, reason: string, path = ""): Effect.Effect<never, LocalStoreFailed> {
    return Effect.fail(new LocalStoreFailed({ operation, path: path === "" ? this.path : path, reason }))
  }
}
