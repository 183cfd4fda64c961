/** Incremental checksums of S3's `x-amz-checksum-*` family that Node lacks: CRC-32C and CRC-64/NVME, reflected tables. */

const crc32cTable = new Uint32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  crc32cTable[byte] = crc
}

/** Continues `crc` (0 to begin) over `bytes`. */
export const crc32c = (bytes: Uint8Array, crc = 0): number => {
  let state = ~crc
  for (let i = 0; i < bytes.length; i++) state = crc32cTable[(state ^ bytes[i]!) & 0xff]! ^ (state >>> 8)
  return ~state >>> 0
}

// The reflected polynomial 0x9a6c9329ac4bc9b5 in two halves: 64-bit integers would be far slower.
const polynomialHigh = 0x9a6c9329
const polynomialLow = 0xac4bc9b5
const crc64High = new Uint32Array(256)
const crc64Low = new Uint32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let high = 0
  let low = byte
  for (let bit = 0; bit < 8; bit++) {
    const carry = low & 1
    low = (low >>> 1) | (high << 31)
    high >>>= 1
    if (carry) {
      high ^= polynomialHigh
      low ^= polynomialLow
    }
  }
  crc64High[byte] = high
  crc64Low[byte] = low
}

/** CRC-64/NVME over pieces. */
export class Crc64Nvme {
  #high = 0xffffffff
  #low = 0xffffffff

  update(bytes: Uint8Array): void {
    let high = this.#high
    let low = this.#low
    for (let i = 0; i < bytes.length; i++) {
      const index = (low ^ bytes[i]!) & 0xff
      low = ((low >>> 8) | (high << 24)) ^ crc64Low[index]!
      high = (high >>> 8) ^ crc64High[index]!
    }
    this.#high = high
    this.#low = low
  }

  /** Big-endian, as it is sent. */
  digest(): Uint8Array {
    const out = new Uint8Array(8)
    const view = new DataView(out.buffer)
    view.setUint32(0, ~this.#high >>> 0)
    view.setUint32(4, ~this.#low >>> 0)
    return out
  }
}
