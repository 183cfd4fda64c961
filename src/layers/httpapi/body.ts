/** A request's body as a whole: bounded in bytes and in time. */
// Deadlines of the network are the machine's, not the program's.
// @effect-diagnostics globalTimers:off
import { clearTimeout, setTimeout } from "node:timers"
import { Code, type EtcdError, etcdError } from "../../core/wire/errors.ts"
import type { HttpRequest } from "../../services/HttpApi.ts"

export interface BodyLimits {
  readonly bytesMax: number
  readonly millisMax: number
}

/** Calls one of the two, or neither when the client goes away. */
export const readBody = (
  request: HttpRequest,
  { bytesMax, millisMax }: BodyLimits,
  use: (body: Uint8Array) => void,
  refuse: (error: EtcdError) => void
): void => {
  const pieces: Array<Buffer> = []
  let bytes = 0
  let over = false
  const finish = (): boolean => {
    if (over) return false
    over = true
    clearTimeout(timer)
    request.off("data", take)
    return true
  }
  const fail = (error: EtcdError): void => {
    if (finish()) refuse(error)
  }
  const tooLarge = (): void =>
    fail(etcdError(Code.ResourceExhausted, `netsy: request body is larger than ${bytesMax} bytes`))
  const take = (piece: Buffer): void => {
    bytes += piece.length
    if (bytes > bytesMax) return tooLarge()
    pieces.push(piece)
  }
  const timer = setTimeout(
    () => fail(etcdError(Code.DeadlineExceeded, `netsy: request body did not come within ${millisMax} ms`)),
    millisMax
  )
  request.on("error", finish)
  request.on("aborted", finish)
  request.on("close", finish)
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) return tooLarge()
  request.on("data", take)
  request.on("end", () => {
    if (finish()) use(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces))
  })
}
