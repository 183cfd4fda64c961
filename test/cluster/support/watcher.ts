/** A watch of everything on one endpoint that goes on behind the last event it saw whenever its stream ends. */
import { setTimeout as sleep } from "node:timers/promises"
import { decodeWatchResponse, encodeWatchRequest } from "../../../src/core/wire/codec/watch.ts"
import type { Recorder } from "../../linear/Recorder.ts"
import { watchResponseOf } from "../../linear/wire.ts"
import type { Certificates } from "./certificates.ts"
import { Connection } from "./connection.ts"

const retryMillis = 100

/** A watched event; a delete has no value. */
export interface Seen {
  readonly revision: number
  readonly key: string
  readonly value: string
}

export class Watcher {
  readonly name: string
  readonly endpoint: string
  readonly seen: Array<Seen> = []
  readonly problems: Array<string> = []
  streams = 0
  readonly #certificates: Certificates
  readonly #recorder: Recorder
  #from: number
  #stopped = false
  #cancel: () => void = () => {}
  #ended: Promise<void> | undefined

  constructor(name: string, endpoint: string, from: number, certificates: Certificates, recorder: Recorder) {
    this.name = name
    this.endpoint = endpoint
    this.#from = from
    this.#certificates = certificates
    this.#recorder = recorder
  }

  start(): void {
    this.#ended = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel()
    await this.#ended
  }

  /** The last revision seen, or the one before the first that is owed. */
  get upTo(): number {
    return this.#from - 1
  }

  async #run(): Promise<void> {
    const connection = new Connection(this.endpoint, this.#certificates)
    while (!this.#stopped) {
      await this.#stream(connection)
      if (!this.#stopped) await sleep(retryMillis)
    }
    connection.close()
  }

  #stream(connection: Connection): Promise<void> {
    return new Promise((resolve) => {
      this.streams++
      const call = connection.stream("/etcdserverpb.Watch/Watch")
      this.#cancel = () => call.cancel()
      call.on("error", () => resolve())
      call.on("end", () => resolve())
      const recorded = this.#recorder.watch(this.name, { key: "\0", end: "\0" }, this.#from)
      call.on("data", (message: Buffer) => {
        const response = decodeWatchResponse(message)
        if (response.canceled) {
          // At the compaction revision itself deletes are gone.
          if (response.compactRevision > 0) this.#from = Math.max(this.#from, response.compactRevision + 1)
          else this.problems.push(`the watch of ${this.name} was cancelled: ${response.cancelReason}`)
          call.cancel()
          return
        }
        const said = watchResponseOf(response)
        if (said !== undefined) recorded.response(said)
        for (const { kv } of response.events) {
          if (kv.modRevision < this.#from - 1)
            this.problems.push(`the watch of ${this.name} got revision ${kv.modRevision} after ${this.#from - 1}`)
          this.seen.push({
            revision: kv.modRevision,
            key: Buffer.from(kv.key).toString(),
            value: Buffer.from(kv.value).toString()
          })
          this.#from = Math.max(this.#from, kv.modRevision + 1)
        }
      })
      call.write(
        encodeWatchRequest({
          kind: "create",
          create: {
            key: Uint8Array.of(0),
            rangeEnd: Uint8Array.of(0),
            startRevision: this.#from,
            progressNotify: false,
            filters: [],
            prevKv: false,
            watchId: 0n,
            fragment: false
          }
        })
      )
    })
  }
}
