/** How much `netsy verify` has read of the bucket and how long it will still take, on standard error, for big ones. */
import { Clock, Effect, Layer, Stream } from "effect"
import { ObjectStore } from "../../services/ObjectStore.ts"

/** Below it nobody has to be told to wait. */
const quietBytes = 64 * 1024 * 1024
const sayEveryMillis = 5_000

export const showBytes = (bytes: number): string => {
  if (bytes < 1024) return `${bytes} bytes`
  const units = ["KiB", "MiB", "GiB", "TiB"]
  let value = bytes / 1024
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${value.toFixed(1)} ${units[unit]}`
}

const showSeconds = (seconds: number): string =>
  seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`

/** What is left by the pace so far. */
export const remaining = (readBytes: number, plannedBytes: number, seconds: number): string => {
  const planned = Math.max(plannedBytes, readBytes)
  const percent = planned === 0 ? 100 : Math.floor((readBytes / planned) * 100)
  const left = readBytes === 0 ? undefined : ((planned - readBytes) * seconds) / readBytes
  return `${showBytes(readBytes)} of ${showBytes(planned)} read (${percent} %)${left === undefined ? "" : `, about ${showSeconds(left)} more`}`
}

export class Progress {
  #readBytes = 0
  #plannedBytes = 0

  read(bytes: number): void {
    this.#readBytes += bytes
  }

  /** So many bytes from now on. */
  plan(bytes: number): void {
    this.#plannedBytes = this.#readBytes + bytes
  }

  /** What there is to do, before it is begun. */
  announce(objects: number, bytes: number, passes: number, say: (line: string) => void): void {
    if (this.#plannedBytes < quietBytes) return
    say(`${objects} objects with ${showBytes(bytes)}; the history in them is read ${passes} times more`)
  }

  /** Speaks every few seconds while the effect runs, if there is much to read. */
  during<A, E, R>(effect: Effect.Effect<A, E, R>, say: (line: string) => void): Effect.Effect<A, E, R> {
    const speak = Effect.gen({ self: this }, function* () {
      const clock = yield* Clock.Clock
      const start = clock.monotonicTimeNanosUnsafe()
      for (;;) {
        yield* Effect.sleep(sayEveryMillis)
        const seconds = Number(clock.monotonicTimeNanosUnsafe() - start) / 1e9
        if (this.#plannedBytes >= quietBytes) say(remaining(this.#readBytes, this.#plannedBytes, seconds))
      }
    })
    return Effect.raceFirst(effect, speak)
  }

  /** Counts what is read through it. */
  layer(): Layer.Layer<ObjectStore, never, ObjectStore> {
    return Layer.effect(
      ObjectStore,
      Effect.map(ObjectStore, (store) =>
        ObjectStore.of({
          ...store,
          get: (key, options) => Effect.tap(store.get(key, options), ({ body }) => this.#count(body.length)),
          getStream: (key) =>
            Effect.map(store.getStream(key), (found) => ({
              ...found,
              body: Stream.tap(found.body, (piece) => this.#count(piece.length))
            }))
        })
      )
    )
  }

  #count(bytes: number): Effect.Effect<void> {
    return Effect.sync(() => this.read(bytes))
  }
}
