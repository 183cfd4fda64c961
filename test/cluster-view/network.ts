/** A `PeerNetwork` for tests: calls reach the handlers of the node with that id at once, unless the test cuts it off. */
import { Layer } from "effect"
import {
  type PeerAnswer,
  type PeerMethod,
  PeerNetwork,
  PeerRefused,
  PeerUnreachable
} from "../../src/services/PeerNetwork.ts"

export class TestNetwork {
  readonly handlers = new Map<string, Map<string, PeerMethod>>()
  readonly cut = new Set<string>()
  /** "from>to method", in order. */
  readonly calls: Array<string> = []
  /** Answers never come from these. */
  readonly silent = new Set<string>()

  layer(nodeId: string): Layer.Layer<PeerNetwork> {
    const own = this.#of(nodeId)
    return Layer.succeed(
      PeerNetwork,
      PeerNetwork.of({
        call: (to, method, request, _timeoutMillis, reply) => {
          this.calls.push(`${nodeId}>${to.nodeId} ${method}`)
          let over = false
          const once = (run: () => void): void => {
            if (over) return
            over = true
            run()
          }
          const cancel = (): void => {
            over = true
          }
          if (this.silent.has(to.nodeId)) return cancel
          const handler = this.cut.has(to.nodeId) ? undefined : this.#of(to.nodeId).get(method)
          if (handler === undefined) {
            const reason = "connection refused"
            once(() => reply.fail(new PeerUnreachable({ nodeId: to.nodeId, method, reason, unsent: true })))
            return cancel
          }
          handler(request, nodeId, {
            succeed: (response) => once(() => reply.succeed(response)),
            fail: (code, reason) =>
              once(() => reply.fail(new PeerRefused({ nodeId: to.nodeId, method, code, reason }))),
            onCancelled: () => {}
          })
          return cancel
        },
        open: () => {
          throw new Error("no streams here")
        },
        handle: (method, handler) => own.set(method, handler),
        handleStream: () => {},
        probe: (to, _timeoutMillis, reply) => reply(this.cut.has(to.nodeId) ? "dead" : "listening")
      })
    )
  }

  /** How the node answers what `from` asks. */
  ask(
    nodeId: string,
    method: string,
    request: Uint8Array,
    from: string
  ): Uint8Array | { code: number; reason: string } {
    let answered: Uint8Array | { code: number; reason: string } | undefined
    const answer: PeerAnswer = {
      succeed: (response) => {
        answered = response
      },
      fail: (code, reason) => {
        answered = { code, reason }
      },
      onCancelled: () => {}
    }
    this.#of(nodeId).get(method)!(request, from, answer)
    if (answered === undefined) throw new Error(`${method} of ${nodeId} has not answered yet`)
    return answered
  }

  #of(nodeId: string): Map<string, PeerMethod> {
    let of = this.handlers.get(nodeId)
    if (of === undefined) this.handlers.set(nodeId, (of = new Map()))
    return of
  }
}
