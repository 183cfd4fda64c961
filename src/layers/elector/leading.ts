/** What the holder of the lock does: fills the map, watches the nodes, holds elections, takes dead nodes out. */
import { Effect } from "effect"
import { sameNode } from "../../core/election/arbiter.ts"
import { promoteBootstrap } from "./bootstrap.ts"
import type { RoundFailed } from "./ballot.ts"
import { type ElectionOptions, makeElection } from "./election.ts"
import { Alarm, type ElectorParts, readArbiter } from "./parts.ts"
import type { Standing } from "./Standing.ts"

const retryMillis = 500
/** An operator has to see to it. */
const hopelessMillis = 5_000
const probeMillis = 500
/** Two probes so far apart have to agree. */
const probeAgainMillis = 200
const refreshMillis = 1_000
/** How often the arbiter is read because a node is overdue. */
const overdueMillis = 10_000

export interface Leading {
  /** Works until it is interrupted. Fails when no election is possible and never was one that this node knows of. */
  readonly run: Effect.Effect<never, RoundFailed>
  /** Somebody thinks that this node is gone. */
  readonly suspect: (nodeId: string) => void
  readonly wake: () => void
}

export const makeLeading = (parts: ElectorParts, standing: Standing, options: ElectionOptions): Leading => {
  const { store, membership, view, peers, log, settings, nowMillis, wait } = parts
  const { map } = standing
  const { metrics } = options
  const self = settings.nodeId
  const alarm = new Alarm()
  const round = makeElection(parts, standing, options)
  const suspected = new Set<string>()
  let isUrgent = false

  const wake = (): void => {
    isUrgent = true
    alarm.ring()
  }

  /** An unreachable bucket is waited for; what only an operator can mend ends a node that never knew better. */
  const failed = (error: RoundFailed): Effect.Effect<number, RoundFailed> => {
    if (error._tag === "Unavailable" || error._tag === "Denied") {
      wait({ what: `the bucket: ${error.message}`, until: undefined })
      return Effect.succeed(error._tag === "Denied" ? hopelessMillis : retryMillis)
    }
    if (view.current().arbiter === undefined) return Effect.fail(error)
    log.error("election_failed", { role: "primary", error: error.message })
    wait({ what: `an operator: ${error.message}`, until: undefined })
    return Effect.succeed(hopelessMillis)
  }

  const takeOver = Effect.gen(function* () {
    yield* promoteBootstrap(store, log)
    const nodes = yield* membership.readAll
    const now = nowMillis()
    for (const { registration, memberId } of nodes) {
      const { nodeId, incarnation, peerAddress, clientAddress } = registration
      map.register({ name: { nodeId, incarnation }, memberId, peerAddress, clientAddress }, now)
    }
    const own = membership.self()
    const registered = map.get(self)
    if (registered === undefined || !sameNode(registered.info.name, own)) {
      // Declared dead, or registered by another process since: it still is a node that works.
      const memberId = yield* membership.allocate(self)
      map.register(
        { name: own, memberId, peerAddress: settings.advertise.peer, clientAddress: settings.advertise.client },
        now
      )
    }
    standing.heardSelf(false)
    const found = yield* readArbiter(parts)
    if (found !== undefined) standing.seenAt(found.etag)
    standing.adopt(found)
    standing.noticeOwnRestart()
    standing.isReady = true
    standing.tell()
    log.info("elector_ready", { registered_nodes: map.size, term: standing.arbiter?.term ?? 0 })
    if (found !== undefined) suspected.add(found.arbiter.primary.nodeId)
  })

  /** A dead peer port is as good as missed heartbeats, once two looks agree. */
  const probe = (nodeId: string) =>
    Effect.gen(function* () {
      const entry = map.get(nodeId)
      if (entry === undefined || entry.degradedSince !== undefined || nodeId === self) return
      const to = { nodeId, address: entry.info.peerAddress }
      const look = Effect.callback<"listening" | "dead" | "silent">((resume) => {
        peers.probe(to, probeMillis, (found) => resume(Effect.succeed(found)))
      })
      if ((yield* look) !== "dead") return
      yield* Effect.sleep(probeAgainMillis)
      if ((yield* look) !== "dead") return
      log.warn("node_degraded", { target_node_id: nodeId, reason: "nothing listens at its peer port" })
      map.missed(nodeId, nowMillis())
    })

  let overdueAt = -Infinity
  /**
   * Never a voter: its registration, gone, would say that it is gone for good, and the others might then go on without
   * what only it has. The Primary takes it out of the voters first.
   */
  const takeOut = Effect.gen(function* () {
    const due = map.overdue(nowMillis()).filter(({ info }) => info.name.nodeId !== self)
    if (due.length === 0 || nowMillis() - overdueAt < overdueMillis) return
    overdueAt = nowMillis()
    const found = yield* readArbiter(parts)
    if (found !== undefined) standing.seenAt(found.etag)
    standing.adopt(found)
    for (const { info, degradedSince } of due) {
      const { name } = info
      const kept = found === undefined ? [] : [found.arbiter.primary, ...found.arbiter.voters]
      if (kept.some((other) => sameNode(other, name))) continue
      yield* membership.deregister(name.nodeId)
      map.remove(name.nodeId)
      metrics.deregistered()
      log.warn("node_deregistered", {
        target_node_id: name.nodeId,
        member_id: info.memberId,
        trigger: "auto",
        reason: "timeout",
        degraded_for_ms: Math.round(nowMillis() - degradedSince!)
      })
      standing.tell()
    }
  })

  let refreshedAt = -Infinity
  /** What the Primary has written since is told to everybody. */
  const refresh = Effect.gen(function* () {
    if (!standing.ruleHasChanged() || nowMillis() - refreshedAt < refreshMillis) return
    refreshedAt = nowMillis()
    const found = yield* readArbiter(parts)
    if (found !== undefined) standing.seenAt(found.etag)
    standing.adopt(found)
  })

  let beatAt = -Infinity
  const look = Effect.gen(function* () {
    const now = nowMillis()
    const isBeat = now - beatAt >= settings.heartbeatIntervalMillis
    if (isBeat) beatAt = now
    standing.heardSelf(isBeat)
    for (const { info } of map.tick(now)) {
      log.warn("node_degraded", { target_node_id: info.name.nodeId, reason: "no heartbeat" })
    }
    metrics.nodes(map.entries())
    if (log.debugging) {
      const others = map.entries().filter(({ info }) => info.name.nodeId !== self)
      log.debug("degradation_check", {
        nodes: map.size,
        degraded: others.filter(({ degradedSince }) => degradedSince !== undefined).map(({ info }) => info.name.nodeId),
        longest_silence_ms: Math.round(Math.max(0, ...others.map(({ heardAt }) => now - heardAt)))
      })
    }
    const toProbe = [...suspected].filter((nodeId) => nodeId === standing.arbiter?.primary.nodeId)
    suspected.clear()
    for (const nodeId of toProbe) yield* probe(nodeId)
  })

  const watch = Effect.gen(function* () {
    let roundAt = -Infinity
    let since: { readonly term: number; readonly at: number } | undefined
    for (;;) {
      yield* look
      const isNeeded = standing.reason() !== undefined || standing.handOver !== undefined
      if (isNeeded && (isUrgent || nowMillis() >= roundAt)) {
        isUrgent = false
        const term = standing.arbiter?.term ?? 0
        since ??= { term, at: nowMillis() }
        const begunAt = since.at
        const pause = yield* round.pipe(
          Effect.catch((error) => {
            metrics.failed((nowMillis() - begunAt) / 1_000)
            return failed(error)
          })
        )
        if ((standing.arbiter?.term ?? 0) > since.term) {
          metrics.elected((nowMillis() - begunAt) / 1_000)
          since = undefined
        }
        roundAt = nowMillis() + pause
      } else if (!isNeeded) {
        since = undefined
        isUrgent = false
        wait(undefined)
        yield* takeOut.pipe(Effect.andThen(refresh), Effect.catch(failed))
      }
      const next = isNeeded ? Math.max(1, roundAt - nowMillis()) : standing.tickMillis
      yield* alarm.sleep(Math.min(standing.tickMillis, next))
    }
  })

  const prepare = Effect.gen(function* () {
    for (;;) {
      const pause = yield* takeOver.pipe(Effect.as(0), Effect.catch(failed))
      if (standing.isReady) return wait(undefined)
      yield* Effect.sleep(Math.max(retryMillis, pause))
    }
  })

  return {
    run: Effect.andThen(prepare, watch),
    suspect: (nodeId) => {
      suspected.add(nodeId)
      alarm.ring()
    },
    wake
  }
}
