/** Holds an HTTP/2 connection in plain text back until its first request's headers are mended (core/http2/opening.ts). */
import type { Socket } from "node:net"
import { emptySettings, Opening } from "../../core/http2/opening.ts"

/** A client that asks for nothing at first is let through after so long. */
const holdMillis = 1_000
/** More than the first window of a stream and the headers around it. */
const heldBytesMax = 256 * 1024

/**
 * `seen` is what was read from the socket so far. Hands the socket on with everything put back, or gives it up: it closed,
 * or did not acknowledge our settings within `limitMillis`.
 */
export const holdOpening = (
  socket: Socket,
  seen: Uint8Array,
  limitMillis: number,
  take: (socket: Socket) => void,
  refuse: (reason: string) => void
): void => {
  const opening = new Opening()
  let heldBytes = 0
  let waitedMillis = 0

  const leave = (): void => {
    socket.removeListener("readable", onReadable)
    socket.removeListener("end", onEnd)
    socket.removeListener("timeout", onTimeout)
    socket.setTimeout(0)
  }
  const settle = (): boolean => {
    if (!opening.done) return false
    leave()
    socket.unshift(opening.take())
    take(socket)
    return true
  }
  const push = (bytes: Uint8Array): boolean => {
    heldBytes += bytes.length
    opening.push(bytes)
    if (heldBytes > heldBytesMax) opening.giveUp()
    if (opening.needsSettings) {
      opening.settingsSent()
      socket.write(emptySettings)
    }
    return settle()
  }
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null
    if (chunk !== null) push(chunk)
  }
  const onEnd = (): void => {
    leave()
    refuse("closed before the first request")
  }
  const onTimeout = (): void => {
    waitedMillis += holdMillis
    opening.giveUp()
    if (settle() || waitedMillis < limitMillis) return
    leave()
    refuse(`settings not acknowledged within ${limitMillis} ms`)
  }

  if (push(seen)) return
  socket.setTimeout(holdMillis)
  socket.on("timeout", onTimeout)
  socket.on("end", onEnd)
  socket.on("readable", onReadable)
}
