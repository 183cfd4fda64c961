/**
 * Decoder of the `aws-chunked` content encoding: `hex[;chunk-signature=…]\r\n data \r\n … 0[;…]\r\n trailers \r\n`.
 * A push parser over pieces of any size; chunk signatures are ignored, since the caller accepts any signature.
 */

/** The body is not well-formed `aws-chunked`. */
export class MalformedChunk extends Error {
  override readonly name: string = "MalformedChunk"
}

/** A chunk other than the last is smaller than what the caller accepts. */
export class ChunkTooSmall extends MalformedChunk {
  override readonly name = "ChunkTooSmall"
}

/** What S3 asks of all chunks but the last. */
export const chunkBytesMin = 8192

const lineBytesMax = 4096
const trailersMax = 16

type State = "size" | "data" | "dataEnd" | "trailer" | "done"

export class AwsChunkedDecoder {
  /** Lower-case names. Complete when `done`. */
  readonly trailers = new Map<string, string>()
  #state: State = "size"
  #remaining = 0
  #line = ""
  /** Of the chunk before. */
  #size: number | undefined
  readonly #emit: (data: Uint8Array) => void
  readonly #bytesMin: number

  /** `bytesMin`: of every chunk but the last. */
  constructor(emit: (data: Uint8Array) => void, bytesMin = 0) {
    this.#emit = emit
    this.#bytesMin = bytesMin
  }

  get done(): boolean {
    return this.#state === "done"
  }

  push(bytes: Uint8Array): void {
    let offset = 0
    while (offset < bytes.length) {
      if (this.#state === "data") {
        const end = Math.min(bytes.length, offset + this.#remaining)
        this.#emit(bytes.subarray(offset, end))
        this.#remaining -= end - offset
        offset = end
        if (this.#remaining === 0) this.#state = "dataEnd"
        continue
      }
      if (this.#state === "done") throw new MalformedChunk("bytes after the end of the chunked body")
      const newline = bytes.indexOf(0x0a, offset)
      const end = newline === -1 ? bytes.length : newline
      if (this.#line.length + (end - offset) > lineBytesMax) throw new MalformedChunk("a chunk header line is too long")
      for (let i = offset; i < end; i++) this.#line += String.fromCharCode(bytes[i]!)
      offset = end + 1
      if (newline !== -1) this.#endOfLine()
    }
  }

  /** Throws when the body stopped in the middle. Some clients leave out the empty line behind the last chunk. */
  end(): void {
    if (this.#state === "trailer" && this.#line === "") this.#state = "done"
    if (this.#state !== "done") throw new MalformedChunk("the chunked body ends too early")
  }

  #endOfLine(): void {
    const line = this.#line.endsWith("\r") ? this.#line.slice(0, -1) : this.#line
    this.#line = ""
    if (this.#state === "dataEnd") {
      if (line !== "") throw new MalformedChunk("chunk data is longer than its size says")
      this.#state = "size"
    } else if (this.#state === "size") {
      const match = /^([0-9a-fA-F]{1,10})(?:;.*)?$/.exec(line)
      if (match === null) throw new MalformedChunk(`bad chunk size "${line.slice(0, 40)}"`)
      this.#remaining = Number.parseInt(match[1]!, 16)
      this.#state = this.#remaining === 0 ? "trailer" : "data"
      if (this.#remaining > 0 && this.#size !== undefined && this.#size < this.#bytesMin)
        throw new ChunkTooSmall(`a chunk of ${this.#size} bytes, which is less than ${this.#bytesMin}, is not the last`)
      this.#size = this.#remaining
    } else if (line === "") {
      this.#state = "done"
    } else {
      const colon = line.indexOf(":")
      if (colon < 1 || this.trailers.size === trailersMax) throw new MalformedChunk("bad trailer")
      this.trailers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim())
    }
  }
}
