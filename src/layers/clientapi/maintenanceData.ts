/** `etcdserverpb.Maintenance` about the data: Hash, HashKV, and Snapshot as a stream of a database file. */
import { createHash } from "node:crypto"
import { Effect } from "effect"
import * as codec from "../../core/wire/codec/maintenance.ts"
import { Code, type EtcdError, errors, etcdError, isEtcdError } from "../../core/wire/errors.ts"
import { etcdStorageVersion } from "../../core/version.ts"
import type { Access } from "../../services/Access.ts"
import type { CallContext, StreamOut } from "../../services/ClientApi.ts"
import type { EtcdExport } from "../../services/EtcdExport.ts"
import type { Reply } from "../../services/Kv.ts"
import type { NodeStatus } from "../../services/NodeStatus.ts"
import { decoded } from "./decode.ts"
import { type UnaryMethod, unaryMethod } from "./method.ts"
import type { Run } from "./run.ts"
import type { StreamMethod } from "./streams.ts"

/** As etcd cuts it. */
const blobBytesMax = 32 * 1024
/** A client that takes nothing for so long gets no more: its file holds one of the few places. */
const stallMax = "2 minutes"

export interface MaintenanceDataOptions {
  readonly access: Access["Service"]
  readonly exporter: EtcdExport["Service"]
  readonly status: NodeStatus["Service"]
  /** The store's revision for headers. */
  readonly revision: () => number
  readonly run: Run
}

const asEtcdError = (error: EtcdError | { readonly message: string }): EtcdError =>
  isEtcdError(error) ? error : etcdError(Code.Internal, `netsy: ${error.message}`)

export const maintenanceDataMethods = (options: MaintenanceDataOptions): ReadonlyMap<string, UnaryMethod> => {
  const { access, exporter, revision, run, status } = options

  const answer = <A>(effect: Effect.Effect<A, EtcdError | { readonly message: string }>, reply: Reply<A>): void => {
    run(effect, { onSuccess: reply.succeed, onFailure: (error) => reply.fail(asEtcdError(error)) })
  }

  const hash = unaryMethod(access, {
    request: codec.HashRequest,
    encode: codec.HashResponse.encode,
    allow: (a, caller) => a.root(caller),
    call: (_request, { fail, succeed }) =>
      answer(exporter.hash, {
        succeed: (hashed) => succeed({ header: status.header(hashed.revision), hash: hashed.hash }),
        fail
      })
  })

  const hashKv = unaryMethod(access, {
    request: codec.HashKVRequest,
    encode: codec.HashKVResponse.encode,
    allow: (a, caller) => a.root(caller),
    call: (request, { fail, succeed }) =>
      answer(exporter.hashKv(request.revision), {
        succeed: (hashed) => succeed({ header: status.header(revision()), ...hashed }),
        fail
      })
  })

  return new Map([
    ["/etcdserverpb.Maintenance/Hash", hash],
    ["/etcdserverpb.Maintenance/HashKV", hashKv]
  ])
}

/** The file in blobs, then its SHA-256; the file goes when the client does. */
export const snapshotStream =
  ({ access, exporter, run }: Pick<MaintenanceDataOptions, "access" | "exporter" | "run">): StreamMethod =>
  (out: StreamOut, context: CallContext) => {
    let over = false
    let stop: (() => void) | undefined
    /** Set while the receiver is full. */
    let whenDrained: (() => void) | undefined

    const end = (error: EtcdError | undefined): void => {
      if (over) return
      over = true
      out.end(error)
    }

    const send = (blob: Uint8Array, remainingBytes: number) =>
      Effect.callback<void>((resume) => {
        // Rule H7: no header.
        const message = { header: undefined, remainingBytes, blob, version: etcdStorageVersion }
        if (out.send(codec.SnapshotResponse.encode(message))) resume(Effect.void)
        else whenDrained = () => resume(Effect.void)
      }).pipe(Effect.timeoutOrElse({ duration: stallMax, orElse: () => Effect.fail(errors.requestTimedOut) }))

    const sendFile = Effect.scoped(
      Effect.gen(function* () {
        const file = yield* exporter.file
        const sha256 = createHash("sha256")
        for (let at = 0; at < file.bytes;) {
          const blob = yield* file.read(at, blobBytesMax)
          at += blob.length
          sha256.update(blob)
          yield* send(blob, file.bytes - at)
        }
        yield* send(sha256.digest(), 0)
      })
    )

    const begin = (): void => {
      if (over || stop !== undefined) return
      stop = run(sendFile, { onSuccess: () => end(undefined), onFailure: (error) => end(asEtcdError(error)) })
    }

    const start = (): void => {
      if (!access.enabled()) return begin()
      access.identify(
        context,
        (caller) => {
          const denied = access.root(caller)
          if (denied === undefined) begin()
          else end(denied)
        },
        end
      )
    }

    return {
      message: (bytes) => decoded("SnapshotRequest", bytes, codec.SnapshotRequest.decode, start, end),
      drained: () => {
        const go = whenDrained
        whenDrained = undefined
        go?.()
      },
      ended: () => {},
      closed: () => {
        over = true
        stop?.()
      }
    }
  }
