/** Values as JSON of one schema. */
import { Effect, Schema } from "effect"
import type { Entry } from "../../core/client/Entry.ts"
import * as Txn from "../../core/client/txn.ts"
import type { ClientShape, TypedClient, TypedEntry } from "../../services/Client.ts"

export const typed = <A, I, RD, RE>(
  client: Pick<ClientShape, "get" | "range" | "put">,
  schema: Schema.Codec<A, I, RD, RE>
): TypedClient<A, RD, RE> => {
  const json = Schema.fromJsonString(schema)
  const read = Schema.decodeEffect(json)
  const write = Schema.encodeEffect(json)
  const decode = (entry: Entry) => read(entry.value)
  const asTyped = (entry: Entry): Effect.Effect<TypedEntry<A>, Schema.SchemaError, RD> =>
    Effect.map(decode(entry), (value) => ({ key: entry.key, value, entry }))
  return {
    decode,
    get: (key, options) =>
      Effect.flatMap(client.get(key, options), (entry) =>
        entry === undefined ? Effect.succeed(undefined) : asTyped(entry)
      ),
    entries: (keys, options) =>
      Effect.flatMap(client.range(keys, options), ({ entries }) => Effect.forEach(entries, asTyped)),
    put: (key, value, options) => Effect.flatMap(write(value), (text) => client.put(key, text, options)),
    putOp: (key, value, options) => Effect.map(write(value), (text) => Txn.put(key, text, options))
  }
}
