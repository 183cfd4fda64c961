/** Rule W14: when a stream's watches are due for a progress notification, in steps of time counted by the caller. */
import type { Stream, Watch } from "./Watch.ts"

export class Progress {
  readonly #streams = new Set<Stream>()

  /** True: no watch of any stream asked for notifications. */
  get isIdle(): boolean {
    return this.#streams.size === 0
  }

  add(watch: Watch): void {
    watch.stream.notified.add(watch)
    this.#streams.add(watch.stream)
  }

  remove(watch: Watch): void {
    const { stream } = watch
    stream.notified.delete(watch)
    if (stream.notified.size === 0) this.#streams.delete(stream)
  }

  /** One step: the streams that are due now. `draw` says after how many steps a stream is due the next time. */
  step(draw: () => number): ReadonlyArray<Stream> {
    const due: Array<Stream> = []
    for (const stream of this.#streams) {
      if (stream.stepsToProgress === 0) stream.stepsToProgress = draw()
      else if (--stream.stepsToProgress === 0) {
        stream.stepsToProgress = draw()
        due.push(stream)
      }
    }
    return due
  }
}
