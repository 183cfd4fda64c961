/**
 * A RangeResponse encoded in steps of bounded work, so that whoever has a big one can let others go in between. The
 * bytes are those of `encodeRangeResponse`.
 */
import type { RangeResponse } from "../messages.ts"
import { Writer } from "../protobuf.ts"
import {
  headerFieldSize,
  int64Size,
  keyValueFieldSize,
  writeHeader,
  writeKeyValueField,
  writeNested
} from "./common.ts"

/** A step ends at either of them: about a millisecond. */
const stepKeys = 2_000
const stepBytes = 1 << 20

export class RangeSteps {
  readonly #response: RangeResponse
  /** Next key to be measured, later to be written. */
  #next = 0
  #size: number
  #writer: Writer | undefined

  constructor(response: RangeResponse) {
    this.#response = response
    this.#size = headerFieldSize(response.header) + (response.more ? 2 : 0) + int64Size(response.count)
  }

  /** Does one step; the bytes when it was the last one. */
  step(): Uint8Array | undefined {
    if (this.#writer !== undefined) return this.#write(this.#writer)
    const { kvs } = this.#response
    const end = Math.min(this.#next + stepKeys, kvs.length)
    while (this.#next < end) this.#size += keyValueFieldSize(kvs[this.#next++]!)
    if (this.#next < kvs.length) return undefined
    this.#next = 0
    this.#writer = new Writer(this.#size)
    writeNested(this.#writer, 1, this.#response.header, writeHeader)
    // A small response needs no second step.
    return this.#write(this.#writer)
  }

  #write(writer: Writer): Uint8Array | undefined {
    const { count, kvs, more } = this.#response
    const end = Math.min(this.#next + stepKeys, kvs.length)
    const full = writer.length + stepBytes
    while (this.#next < end && writer.length < full) writeKeyValueField(writer, 2, kvs[this.#next++]!)
    if (this.#next < kvs.length) return undefined
    writer.boolField(3, more)
    writer.int64Field(4, count)
    return writer.view()
  }
}
