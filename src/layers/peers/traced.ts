/** Streams between nodes with a line of the debug log for each of their messages. */
import type { Log } from "../../services/Log.ts"
import type { PeerStreamIn, PeerStreamMethod, PeerStreamOut } from "../../services/PeerNetwork.ts"

type Say = (direction: "sent" | "received", bytes: number) => void

/** `node` is the other end. */
const sayer =
  (log: Log["Service"], method: string, node: string): Say =>
  (direction, bytes) =>
    log.debug("stream_message", { component: "peer", node, method, direction, bytes })

const tracedIn = (sink: PeerStreamIn, say: Say): PeerStreamIn => ({
  message: (bytes) => {
    say("received", bytes.length)
    sink.message(bytes)
  },
  drained: () => sink.drained(),
  closed: (error) => sink.closed(error)
})

const tracedOut = (out: PeerStreamOut, say: Say): PeerStreamOut => ({
  send: (bytes) => {
    say("sent", bytes.length)
    return out.send(bytes)
  },
  close: (refusal) => out.close(refusal)
})

/** The caller's side; without the debug log it is `open` itself. */
export const tracedOpen = (
  log: Log["Service"],
  method: string,
  node: string,
  sink: PeerStreamIn,
  open: (sink: PeerStreamIn) => PeerStreamOut
): PeerStreamOut => {
  if (!log.debugging) return open(sink)
  const say = sayer(log, method, node)
  return tracedOut(open(tracedIn(sink, say)), say)
}

/** The callee's side; without the debug log it is the handler itself. */
export const tracedHandler = (log: Log["Service"], method: string, handler: PeerStreamMethod): PeerStreamMethod =>
  log.debugging
    ? (from, out) => {
        const say = sayer(log, method, from)
        return tracedIn(handler(from, tracedOut(out, say)), say)
      }
    : handler
