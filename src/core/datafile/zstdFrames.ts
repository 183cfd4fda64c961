/**
 * Where zstd frames begin and end (RFC 8878, section 3), without decompressing them: Node's decompressor stops after one
 * frame, a data file may consist of several. Holds a few bytes of state, however large the frames are.
 */

/** A run of bytes of the piece that was pushed; all of them belong to one frame. */
export interface FrameRun {
  readonly start: number
  readonly end: number
  /** The frame ends with this run. */
  readonly last: boolean
}

/** The bytes are not a zstd stream. */
export class NotZstd extends Error {
  override readonly name = "NotZstd"
}

const frameMagic = 0xfd2fb528
const skippableMagic = 0x184d2a50

type Step =
  | "trailing"
  | "magic"
  | "descriptor"
  | "header"
  | "blockHeader"
  | "blockBytes"
  | "checksum"
  | "skipSize"
  | "skipBytes"

export class ZstdFrames {
  private step: Step = "magic"
  /** Bytes still to come for this step, and the little-endian number made of those that came. */
  private missing = 4
  private value = 0
  private shift = 0
  private framesEnded = 0
  /** Bytes behind the last frame that begin no other one. */
  trailingBytes = 0
  private lastBlock = false
  private hasChecksum = false

  /** False inside a frame: the stream must not end there. */
  get between(): boolean {
    return this.step === "magic" || this.step === "trailing"
  }

  /** The frames' runs in this piece, in order. What follows the last frame belongs to none. */
  push(piece: Uint8Array): Array<FrameRun> {
    const runs: Array<FrameRun> = []
    let start = 0
    let at = 0
    while (at < piece.length) {
      if (this.step === "trailing") {
        this.trailingBytes += piece.length - at
        return runs
      }
      if (this.step === "blockBytes" || this.step === "skipBytes" || this.step === "header") {
        const taken = Math.min(this.missing, piece.length - at)
        at += taken
        this.missing -= taken
      } else {
        if (this.shift < 32) this.value = (this.value | (piece[at]! << this.shift)) >>> 0
        this.shift += 8
        this.missing--
        at++
      }
      while (this.missing === 0) {
        if (this.advance()) {
          runs.push({ start, end: at, last: true })
          start = at
        }
      }
      if (this.trailingBytes > 0) start = at
    }
    if (start < at) runs.push({ start, end: at, last: false })
    return runs
  }

  private expect(step: Step, bytes: number): void {
    this.step = step
    this.missing = bytes
    this.value = 0
    this.shift = 0
  }

  /** The bytes of a step are there. True at the end of a frame. */
  private advance(): boolean {
    const { value } = this
    switch (this.step as Step) {
      case "magic":
        if (value === frameMagic) this.expect("descriptor", 1)
        else if ((value & 0xfffffff0) >>> 0 === skippableMagic) this.expect("skipSize", 4)
        else if (this.framesEnded === 0) throw new NotZstd("no zstd frame where one should begin")
        else {
          this.trailingBytes = 4
          this.expect("trailing", Infinity)
        }
        return false
      case "descriptor": {
        const single = (value & 0x20) !== 0
        const contentSize = [single ? 1 : 0, 2, 4, 8][value >>> 6]!
        this.hasChecksum = (value & 4) !== 0
        this.expect("header", (single ? 0 : 1) + [0, 1, 2, 4][value & 3]! + contentSize)
        return false
      }
      case "header":
        this.expect("blockHeader", 3)
        return false
      case "blockHeader": {
        const type = (value >>> 1) & 3
        if (type === 3) throw new NotZstd("a zstd block of a reserved type")
        this.lastBlock = (value & 1) !== 0
        this.expect("blockBytes", type === 1 ? 1 : value >>> 3)
        return false
      }
      case "blockBytes":
        if (!this.lastBlock) this.expect("blockHeader", 3)
        else if (this.hasChecksum) this.expect("checksum", 4)
        else return this.frameEnd()
        return false
      case "skipSize":
        if (value === 0) return this.frameEnd()
        this.expect("skipBytes", value)
        return false
      case "checksum":
      case "skipBytes":
        return this.frameEnd()
      case "trailing":
        return false
    }
  }

  private frameEnd(): true {
    this.framesEnded++
    this.expect("magic", 4)
    return true
  }
}
