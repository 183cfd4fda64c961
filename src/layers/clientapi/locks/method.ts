/** How a method of locks and elections is put together: no check of its own, its steps are checked one by one. */
import { Code, type EtcdError, etcdError } from "../../../core/wire/errors.ts"
import type { Reply } from "../../../services/Kv.ts"
import { decoded } from "../decode.ts"
import type { UnaryMethod } from "../method.ts"
import { Calls, canceled, type LockOptions } from "./Calls.ts"

/** Errors of etcd's recipes, and of every step that they make as a client, leave with their text alone. */
export const unknown = (text: string): EtcdError => etcdError(Code.Unknown, text)

interface RecipeMethod<Request, Response> {
  readonly request: { readonly name: string; readonly decode: (bytes: Uint8Array) => Request }
  readonly encode: (response: Response) => Uint8Array
  /** Its caller may wait long. */
  readonly waits: boolean
  readonly call: (request: Request, calls: Calls, reply: Reply<Response>) => void
}

export const recipeMethod =
  <Request, Response>(options: LockOptions, method: RecipeMethod<Request, Response>): UnaryMethod =>
  (bytes, context, { fail, succeed }) =>
    decoded(
      method.request.name,
      bytes,
      method.request.decode,
      (request) =>
        method.call(request, new Calls(options, context, method.waits), {
          succeed: (response) => succeed(method.encode(response)),
          fail: (error) => fail(error === canceled ? error : unknown(error.message))
        }),
      fail
    )
