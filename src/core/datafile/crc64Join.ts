/**
 * The CRC of two runs of bytes out of their CRCs, without reading the bytes again: the first one's is multiplied by
 * x^(8 × length of the second) in GF(2)[x] modulo the CRC's polynomial. Bits are reflected: the top bit of `high` is x^0.
 */
import type { Crc64 } from "./crc64.ts"

const polynomialHigh = 0xc96c5795 | 0
const polynomialLow = 0xd7870f42 | 0

/** Product of the last `multiply`. */
let productHigh = 0
let productLow = 0

const multiply = (aHigh: number, aLow: number, bHigh: number, bLow: number): void => {
  let high = 0
  let low = 0
  for (let half = 0; half < 2; half++) {
    const a = half === 0 ? aHigh : aLow
    if (half === 1 && a === 0) break
    for (let bit = 31; bit >= 0; bit--) {
      const mask = -((a >>> bit) & 1)
      high ^= bHigh & mask
      low ^= bLow & mask
      const carry = -(bLow & 1)
      bLow = ((bLow >>> 1) | (bHigh << 31)) ^ (polynomialLow & carry)
      bHigh = (bHigh >>> 1) ^ (polynomialHigh & carry)
    }
  }
  productHigh = high
  productLow = low
}

/** Hex digits of a length: up to 2^32 − 1 bytes. */
const digits = 8
/** x^(8 × d × 16^k) at k × 16 + d. */
const powersHigh = new Int32Array(digits * 16)
const powersLow = new Int32Array(digits * 16)

// x^8, then each power out of the one before.
let unitHigh = 1 << 23
let unitLow = 0
for (let k = 0; k < digits; k++) {
  powersHigh[k * 16] = 1 << 31
  for (let d = 1; d < 16; d++) {
    multiply(powersHigh[k * 16 + d - 1]!, powersLow[k * 16 + d - 1]!, unitHigh, unitLow)
    powersHigh[k * 16 + d] = productHigh
    powersLow[k * 16 + d] = productLow
  }
  multiply(powersHigh[k * 16 + 15]!, powersLow[k * 16 + 15]!, unitHigh, unitLow)
  unitHigh = productHigh
  unitLow = productLow
}

/** Below this many bytes it is quicker to read them again. */
const joinFromBytes = 4096

/** `running` goes on over `bytes` from `start` to `end`, whose own CRC is known. */
export const append = (running: Crc64, crc: Crc64, bytes: Uint8Array, start: number, end: number): void => {
  if (running.high === 0 && running.low === 0) running.copy(crc)
  else if (end - start < joinFromBytes) running.update(bytes, start, end)
  else join(running, crc, end - start)
}

/** `running` becomes the CRC of its bytes followed by the `length` bytes of `crc`. */
export const join = (running: Crc64, crc: Crc64, length: number): void => {
  let high = running.high | 0
  let low = running.low | 0
  for (let k = 0, rest = length; rest > 0; k++, rest = Math.floor(rest / 16)) {
    const digit = rest % 16
    if (digit === 0) continue
    multiply(high, low, powersHigh[k * 16 + digit]!, powersLow[k * 16 + digit]!)
    high = productHigh
    low = productLow
  }
  running.high = (high ^ crc.high) >>> 0
  running.low = (low ^ crc.low) >>> 0
}
