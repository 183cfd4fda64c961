/** Speed of the data files' CRC: MB/s at the sizes of a small record, a page and a chunk. Run with `node`. */
import { Crc64 } from "../../src/core/datafile/crc64.ts"

for (const size of [300, 4096, 1 << 20]) {
  const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 31) & 0xff)
  const crc = new Crc64()
  const rounds = Math.ceil((256 << 20) / size)
  for (let i = 0; i < rounds / 4; i++) crc.reset().update(bytes)
  const start = performance.now()
  for (let i = 0; i < rounds; i++) crc.reset().update(bytes)
  const seconds = (performance.now() - start) / 1000
  console.log(`${String(size).padStart(8)} B  ${((rounds * size) / 1e6 / seconds).toFixed(0)} MB/s`)
}
