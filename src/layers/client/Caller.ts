/** Calls as somebody: nobody in particular, or a user whose token is renewed when it has run out. */
import { Effect, Ref, type Scope } from "effect"
import { errors } from "../../core/wire/errors.ts"
import type { ClientError } from "../../services/ClientError.ts"
import type { Calls, Opened, StreamOf, Unary } from "./Calls.ts"
import * as methods from "./methods.ts"

export interface Caller {
  readonly unary: <Request, Response>(
    rpc: Unary<Request, Response>,
    request: Request
  ) => Effect.Effect<Response, ClientError>
  /** The first answer of a stream that is closed then; undefined: it ended without. */
  readonly first: <Request, Response>(
    rpc: StreamOf<Request, Response>,
    request: Request
  ) => Effect.Effect<Response | undefined, ClientError>
  readonly open: <Request, Response>(
    rpc: StreamOf<Request, Response>,
    request: Request
  ) => Effect.Effect<Opened<Response>, never, Scope.Scope>
}

const firstOf = <Request, Response>(calls: Calls, rpc: StreamOf<Request, Response>, request: Request) =>
  Effect.scoped(
    Effect.flatMap(calls.open(rpc, request), ({ pull }) => Effect.map(pull, ([first]): Response | undefined => first))
  ).pipe(Effect.catchTag("Done", () => Effect.succeed(undefined)))

export const anonymous = (calls: Calls): Caller => ({
  unary: (rpc, request) => calls.unary(rpc, request),
  first: (rpc, request) => firstOf(calls, rpc, request),
  open: (rpc, request) => calls.open(rpc, request)
})

const isStale = (error: ClientError): boolean => error.message === errors.invalidAuthToken.message

export const loggedIn = (calls: Calls, name: string, password: string): Effect.Effect<Caller, ClientError> =>
  Effect.gen(function* () {
    const logIn = Effect.map(calls.unary(methods.authenticate, { name, password }), ({ token }) =>
      calls.withToken(token)
    )
    const current = yield* Ref.make(yield* logIn)
    /** A refused token has done nothing: the call is made again with a new one, once. */
    const retried = <A>(call: (own: Calls) => Effect.Effect<A, ClientError>): Effect.Effect<A, ClientError> =>
      Ref.get(current).pipe(
        Effect.flatMap(call),
        Effect.catchIf(isStale, () =>
          logIn.pipe(
            Effect.tap((fresh) => Ref.set(current, fresh)),
            Effect.flatMap(call)
          )
        )
      )
    return {
      unary: (rpc, request) => retried((own) => own.unary(rpc, request)),
      first: (rpc, request) => retried((own) => firstOf(own, rpc, request)),
      open: (rpc, request) => Effect.flatMap(Ref.get(current), (own) => own.open(rpc, request))
    }
  })
