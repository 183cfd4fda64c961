/**
 * `NodeReports` from the parts of this node. Until somebody replicates, the log as it was found on the disk is reported.
 * Answers `getNodeState`: whoever is a peer may know.
 */
import { Clock, Effect, Layer } from "effect"
import { version } from "../core/version.ts"
import { encodeNodeReport } from "../core/wire/peer/codecs.ts"
import { peerMethods } from "../core/wire/peer/methods.ts"
import type { NodeReport } from "../core/wire/peer/messages.ts"
import { ClusterView } from "../services/ClusterView.ts"
import { LocalStore, type Opened } from "../services/LocalStore.ts"
import { Membership } from "../services/Membership.ts"
import { type LogReport, NodeReports } from "../services/NodeReports.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { PeerNetwork } from "../services/PeerNetwork.ts"
import { Settings } from "../services/Settings.ts"

const logAsFound = (opened: Opened): LogReport => ({
  fenced: opened.promises.fenced,
  last: opened.last,
  lastRevision: opened.lastRevision,
  commitIndex: opened.commitIndex,
  // The revision of the commit index is known when the state has been loaded.
  committedRevision: opened.commitIndex === opened.last.index ? opened.lastRevision : 0,
  floor: opened.floor,
  storedIndex: 0,
  mayAcknowledge: true,
  refusedTerm: 0,
  lagEntries: 0,
  lagMillis: 0,
  mode: "store",
  voters: [],
  required: 0,
  bufferedBytes: 0,
  lastSnapshotIndex: 0,
  lastChunkIndex: 0
})

export const layer: Layer.Layer<
  NodeReports,
  never,
  NodeStatus | ClusterView | Membership | LocalStore | Settings | PeerNetwork
> = Layer.effect(
  NodeReports,
  Effect.gen(function* () {
    const status = yield* NodeStatus
    const view = yield* ClusterView
    const membership = yield* Membership
    const { opened } = yield* LocalStore
    const { advertise } = yield* Settings
    const network = yield* PeerNetwork
    const clock = yield* Clock.Clock
    const startedAtSeconds = Math.floor(clock.currentTimeMillisUnsafe() / 1_000)
    let log = (): LogReport => logAsFound(opened)

    const millisLeft = (until: number | undefined): number =>
      until === undefined ? -1 : Math.max(0, Math.ceil(until - Number(clock.monotonicTimeNanosUnsafe()) / 1e6))

    const current = (): NodeReport => {
      const waiting = status.waiting()
      return {
        ...log(),
        name: membership.self(),
        memberId: status.memberId(),
        version,
        peerAddress: advertise.peer,
        clientAddress: advertise.client,
        startedAtSeconds,
        health: status.health(),
        elector: status.elector(),
        primary: status.primary(),
        term: view.current().arbiter?.term ?? 0,
        waitingFor: waiting?.what ?? "",
        waitingMillis: waiting === undefined ? 0 : millisLeft(waiting.until),
        troubles: status.troubles()
      }
    }

    network.handle(peerMethods.getNodeState, (_request, _from, answer) => answer.succeed(encodeNodeReport(current())))

    return NodeReports.of({
      current,
      provideLog: (report) => {
        log = report
      }
    })
  })
)
