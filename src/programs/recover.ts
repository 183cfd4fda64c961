/** `netsy recover NODE`: declares a dead node gone for good, straight on the bucket (design 6.4). */
import { Clock, Effect } from "effect"
import { arbiterKey, decodeArbiter } from "../core/election/arbiter.ts"
import { decodeLock, lockKey } from "../core/election/lock.ts"
import { encodeRecoverOrder, recoverOrderKey } from "../core/election/recoverOrder.ts"
import { decodeRegistration, nodeKey } from "../core/election/registry.ts"
import { decideRecover } from "../core/status/command.ts"
import { needsOrder, recoverExplanation, type RecoverInput, recoverProblem } from "../core/status/recover.ts"
import { ObjectStore } from "../services/ObjectStore.ts"
import { bucketOf } from "./bucket.ts"

export interface Output {
  readonly out: (line: string) => void
  readonly error: (line: string) => void
}

const optional = (store: ObjectStore["Service"], key: string) =>
  store.get(key).pipe(
    Effect.map(({ body }): Uint8Array | undefined => body),
    Effect.catchTag("NotFound", () => Effect.succeed(undefined))
  )

/** What cannot be read is said and does not stop anybody who has to recover, except the arbiter. */
const lookAt = (nodeId: string, store: ObjectStore["Service"]) =>
  Effect.gen(function* () {
    const arbiterBody = yield* optional(store, arbiterKey)
    const arbiter = arbiterBody === undefined ? undefined : decodeArbiter(arbiterBody)
    if (typeof arbiter === "string") return yield* Effect.fail({ message: `${arbiterKey}: ${arbiter}` })
    const lockBody = yield* optional(store, lockKey)
    const lock = lockBody === undefined ? undefined : decodeLock(lockBody)
    const body = yield* optional(store, nodeKey(nodeId))
    const registration = body === undefined ? undefined : decodeRegistration(body)
    const { objects } = yield* store.list({ prefix: "nodes/" })
    const input: RecoverInput = {
      nodeId,
      registration:
        typeof registration === "string"
          ? { nodeId, clientAddress: "", peerAddress: "", incarnation: "", starts: 0, run: "" }
          : registration,
      registered: objects.map(({ key }) => key.slice("nodes/".length).replace(/\.json$/, "")),
      arbiter,
      lock: typeof lock === "string" ? undefined : lock,
      nowMillis: yield* Clock.currentTimeMillis
    }
    return input
  })

/** Exit code: 0 done, 1 not possible, 2 nothing done without `--yes`. */
export const recoverNode = (nodeId: string, yes: boolean, output: Output): Effect.Effect<number, never, ObjectStore> =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const input = yield* lookAt(nodeId, store)
    const problem = recoverProblem(input)
    if (problem !== undefined) return yield* Effect.fail({ message: problem })
    for (const line of recoverExplanation(input)) output.out(line)
    output.out("")
    if (!yes) {
      output.out("Nothing has been changed. To do it, say it again with --yes.")
      return 2
    }
    // First the deletion: an order without it says nothing about who is gone.
    yield* store.delete(nodeKey(nodeId))
    if (needsOrder(input)) {
      yield* store.put(recoverOrderKey, encodeRecoverOrder({ term: input.arbiter!.term, nodeId }))
    }
    output.out(`Done. The Elector goes on by itself; \`netsy status\` says what it still waits for.`)
    return 0
  }).pipe(
    Effect.catch((error) =>
      Effect.sync(() => {
        output.error(`netsy recover: ${error.message}`)
        return 1
      })
    )
  )

/** The subcommand; sets the exit code of the process. */
export const recover = (argv: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.gen(function* () {
    const command = decideRecover(argv)
    if (command.kind === "exit") {
      process.stdout.write(command.stdout)
      process.stderr.write(command.stderr)
      process.exitCode = command.code
      return
    }
    const bucket = bucketOf(command.rest)
    if (!bucket.ok) {
      process.stderr.write(`netsy recover: ${bucket.why}\n${bucket.lines}`)
      process.exitCode = 1
      return
    }
    const standard: Output = {
      out: (line) => process.stdout.write(`${line}\n`),
      error: (line) => process.stderr.write(`${line}\n`)
    }
    process.exitCode = yield* recoverNode(command.nodeId, command.yes, standard).pipe(
      Effect.provide(bucket.layer),
      Effect.catch((error) =>
        Effect.sync(() => {
          standard.error(`netsy recover: ${error.message}`)
          return 1
        })
      )
    )
  })
