/** `Access` by the users and roles at head, and by token or client certificate. */
import { Effect, Layer } from "effect"
import {
  checkDeleteRange,
  checkLease,
  checkPut,
  checkRead,
  checkRoot,
  checkTxn,
  checkUser
} from "../core/auth/checks.ts"
import { errors } from "../core/wire/errors.ts"
import { Access } from "../services/Access.ts"
import { AuthTokens } from "../services/AuthTokens.ts"
import type { CallContext } from "../services/ClientApi.ts"
import { ReplicatedState } from "../services/ReplicatedState.ts"
import { Settings } from "../services/Settings.ts"

const bearer = /^bearer /i

/** The header of gRPC clients, else that of HTTP clients. */
const tokenOf = (context: CallContext): string | undefined =>
  (context.metadata("token") ?? context.metadata("authorization"))?.replace(bearer, "")

/** An empty one is a watch for the smallest key (rule W4). */
const smallestKey = Uint8Array.of(0)

export const layer: Layer.Layer<Access, never, ReplicatedState | AuthTokens | Settings> = Layer.effect(
  Access,
  Effect.gen(function* () {
    const state = yield* ReplicatedState
    const tokens = yield* AuthTokens
    const { clientCertAuth } = (yield* Settings).auth
    const leaseKeys = (lease: bigint): Iterable<string> => state.leases.attached(lease)

    return Access.of({
      enabled: () => state.auth().enabled,
      revision: () => state.auth().revision,
      identify: (context, use, refuse) => {
        const token = tokenOf(context)
        if (token !== undefined) {
          return tokens.holder(
            token,
            ({ authRevision, user }) => use({ user, authRevision: authRevision ?? state.auth().revision }),
            refuse
          )
        }
        const { commonName } = context
        if (!clientCertAuth || commonName === undefined || commonName === "") return refuse(errors.userEmpty)
        use({ user: commonName, authRevision: state.auth().revision })
      },
      range: (caller, request) => checkRead(state.auth(), caller, request),
      put: (caller, request) => checkPut(state.auth(), caller, request, leaseKeys),
      deleteRange: (caller, request) => checkDeleteRange(state.auth(), caller, request),
      txn: (caller, request) => checkTxn(state.auth(), caller, request, leaseKeys),
      compact: (caller) => checkRoot(state.auth(), caller),
      watch: (caller, { key, rangeEnd }) =>
        checkRead(state.auth(), caller, { key: key.length === 0 ? smallestKey : key, rangeEnd }),
      writeLease: (caller, lease) => checkLease(state.auth(), caller, "write", lease, leaseKeys),
      readLease: (caller, lease) => checkLease(state.auth(), caller, "read", lease, leaseKeys),
      user: (caller) => checkUser(state.auth(), caller),
      root: (caller) => checkRoot(state.auth(), caller)
    })
  })
)
