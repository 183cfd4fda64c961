/**
 * Who may watch what, on one stream. The caller is made out anew with every create; as that may take time, the requests
 * behind it wait, so that their order stays.
 */
import { type EtcdError, statusText } from "../../core/wire/errors.ts"
import type { WatchRequest } from "../../core/wire/messages.ts"
import type { Access } from "../../services/Access.ts"
import type { CallContext } from "../../services/ClientApi.ts"

const waitingMax = 1_024

/** False: too many requests wait. `pass` is given the reason of a refusal for the answer (rule W3). */
export const watchGate = (
  access: Access["Service"],
  context: CallContext,
  pass: (request: WatchRequest, refusal?: string) => void
): ((request: WatchRequest) => boolean) => {
  const waiting: Array<WatchRequest> = []
  let asking = false
  let passing = false

  const ask = (request: WatchRequest): void => {
    if (request.kind !== "create" || !access.enabled()) return pass(request)
    asking = true
    const decided = (refused: EtcdError | undefined): void => {
      asking = false
      pass(request, refused === undefined ? undefined : statusText(refused))
      passWaiting()
    }
    access.identify(context, (caller) => decided(access.watch(caller, request.create)), decided)
  }

  const passWaiting = (): void => {
    if (passing) return
    passing = true
    while (!asking && waiting.length > 0) ask(waiting.shift()!)
    passing = false
  }

  return (request) => {
    if (waiting.length >= waitingMax) return false
    waiting.push(request)
    passWaiting()
    return true
  }
}
