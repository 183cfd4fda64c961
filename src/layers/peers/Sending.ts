/** The sending half of a stream, of either side: frames, and how much may wait. */
import type { Http2Stream } from "node:http2"
import { bufferBytesLimit, bufferBytesMax, messageBytesMax } from "./bounds.ts"
import { frame } from "./frames.ts"

export class Sending {
  readonly #drained: () => void
  readonly #broken: (reason: string) => void
  #stream: Http2Stream | undefined
  /** Before there is a stream. */
  #early: Array<Buffer> = []
  #earlyBytes = 0
  #full = false

  constructor(drained: () => void, broken: (reason: string) => void) {
    this.#drained = drained
    this.#broken = broken
  }

  start(stream: Http2Stream): void {
    this.#stream = stream
    stream.on("drain", () => {
      if (!this.#full) return
      this.#full = false
      this.#drained()
    })
    const early = this.#early
    this.#early = []
    this.#earlyBytes = 0
    for (const bytes of early) stream.write(bytes)
    // What was refused for want of a connection may go on once it has left; with nothing on its way that is now.
    if (this.#full && !stream.writableNeedDrain) {
      this.#full = false
      queueMicrotask(this.#drained)
    }
  }

  send(message: Uint8Array): boolean {
    if (message.length > messageBytesMax) {
      this.#broken(`a message of ${message.length} bytes is longer than ${messageBytesMax}`)
      return true
    }
    const bytes = frame(message)
    const stream = this.#stream
    let waiting: number
    if (stream === undefined) {
      this.#early.push(bytes)
      waiting = this.#earlyBytes += bytes.length
    } else {
      if (stream.destroyed || stream.writableEnded) return true
      stream.write(bytes)
      waiting = stream.writableLength
    }
    if (waiting > bufferBytesLimit) {
      this.#broken(`more than ${bufferBytesLimit} bytes wait to be sent`)
      return true
    }
    if (waiting > bufferBytesMax) this.#full = true
    return !this.#full
  }
}
