/** gRPC's framing: one byte (never compressed here), four of length, the message. */
import { messageBytesMax } from "./bounds.ts"

const headBytes = 5

export const frame = (message: Uint8Array): Buffer => {
  const bytes = Buffer.allocUnsafe(headBytes + message.length)
  bytes[0] = 0
  bytes.writeUInt32BE(message.length, 1)
  bytes.set(message, headBytes)
  return bytes
}

/** Puts messages together. Each owns its memory. */
export class FrameReader {
  readonly #head = new Uint8Array(headBytes)
  #headCount = 0
  #message: Uint8Array | undefined
  #count = 0

  /** Calls `message` for each one that is complete with this piece; what is wrong, or undefined. */
  push(piece: Uint8Array, message: (bytes: Uint8Array) => void): string | undefined {
    let at = 0
    while (at < piece.length) {
      if (this.#message === undefined) {
        const taken = Math.min(headBytes - this.#headCount, piece.length - at)
        for (let i = 0; i < taken; i++) this.#head[this.#headCount++] = piece[at++]!
        if (this.#headCount < headBytes) return undefined
        const head = this.#head
        if (head[0] !== 0) return "a compressed message"
        const length = head[1]! * 0x1000000 + ((head[2]! << 16) | (head[3]! << 8) | head[4]!)
        if (length > messageBytesMax) return `a message of ${length} bytes is longer than ${messageBytesMax}`
        this.#message = new Uint8Array(length)
        this.#count = 0
      }
      const whole = this.#message
      const taken = Math.min(whole.length - this.#count, piece.length - at)
      whole.set(taken === piece.length ? piece : piece.subarray(at, at + taken), this.#count)
      at += taken
      this.#count += taken
      if (this.#count < whole.length) return undefined
      this.#message = undefined
      this.#headCount = 0
      message(whole)
    }
    return undefined
  }

  /** In the middle of a message. */
  get isPartial(): boolean {
    return this.#headCount > 0
  }
}
