/** Cuts a stream of bytes into the JSON objects that stand in it one behind the other, with or without space between. */

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

export class Documents {
  readonly #bytesMax: number
  /** Earlier pieces of the object that is not complete yet. */
  #pieces: Array<Uint8Array> = []
  #bytes = 0
  #depth = 0
  #inString = false
  #escaped = false

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** True between two objects. */
  isBetween(): boolean {
    return this.#depth === 0
  }

  /** Calls `take` with each object that is complete now; returns what is wrong with the bytes, if anything is. */
  push(chunk: Uint8Array, take: (document: Uint8Array) => void): string | undefined {
    let start = 0
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!
      if (this.#depth === 0) {
        if (isSpace(byte)) continue
        if (byte !== 0x7b)
          return `JSON: an object must begin with "{", not ${JSON.stringify(String.fromCharCode(byte))}`
        start = i
        this.#depth = 1
      } else if (!this.#inObject(byte)) continue
      else {
        const end = i + 1
        const size = this.#bytes + end - start
        if (size > this.#bytesMax) return this.#tooLarge()
        take(this.#pieces.length === 0 ? chunk.subarray(start, end) : this.#join(chunk.subarray(start, end)))
        this.#pieces = []
        this.#bytes = 0
      }
    }
    if (this.#depth > 0) {
      this.#pieces.push(chunk.subarray(start))
      this.#bytes += chunk.length - start
      if (this.#bytes > this.#bytesMax) return this.#tooLarge()
    }
    return undefined
  }

  /** Looks at one more byte of an object; true when it ends the object. */
  #inObject(byte: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false
      else if (byte === 0x5c) this.#escaped = true
      else if (byte === 0x22) this.#inString = false
      return false
    }
    if (byte === 0x22) this.#inString = true
    else if (byte === 0x7b || byte === 0x5b) this.#depth++
    else if (byte === 0x7d || byte === 0x5d) return --this.#depth === 0
    return false
  }

  #join(last: Uint8Array): Uint8Array {
    return Buffer.concat([...this.#pieces, last])
  }

  #tooLarge(): string {
    return `JSON: an object is larger than ${this.#bytesMax} bytes`
  }
}
