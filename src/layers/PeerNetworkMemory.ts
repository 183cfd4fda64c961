/**
 * `PeerNetwork` between the nodes of one process, for tests and the simulator: deliveries, delays and losses as the hub
 * that they share decides, in the time of each node's `Clock`.
 */
import { Cause, Context, Effect, Layer } from "effect"
import { assert } from "../core/assert.ts"
import { Code } from "../core/wire/errors.ts"
import { PeerListener } from "../services/PeerListener.ts"
import { PeerNetwork, PeerRefused, PeerUnreachable } from "../services/PeerNetwork.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { callsMax, messageBytesMax } from "./peers/bounds.ts"
import { MemoryCall } from "./peers/memoryCall.ts"
import type { MemoryNode, MemoryPeers } from "./peers/MemoryPeers.ts"
import { End } from "./peers/memoryStream.ts"

export { type Decide, type Fate, MemoryPeers, type Passing } from "./peers/MemoryPeers.ts"

const network = (hub: MemoryPeers, self: MemoryNode): PeerNetwork["Service"] => {
  /** Why nothing can be sent there, or who is there. */
  const find = (nodeId: string, address: string): MemoryNode | string => {
    const found = hub.at(address)
    if (found === undefined) return `nothing listens at ${address}`
    return found.nodeId === nodeId ? found : `node ${found.nodeId} is at ${address}`
  }
  return PeerNetwork.of({
    call: (to, method, request, timeoutMillis, reply) => {
      if (!self.alive) return () => {}
      const common = { nodeId: to.nodeId, method }
      const failLater = (error: PeerUnreachable | PeerRefused): (() => void) =>
        self.after(0, () => {
          if (self.alive) reply.fail(error)
        })
      if (request.length > messageBytesMax) {
        const reason = `a request of ${request.length} bytes is longer than ${messageBytesMax}`
        return failLater(new PeerRefused({ ...common, code: Code.ResourceExhausted, reason }))
      }
      if (self.calls.size >= 2 * callsMax) {
        const reason = `more than ${2 * callsMax} calls are under way`
        return failLater(new PeerUnreachable({ ...common, reason, unsent: true }))
      }
      const found = find(to.nodeId, to.address)
      if (typeof found === "string") return failLater(new PeerUnreachable({ ...common, reason: found, unsent: true }))
      const call = new MemoryCall(hub, self, found, method, request, timeoutMillis, reply)
      return () => call.giveUp()
    },
    open: (to, method, sink) => {
      const found = self.alive ? find(to.nodeId, to.address) : "this node has stopped"
      if (typeof found !== "string") return End.open(hub, self, found, method, sink)
      self.after(0, () => {
        if (self.alive) sink.closed(new PeerUnreachable({ nodeId: to.nodeId, method, reason: found, unsent: true }))
      })
      return { send: () => true, close: () => {} }
    },
    handle: (method, handler) => {
      assert(!self.handlers.has(method), `two handlers of ${method}`)
      self.handlers.set(method, handler)
    },
    handleStream: (method, handler) => {
      assert(!self.streamHandlers.has(method), `two handlers of ${method}`)
      self.streamHandlers.set(method, handler)
    },
    probe: (to, timeoutMillis, reply) => {
      if (!self.alive) return
      const found = hub.at(to.address)
      const fate = found === undefined ? "cut" : hub.decide(self.nodeId, found.nodeId, "probe", "")
      const delayMillis = typeof fate === "object" ? fate.delayMillis : 0
      const isSilent = fate === "drop" || delayMillis > timeoutMillis
      self.after(isSilent ? timeoutMillis : delayMillis, () => {
        if (!self.alive) return
        reply(isSilent ? "silent" : fate !== "cut" && found?.alive === true ? "listening" : "dead")
      })
    }
  })
}

/** The node is known by its advertised peer address. */
export const layer = (hub: MemoryPeers): Layer.Layer<PeerNetwork | PeerListener, never, Settings | Supervisor> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const { advertise, bind, nodeId } = yield* Settings
      const supervisor = yield* Supervisor
      const run = Effect.runForkWith(yield* Effect.context<never>())
      const node: MemoryNode = {
        nodeId,
        address: advertise.peer,
        after: (millis, body) => {
          const fiber = run(
            (millis > 0 ? Effect.sleep(millis) : Effect.yieldNow).pipe(
              Effect.andThen(Effect.sync(body)),
              Effect.catchCause((cause) =>
                Cause.hasInterruptsOnly(cause)
                  ? Effect.void
                  : Effect.sync(() => supervisor.fail("peers", Cause.squash(cause)))
              )
            )
          )
          return () => fiber.interruptUnsafe()
        },
        handlers: new Map(),
        streamHandlers: new Map(),
        alive: true,
        calls: new Set(),
        ends: new Set()
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => hub.join(node)),
        () => Effect.sync(() => hub.leave(node))
      )
      return Context.make(PeerNetwork, network(hub, node)).pipe(
        Context.add(PeerListener, PeerListener.of({ address: bind.peer, handleHttp: () => {} }))
      )
    })
  )
