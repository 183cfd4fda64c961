/**
 * Giving space back: pages that rows left behind go from the end of the file (incremental vacuum), and the write-ahead
 * log is carried into the file, both in steps of a few milliseconds. Nothing here waits for a reader: while a view is
 * open the log is carried over only up to what it sees, and the files shrink after it.
 */
import * as fs from "node:fs"
import type Database from "better-sqlite3"

/** 512 KiB. */
const stepPages = 128
/** The log is carried over after so many steps: a bound on one checkpoint's time. */
const stepsPerCheckpoint = 4

export class Space {
  private readonly db: Database.Database
  private readonly file: string
  private readonly pageBytes: number
  private steps = 0

  constructor(db: Database.Database, file: string) {
    this.db = db
    this.file = file
    this.pageBytes = this.number("page_size")
  }

  /** Bytes of the files, and bytes in use. */
  size(): { readonly total: number; readonly inUse: number } {
    const pages = this.number("page_count")
    const files = this.bytesOf("") + this.bytesOf("-wal")
    return { total: files, inUse: this.pageBytes * (pages - this.number("freelist_count")) }
  }

  /** One step towards `keepFreeBytes` of free pages; true when that is reached. */
  step(keepFreeBytes: number): boolean {
    const excess = this.number("freelist_count") - Math.floor(keepFreeBytes / this.pageBytes)
    if (excess > 0) this.db.pragma(`incremental_vacuum(${Math.min(excess, stepPages)})`)
    if (++this.steps % stepsPerCheckpoint === 0) this.checkpoint("PASSIVE")
    return excess <= stepPages
  }

  /** Carries the log over and empties its file, as far as readers allow. */
  checkpoint(mode: "PASSIVE" | "TRUNCATE"): void {
    this.db.pragma("busy_timeout = 0")
    try {
      this.db.pragma(`wal_checkpoint(${mode})`)
    } finally {
      this.db.pragma("busy_timeout = 5000")
    }
  }

  private bytesOf(suffix: string): number {
    return fs.statSync(this.file + suffix, { throwIfNoEntry: false })?.size ?? 0
  }

  private number(name: string): number {
    return this.db.pragma(name, { simple: true }) as number
  }
}
