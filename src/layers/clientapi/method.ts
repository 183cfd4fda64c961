/** How a unary method is put together: decode, check, ask who calls and whether they may, call, encode. */
import { type EtcdError, errors } from "../../core/wire/errors.ts"
import type { Access, Caller } from "../../services/Access.ts"
import type { CallContext, UnaryReply } from "../../services/ClientApi.ts"
import type { Reply } from "../../services/Kv.ts"
import { decoded } from "./decode.ts"

/** What is known of a call that is about to be run. */
export interface Runnable {
  /** It changes nothing, as this node's state is all that it needs. */
  readonly reads: boolean
  /** Asked before it is sent elsewhere: what is wrong with the request whoever sends it. */
  readonly check: () => EtcdError | undefined
  /** Runs it on this node. */
  readonly run: (fail: UnaryReply["fail"]) => void
  readonly reply: UnaryReply
}

/** Where a method is run: its calls come here when their requests have been read. */
export type Route = (call: Runnable, request: Uint8Array, context: CallContext) => void

/** On this node, whatever it is. */
export const routeHere: Route = ({ reply, run }) => run(reply.fail)

export type UnaryMethod = (request: Uint8Array, context: CallContext, reply: UnaryReply, route: Route) => void

export interface Method<Request, Response> {
  readonly request: { readonly name: string; readonly decode: (bytes: Uint8Array) => Request }
  readonly encode: (response: Response) => Uint8Array
  /** In the place of `encode` for answers that may be big: bit by bit, so that the others are not kept waiting. */
  readonly encodeSlowly?: (response: Response, send: (bytes: Uint8Array) => void) => void
  /** What is wrong with the request whoever sends it; told before anybody is asked for a name. */
  readonly check?: (request: Request) => EtcdError | undefined
  /** Asked while authentication is on; absent: open to everybody. */
  readonly allow?: (access: Access["Service"], caller: Caller, request: Request) => EtcdError | undefined
  /** The answer shows state: it is not given once users, roles or grants have changed in between. */
  readonly shows?: boolean
  /** A request that changes nothing, of a method that may. */
  readonly reads?: (request: Request) => boolean
  /** `caller` is undefined while authentication is off, and for methods without `allow`. */
  readonly call: (request: Request, reply: Reply<Response>, caller: Caller | undefined) => void
}

const withSteadyAuth = <Response>(access: Access["Service"], reply: Reply<Response>): Reply<Response> => {
  const revision = access.revision()
  const enabled = access.enabled()
  return {
    succeed: (response) => {
      // Switched on or changed meanwhile: as far as this node had heard, somebody else might have asked.
      if (access.enabled() && (!enabled || access.revision() !== revision)) reply.fail(errors.authOldRevision)
      else reply.succeed(response)
    },
    fail: reply.fail
  }
}

export const unaryMethod =
  <Request, Response>(access: Access["Service"], method: Method<Request, Response>): UnaryMethod =>
  (bytes, context, reply, route) =>
    decoded(
      method.request.name,
      bytes,
      method.request.decode,
      (request) => {
        const { allow, encode, encodeSlowly } = method
        const answer = (response: Response): void =>
          encodeSlowly === undefined ? reply.succeed(encode(response)) : encodeSlowly(response, reply.succeed)
        const reads = method.reads?.(request) === true
        const run = (fail: UnaryReply["fail"]): void => {
          const plain: Reply<Response> = { succeed: answer, fail }
          const shown = (): Reply<Response> => (method.shows === true || reads ? withSteadyAuth(access, plain) : plain)
          if (allow === undefined || !access.enabled()) return method.call(request, shown(), undefined)
          const refused = method.check?.(request)
          if (refused !== undefined) return fail(refused)
          access.identify(
            context,
            (caller) => {
              const denied = allow(access, caller, request)
              if (denied !== undefined) return fail(denied)
              method.call(request, shown(), caller)
            },
            fail
          )
        }
        route({ reads, check: () => method.check?.(request), run, reply }, bytes, context)
      },
      reply.fail
    )
