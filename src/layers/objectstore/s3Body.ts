/** What the AWS SDK gets to send when the body is a stream. */
import { Readable } from "node:stream"

interface QuietSource {
  readonly body: Readable
  readonly broken: AbortSignal
  readonly failure: () => unknown
  readonly close: () => void
}

/**
 * A body for the SDK that never fails: inside the SDK a failing stream is either not noticed or ends the process.
 * Instead it stops, `broken` aborts the request, and `failure` says why.
 */
export const quietSource = (pieces: AsyncIterable<Uint8Array>): QuietSource => {
  const broken = new AbortController()
  const closed = Promise.withResolvers<void>()
  let failure: unknown
  const generate = async function* () {
    try {
      yield* pieces
    } catch (error) {
      failure = error
      broken.abort()
      await closed.promise
    }
  }
  const body = Readable.from(generate(), { objectMode: false })
  const close = (): void => {
    body.destroy()
    closed.resolve()
  }
  return { body, broken: broken.signal, failure: () => failure, close }
}
