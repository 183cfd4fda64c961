/**
 * What a client sends before and with its first request, held back until that request's headers are there, so that they
 * can be mended (`hpackAuthority.ts`). Most clients wait for our SETTINGS before they ask for anything: `needsSettings`
 * says when to send some, and their acknowledgement is taken out again, for the real session knows nothing of them.
 */
import { withoutScheme } from "./hpackAuthority.ts"

const prefaceBytes = 24
const frameHeadBytes = 9
const frameBytesMax = 16_384
const Frame = { headers: 1, settings: 4, ping: 6 } as const
const Flag = { ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const

/** An empty SETTINGS frame: nothing is changed by it. */
export const emptySettings: Uint8Array = Uint8Array.of(0, 0, 0, Frame.settings, 0, 0, 0, 0, 0)

export class Opening {
  /** Everything that goes on to the session. */
  readonly #kept: Array<Uint8Array> = []
  #rest: Uint8Array = new Uint8Array(0)
  #prefaced = false
  #settingsSent = false
  #acknowledged = false
  #clientSettings = false
  #headers = false
  /** Not what this is for: let through as it is. */
  #unusual = false

  /** The next bytes of the client. */
  push(bytes: Uint8Array): void {
    this.#rest = this.#rest.length === 0 ? bytes : concat([this.#rest, bytes])
    if (!this.#prefaced) {
      if (this.#rest.length < prefaceBytes) return
      this.#prefaced = true
      this.#keep(prefaceBytes)
    }
    while (!this.done && this.#frame()) {}
  }

  /** The client has introduced itself and waits. */
  get needsSettings(): boolean {
    return this.#clientSettings && !this.#settingsSent && !this.#headers && !this.#unusual
  }

  settingsSent(): void {
    this.#settingsSent = true
  }

  /** Nobody waits any longer for the headers; what was sent must be acknowledged all the same. */
  giveUp(): void {
    this.#unusual = true
  }

  /** Everything may go on: the first headers are there, and no acknowledgement is under way. */
  get done(): boolean {
    return (this.#headers || this.#unusual) && (this.#acknowledged || !this.#settingsSent)
  }

  /** What the session gets. */
  take(): Uint8Array {
    return concat([...this.#kept, this.#rest])
  }

  #keep(length: number): void {
    this.#kept.push(this.#rest.subarray(0, length))
    this.#rest = this.#rest.subarray(length)
  }

  /** Takes one whole frame; false: there is none. */
  #frame(): boolean {
    const bytes = this.#rest
    if (bytes.length < frameHeadBytes) return false
    const length = (bytes[0]! << 16) | (bytes[1]! << 8) | bytes[2]!
    const type = bytes[3]!
    const flags = bytes[4]!
    if (length > frameBytesMax) {
      this.#unusual = true
      // An acknowledgement behind it would not be found any more: the session refuses such a frame anyway.
      this.#acknowledged = true
      return false
    }
    if (bytes.length < frameHeadBytes + length) return false
    if (type === Frame.settings && (flags & Flag.ack) !== 0 && this.#settingsSent && !this.#acknowledged) {
      this.#acknowledged = true
      this.#rest = bytes.subarray(frameHeadBytes + length)
      return true
    }
    if (type === Frame.settings) this.#clientSettings = true
    // Whoever pings wants an answer soon.
    if (type === Frame.ping) this.#unusual = true
    if (type === Frame.headers && !this.#headers) {
      this.#headers = true
      const mended = mendHeaders(bytes.subarray(0, frameHeadBytes + length), flags)
      if (mended !== undefined) {
        this.#kept.push(mended)
        this.#rest = bytes.subarray(frameHeadBytes + length)
        return true
      }
    }
    this.#keep(frameHeadBytes + length)
    return true
  }
}

/** The HEADERS frame with a bare authority. Padded ones and those that go on in another frame are left alone. */
const mendHeaders = (frame: Uint8Array, flags: number): Uint8Array | undefined => {
  if ((flags & Flag.endHeaders) === 0 || (flags & Flag.padded) !== 0) return undefined
  const from = frameHeadBytes + ((flags & Flag.priority) !== 0 ? 5 : 0)
  if (from > frame.length) return undefined
  const block = withoutScheme(frame.subarray(from))
  if (block === undefined) return undefined
  const mended = concat([frame.subarray(0, from), block])
  const length = mended.length - frameHeadBytes
  mended[0] = length >> 16
  mended[1] = (length >> 8) & 0xff
  mended[2] = length & 0xff
  return mended
}

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
