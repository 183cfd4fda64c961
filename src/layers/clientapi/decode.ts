/** Requests from bytes: what cannot be read becomes the caller's InvalidArgument, with the place. */
import { Code, type EtcdError, etcdError } from "../../core/wire/errors.ts"
import { MalformedMessage } from "../../core/wire/protobuf.ts"

/** Calls `use` with the decoded message, or `refuse` with the reason; exactly one of them. */
export const decoded = <A>(
  message: string,
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => A,
  use: (message: A) => void,
  refuse: (error: EtcdError) => void
): void => {
  let value: A
  try {
    value = decode(bytes)
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error
    refuse(etcdError(Code.InvalidArgument, `netsy: malformed ${message} at byte ${error.offset}: ${error.reason}`))
    return
  }
  use(value)
}
