/**
 * A store of one's own under Netsy: whatever keeps bytes under keys and knows conditional writes will do. This one encrypts
 * every object before it leaves the process, and hands it to another store, here a directory.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Layer, Stream } from "effect"
import { Client, Netsy, ObjectStore } from "netsy"

const secret = createHash("sha256").update("not this one, please").digest()

/** Nonce, tag, ciphertext. */
const seal = (plain: Uint8Array): Uint8Array => {
  const nonce = randomBytes(12)
  const cipher = createCipheriv("aes-256-gcm", secret, nonce)
  const body = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), body])
}

/** Throws when somebody has changed the object: then the node stops, and says so. */
const open = (sealed: Uint8Array): Uint8Array => {
  const decipher = createDecipheriv("aes-256-gcm", secret, sealed.subarray(0, 12))
  decipher.setAuthTag(sealed.subarray(12, 28))
  return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()])
}

const encrypted = Layer.effect(
  ObjectStore,
  Effect.map(ObjectStore, (inner) => {
    const get = (key: string) => Effect.map(inner.get(key), ({ body, etag }) => ({ body: open(body), etag }))
    return ObjectStore.of({
      ...inner,
      get: (key, options) =>
        Effect.map(get(key), ({ body, etag }) => {
          const { end = body.length - 1, start = 0 } = options?.range ?? {}
          return { body: body.subarray(start, end + 1), etag }
        }),
      getStream: (key) =>
        Effect.map(get(key), ({ body, etag }) => ({ body: Stream.make(body), etag, size: body.length })),
      put: (key, body, condition) => inner.put(key, seal(body), condition),
      putStream: (key, body, condition) =>
        Stream.runCollect(body.open()).pipe(
          Effect.orDie,
          Effect.flatMap((pieces) => inner.put(key, seal(Buffer.concat([...pieces])), condition))
        )
    })
  })
)

const store = Netsy.layerWith({ dataDir: "./node" }).pipe(
  Layer.provide(encrypted),
  Layer.provide(Netsy.objectStoreOf({ storage: "dir:./bucket" }))
)

const program = Effect.gen(function* () {
  const client = yield* Client
  yield* client.put("diary/2026-11-21", "a secret")
  console.log((yield* client.get("diary/2026-11-21"))?.value)
})

await program.pipe(Effect.provide(store), Effect.runPromise)

const files = readdirSync("./bucket", { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
const readable = files.filter((file) => readFileSync(join(file.parentPath, file.name)).includes("a secret"))
console.log(`${readable.length} of ${files.length} files in the bucket can be read by others`)
