import { constants, zstdCompressSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { NotZstd, ZstdFrames } from "../../src/core/datafile/zstdFrames.ts"
import { concat, fromHex, seeded } from "./support.ts"

const skippable = fromHex("5a2a4d18 03000000 010203")
const emptySkippable = fromHex("502a4d18 00000000")

describe("zstd frames", () => {
  it("are found wherever the pieces are cut, with and without checksum, of any size, skippable ones too", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = seeded(seed)
      const frames = Array.from({ length: 1 + random(5) }, () => {
        const kind = random(6)
        if (kind === 0) return skippable
        if (kind === 1) return emptySkippable
        const content = Uint8Array.from({ length: random(kind === 2 ? 400_000 : 600) }, () =>
          random(kind === 3 ? 2 : 256)
        )
        const params = { [constants.ZSTD_c_checksumFlag]: random(2), [constants.ZSTD_c_contentSizeFlag]: random(2) }
        return new Uint8Array(zstdCompressSync(content, { params }))
      })
      const stream = concat(...frames)
      const ends: Array<number> = []
      const finder = new ZstdFrames()
      for (let at = 0; at < stream.length;) {
        const piece = stream.subarray(at, at + 1 + random(3000))
        let covered = 0
        for (const run of finder.push(piece)) {
          assert.strictEqual(run.start, covered)
          covered = run.end
          if (run.last) ends.push(at + run.end)
        }
        assert.strictEqual(covered, piece.length)
        at += piece.length
      }
      let end = 0
      assert.deepStrictEqual(
        ends,
        frames.map((frame) => (end += frame.length)),
        `seed ${seed}`
      )
      assert.isTrue(finder.between)
    }
  })

  it("that do not begin as frames do are refused", () => {
    assert.throws(() => new ZstdFrames().push(fromHex("00112233")), NotZstd)
  })
})
