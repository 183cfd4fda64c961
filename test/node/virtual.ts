/**
 * Virtual time and the processes that live in it. A process may be dead (nothing reaches it any more), paused (it does
 * not run, its clocks do) or suspended (its monotonic clock stands still too, the wall clock goes on).
 */
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { zstdCompress } from "node:zlib"
import { type Clock, Duration, Effect, Scheduler } from "effect"

interface Due {
  readonly at: number
  readonly nth: number
  run: (() => void) | undefined
}

const threads = 4
const little = new Uint8Array(4096)

/**
 * Work of the kind that is waited for, on every thread of Node's pool: however slow the machine is, what was handed to
 * the pool before has most likely been done when this has, and its callbacks have run.
 */
const realWorkRound = async (): Promise<void> => {
  await Promise.all(
    Array.from({ length: threads }, () => new Promise<void>((resolve) => zstdCompress(little, () => resolve())))
  )
  await new Promise<void>((resolve) => setImmediate(resolve))
}

export class VirtualTime {
  /** True milliseconds. */
  now = 0
  #nth = 0
  readonly #heap: Array<Due> = []
  #ready: Array<() => void> = []
  #realWork = false
  /** Fibers run when `settle` says so. */
  readonly scheduler = new Scheduler.MixedScheduler("async", (task) => {
    let run: (() => void) | undefined = task
    this.#ready.push(() => run?.())
    return () => {
      run = undefined
    }
  })

  /** Something was handed to Node's thread pool, which knows no virtual time. */
  expectRealWork(): void {
    this.#realWork = true
  }

  /** Lets every fiber run until it waits for virtual time. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 3; idle++) {
      while (this.#ready.length > 0) {
        idle = 0
        const ready = this.#ready
        this.#ready = []
        for (const run of ready) run()
      }
      if (this.#realWork && idle === 2) {
        this.#realWork = false
        for (let i = 0; i < 3; i++) await realWorkRound()
        idle = 0
      } else await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }

  /** Returns how to cancel it. */
  after(millis: number, run: () => void): () => void {
    const due: Due = { at: this.now + Math.max(0, millis), nth: this.#nth++, run }
    this.#push(due)
    return () => {
      due.run = undefined
    }
  }

  /** Goes to the next moment at which something is due, at most `millis` further, and runs what is due then. */
  step(millis: number): void {
    const until = this.now + millis
    while (this.#heap.length > 0 && this.#heap[0]!.run === undefined) this.#pop()
    const next = this.#heap[0]
    if (next === undefined || next.at > until) {
      this.now = until
      return
    }
    this.now = next.at
    while (this.#heap.length > 0 && this.#heap[0]!.at <= this.now) this.#pop().run?.()
  }

  #before(a: Due, b: Due): boolean {
    return a.at < b.at || (a.at === b.at && a.nth < b.nth)
  }

  #push(due: Due): void {
    const heap = this.#heap
    let i = heap.push(due) - 1
    while (i > 0) {
      const up = (i - 1) >> 1
      if (!this.#before(due, heap[up]!)) break
      heap[i] = heap[up]!
      i = up
    }
    heap[i] = due
  }

  #pop(): Due {
    const heap = this.#heap
    const top = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return top
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.#before(heap[child + 1]!, heap[child]!)) child++
      if (!this.#before(heap[child]!, last)) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
    return top
  }
}

/** Files and the compressor live in real time: virtual time stands still until the folder's files have stopped growing. */
export class FileWatch {
  readonly #folder: string
  #before = ""

  constructor(folder: string) {
    this.#folder = folder
  }

  async settle(): Promise<void> {
    for (let unchanged = 3; unchanged < 4;) {
      const now = this.#state()
      unchanged = now === this.#before ? unchanged + 1 : 0
      this.#before = now
      if (unchanged < 4) await realWorkRound()
    }
  }

  #state(): string {
    return readdirSync(this.#folder)
      .map((name) => `${name} ${statSync(join(this.#folder, name), { throwIfNoEntry: false })?.size}`)
      .join()
  }
}

export class Life {
  dead = false
  #stopped = false
  #frozenSince: number | undefined
  #frozenMillis = 0
  #queue: Array<() => void> = []
  readonly #time: VirtualTime
  /** How fast its clocks run, 0.95 … 1.05. */
  readonly rate: number
  readonly wallOffsetMillis: number

  constructor(time: VirtualTime, rate: number, wallOffsetMillis: number) {
    this.#time = time
    this.rate = rate
    this.wallOffsetMillis = wallOffsetMillis
  }

  get running(): boolean {
    return !this.dead && !this.#stopped
  }

  /** Something from outside reaches the process: a timer, an answer. */
  deliver(run: () => void): void {
    if (this.dead) return
    if (this.#stopped) this.#queue.push(run)
    else run()
  }

  kill(): void {
    this.dead = true
    this.#queue = []
  }

  pause(suspended: boolean): void {
    this.#stopped = true
    if (suspended) this.#frozenSince = this.#time.now
  }

  resume(): void {
    if (this.#frozenSince !== undefined) this.#frozenMillis += this.#time.now - this.#frozenSince
    this.#frozenSince = undefined
    this.#stopped = false
    const queue = this.#queue
    this.#queue = []
    for (const run of queue) this.deliver(run)
  }

  monotonicMillis(): number {
    return ((this.#frozenSince ?? this.#time.now) - this.#frozenMillis) * this.rate
  }

  wallMillis(): number {
    return Math.round(1_750_000_000_000 + this.wallOffsetMillis + this.#time.now * this.rate)
  }
}

export const clockOf = (time: VirtualTime, life: Life): Clock.Clock => {
  const monotonic = () => BigInt(Math.round(life.monotonicMillis() * 1e6))
  const wallNanos = () => BigInt(life.wallMillis()) * 1_000_000n
  return {
    currentTimeMillisUnsafe: () => life.wallMillis(),
    currentTimeMillis: Effect.sync(() => life.wallMillis()),
    currentTimeNanosUnsafe: wallNanos,
    currentTimeNanos: Effect.sync(wallNanos),
    monotonicTimeNanosUnsafe: monotonic,
    monotonicTimeNanos: Effect.sync(monotonic),
    sleep: (duration) => {
      const millis = Duration.toMillis(duration)
      if (millis <= 0) return Effect.yieldNow
      if (!Number.isFinite(millis)) return Effect.never
      return Effect.callback<void>((resume) => {
        const cancel = time.after(millis / life.rate, () => life.deliver(() => resume(Effect.void)))
        return Effect.sync(cancel)
      })
    }
  }
}
