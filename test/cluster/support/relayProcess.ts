/**
 * Relays TCP with latency and loss, as a program: `relayProcess.ts HOST LISTEN:TARGET…`, all on one host. Its weather
 * comes as messages. TCP repairs a lost packet, so what is lost here arrives later, and everything behind it too.
 */
import { connect, createServer, type Socket } from "node:net"
import { seededRandom } from "../../../src/programs/dev-s3/faults.ts"

export interface Weather {
  readonly delayMillis: number
  /** Added to the delay, up to so much. */
  readonly jitterMillis: number
  /** Chance of a piece to be lost once. */
  readonly loss: number
  /** Chance of a connection to be cut, by piece. */
  readonly reset: number
  /** Chance of a piece to be damaged, which TLS must notice. */
  readonly garble: number
  readonly seed: number
}

/** As long as TCP waits at least before it sends again. */
const resendMillis = 200
const queuedBytesMax = 1 << 20

let weather: Weather = { delayMillis: 0, jitterMillis: 0, loss: 0, reset: 0, garble: 0, seed: 1 }
let random = seededRandom(1)

const pump = (from: Socket, to: Socket): void => {
  /** In order: nothing overtakes what waits, however late a timer is. */
  const waiting: Array<{ readonly at: number; readonly run: () => void }> = []
  let timer: NodeJS.Timeout | undefined
  let last = 0
  let queued = 0
  const due = (): void => {
    timer = undefined
    while (waiting.length > 0 && waiting[0]!.at <= performance.now()) waiting.shift()!.run()
    if (waiting.length > 0) timer = setTimeout(due, waiting[0]!.at - performance.now())
  }
  const later = (run: () => void): void => {
    const lost = random() < weather.loss ? resendMillis : 0
    const delay = weather.delayMillis + random() * weather.jitterMillis + lost
    last = Math.max(last, performance.now() + delay)
    waiting.push({ at: last, run })
    if (timer === undefined) due()
  }
  from.on("data", (piece) => {
    if (random() < weather.reset) return void from.resetAndDestroy()
    if (random() < weather.garble) piece[Math.floor(random() * piece.length)]! ^= 1
    queued += piece.length
    if (queued > queuedBytesMax) from.pause()
    later(() => {
      queued -= piece.length
      to.write(piece)
      if (queued <= queuedBytesMax && from.isPaused()) from.resume()
    })
  })
  from.on("end", () => later(() => to.end()))
  from.on("close", () => later(() => to.destroy()))
  from.on("error", () => to.destroy())
}

const [host = "127.0.0.1", ...pairs] = process.argv.slice(2)
process.on("message", (message) => {
  weather = message as Weather
  random = seededRandom(weather.seed)
})
process.on("disconnect", () => process.exit(0))
await Promise.all(
  pairs.map((pair) => {
    const [listen, target] = pair.split(":").map(Number)
    const server = createServer({ noDelay: true }, (near) => {
      const far = connect({ host, port: target!, noDelay: true })
      pump(near, far)
      pump(far, near)
    })
    return new Promise<void>((resolve) => server.listen(listen, host, resolve))
  })
)
process.send?.("listening")
