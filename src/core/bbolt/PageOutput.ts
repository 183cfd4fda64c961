/** Pages in the order of their numbers, to be written to the file as they are taken. */
import { firstDataPage, pageBytes, setPageHeader } from "./format.ts"

const keptBytes = 256 * pageBytes

export class PageOutput {
  #bytes = new Uint8Array(keptBytes)
  #view = new DataView(this.#bytes.buffer)
  #length = 0
  #next = firstDataPage

  /** How many pages the file has so far, those in front of the data included. */
  get pageCount(): number {
    return this.#next
  }

  get bytes(): Uint8Array {
    return this.#bytes
  }

  get view(): DataView {
    return this.#view
  }

  /** Begins a page of `size` bytes, more pages than one if need be. Returns where it begins in `bytes`, zeroed. */
  begin(flags: number, count: number, size: number): { readonly id: number; readonly at: number } {
    const pages = Math.ceil(size / pageBytes)
    const at = this.#length
    const id = this.#next
    this.#reserve(pages * pageBytes)
    this.#bytes.fill(0, at, at + pages * pageBytes)
    setPageHeader(this.#view, at, { id, flags, count, overflow: pages - 1 })
    this.#length += pages * pageBytes
    this.#next += pages
    return { id, at }
  }

  /** A copy of the pages since the last call. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length)
    this.#length = 0
    if (this.#bytes.length > keptBytes) this.#use(new Uint8Array(keptBytes))
    return taken
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#use(grown)
  }

  #use(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }
}
