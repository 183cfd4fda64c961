/** Streamed bodies, shared by the stores. */
import { Effect, Stream } from "effect"
import { type StreamedBody, Unavailable } from "../../services/ObjectStore.ts"

/** The body; fails when it cannot be read or does not have the size it announced. */
export const checkedBody = (
  operation: string,
  key: string,
  body: StreamedBody
): Stream.Stream<Uint8Array, Unavailable> =>
  Stream.suspend(() => {
    let size = 0
    const wrongSize = (): Effect.Effect<never, Unavailable> => {
      const reason = `the body has ${size} bytes so far and ${body.size} were announced`
      return Effect.fail(new Unavailable({ operation, key, reason }))
    }
    return body.open().pipe(
      Stream.mapError((error) => new Unavailable({ operation, key, reason: `reading the body: ${error.message}` })),
      Stream.tap((piece) => {
        size += piece.length
        return size > body.size ? wrongSize() : Effect.void
      }),
      Stream.concat(Stream.suspend(() => (size === body.size ? Stream.empty : Stream.fromEffect(wrongSize()))))
    )
  })

/** A body as one array, for stores that keep everything in memory. */
export const collectBody = (
  operation: string,
  key: string,
  body: StreamedBody
): Effect.Effect<Uint8Array, Unavailable> =>
  Effect.suspend(() => {
    const bytes = new Uint8Array(body.size)
    let offset = 0
    return Stream.runForEach(checkedBody(operation, key, body), (piece) =>
      Effect.sync(() => {
        bytes.set(piece, offset)
        offset += piece.length
      })
    ).pipe(Effect.as(bytes))
  })
