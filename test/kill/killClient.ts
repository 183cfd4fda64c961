/**
 * A client of the durability test: mostly it puts to a key of its own, between that it reads, and it writes keys that all
 * clients share under compares. Everything is recorded.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { ChannelCredentials, Client, Metadata, type ServiceError } from "@grpc/grpc-js"
import type { Answer, Request } from "../linear/history.ts"
import type { Recorder } from "../linear/Recorder.ts"
import { callOf } from "../linear/wire.ts"

const deadlineMillis = 8_000
const pauseAfterErrorMillis = 20
/** grpc-js failed before the request could leave. */
const notSent = "No connection established"
const sharedKeys = ["shared-a", "shared-b", "shared-c", "shared-d"]

const raw = (value: Uint8Array): Buffer => Buffer.from(value)
const same = (value: Buffer): Buffer => value

export interface KillClientOptions {
  readonly id: number
  readonly address: string
  readonly recorder: Recorder
  readonly random: () => number
  readonly running: () => boolean
}

export interface KillClientReport {
  /** Own puts: value → revision. */
  readonly acknowledged: ReadonlyMap<string, number>
  readonly unknown: number
}

export const ownKeys = "client-"
export const ownKey = (id: number): string => `${ownKeys}${id}`

export const killClient = async (options: KillClientOptions): Promise<KillClientReport> => {
  const { address, id, random, recorder } = options
  const name = `c${id}`
  const acknowledged = new Map<string, number>()
  let unknown = 0
  const grpc = new Client(address, ChannelCredentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 200
  })

  const call = async (request: Request): Promise<Answer | undefined> => {
    const { body, decode, path } = callOf(request)
    const begun = recorder.begin(name, request)
    return new Promise((resolve) => {
      const deadline = Date.now() + deadlineMillis
      const done = (error: ServiceError | null, response?: Buffer): void => {
        if (error === null && response !== undefined) {
          const answer = decode(response)
          begun.ok(answer)
          return resolve(answer)
        }
        const details = error?.details ?? "no response"
        if (details.startsWith(notSent)) begun.failed(details)
        else {
          unknown++
          begun.unknown(details)
        }
        resolve(undefined)
      }
      grpc.makeUnaryRequest(path, raw, same, body, new Metadata(), { deadline }, done)
    })
  }

  const put = async (n: number): Promise<boolean> => {
    const value = `${id}:${n}`
    const answer = await call({ kind: "put", key: ownKey(id), value })
    if (answer !== undefined) acknowledged.set(value, answer.revision)
    return answer !== undefined
  }

  /** Reads two shared keys and changes them if they are as they were; the next time at the latest another one comes first. */
  const swap = async (n: number): Promise<boolean> => {
    const at = Math.floor(random() * (sharedKeys.length - 1))
    const key = sharedKeys[at]!
    const other = sharedKeys[at + 1]!
    const found = await call({ kind: "get", key, end: `${other}\0` })
    if (found?.result.kind !== "get") return false
    const of = (name: string) =>
      found.result.kind === "get" ? found.result.kvs.find((kv) => kv.key === name) : undefined
    const change: Request =
      random() < 0.3 && of(other) !== undefined
        ? { kind: "delete", key: other }
        : { kind: "put", key: other, value: `${id}:${n}:2` }
    const answer = await call({
      kind: "txn",
      compares: [
        { key, target: "mod", is: "=", than: of(key)?.mod ?? 0 },
        { key: other, target: "version", is: "=", than: of(other)?.version ?? 0 }
      ],
      success: [{ kind: "put", key, value: `${id}:${n}:1` }, change],
      failure: [{ kind: "get", key, end: `${other}\0` }]
    })
    return answer !== undefined
  }

  for (let n = 0; options.running(); n++) {
    const kind = random()
    const done =
      kind < 0.7
        ? await put(n)
        : kind < 0.85
          ? await swap(n)
          : (await call({ kind: "get", key: "\0", end: "\0", serializable: kind > 0.95 })) !== undefined
    if (!done) await sleep(pauseAfterErrorMillis)
  }
  grpc.close()
  return { acknowledged, unknown }
}
