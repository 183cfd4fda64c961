/** Codecs of a node's report about itself and of what is answered with one. */
import { biguint64, bool, message, type Message, repeated, string, strings } from "../codec/message.ts"
import { always, count, measured, nodeName, oneOf, position } from "./fields.ts"
import type { FenceAnswer, FenceRequest, NodeReport } from "./messages.ts"

const health = oneOf(["loading", "healthy", "degraded"])
const elector = oneOf(["follower", "leader"])
const primary = oneOf(["replica", "starting", "active", "draining"])
const mode = oneOf(["store", "quorum"])

export const nodeReport: Message<NodeReport> = message("NodeReport", {
  name: always(1, nodeName),
  memberId: biguint64(2),
  version: string(3),
  peerAddress: string(4),
  clientAddress: string(5),
  startedAtSeconds: measured(6),
  health: health(7),
  elector: elector(8),
  primary: primary(9),
  term: count(10),
  fenced: count(11),
  last: always(12, position),
  lastRevision: count(13),
  commitIndex: count(14),
  committedRevision: count(15),
  floor: count(16),
  storedIndex: count(17),
  mayAcknowledge: bool(18),
  refusedTerm: count(19),
  lagEntries: count(20),
  lagMillis: measured(21),
  mode: mode(22),
  voters: repeated(23, nodeName),
  required: count(24),
  bufferedBytes: count(25),
  lastSnapshotIndex: count(26),
  lastChunkIndex: count(27),
  waitingFor: string(28),
  waitingMillis: measured(29),
  troubles: strings(30)
})

const fenceRequest: Message<FenceRequest> = message("FenceRequest", { term: count(1) })

const fenceAnswer: Message<FenceAnswer> = message("FenceAnswer", { fenced: bool(1), report: always(2, nodeReport) })

export const { encode: encodeNodeReport, decode: decodeNodeReport } = nodeReport
export const { encode: encodeFenceRequest, decode: decodeFenceRequest } = fenceRequest
export const { encode: encodeFenceAnswer, decode: decodeFenceAnswer } = fenceAnswer
