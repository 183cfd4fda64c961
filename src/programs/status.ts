/** `netsy status`: asks the health port of a node and prints the cluster as it sees it. */
import { get } from "node:http"
import { Effect, Schema } from "effect"
import { formatHostPort } from "../core/config/address.ts"
import { decideStatus, type StatusCommand } from "../core/status/command.ts"
import { decodeStatus } from "../core/status/document.ts"
import { statusTable } from "../core/status/table.ts"
import type { HostPort } from "../services/Settings.ts"

/** A node asks the others for a second; slow machines take longer. */
const answerMillis = 5_000
const answerBytesMax = 8 << 20
const watchMillis = 1_000
const clearScreen = "\u001b[H\u001b[2J"

class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", { endpoint: Schema.String, reason: Schema.String }) {
  override get message() {
    return `${this.endpoint}: ${this.reason}`
  }
}

const fetchText = (address: HostPort): Effect.Effect<string, NoAnswer> => {
  const endpoint = formatHostPort(address)
  return Effect.callback<string, NoAnswer>((resume) => {
    const fail = (reason: string): void => resume(Effect.fail(new NoAnswer({ endpoint, reason })))
    const request = get({ host: address.host, port: address.port, path: "/status", agent: false }, (response) => {
      const parts: Array<Buffer> = []
      let size = 0
      response.on("data", (part: Buffer) => {
        size += part.length
        parts.push(part)
        if (size > answerBytesMax) request.destroy(new Error(`the answer is longer than ${answerBytesMax} bytes`))
      })
      response.on("error", (error) => fail(error.message))
      response.on("end", () => {
        if (response.statusCode !== 200) return fail(`HTTP ${response.statusCode}: not the health port of a Netsy node`)
        resume(Effect.succeed(Buffer.concat(parts).toString()))
      })
    })
    request.on("error", (error) => fail(error.message))
    return Effect.sync(() => request.destroy())
  }).pipe(
    Effect.timeoutOrElse({
      duration: answerMillis,
      orElse: () => Effect.fail(new NoAnswer({ endpoint, reason: `no answer within ${answerMillis} ms` }))
    })
  )
}

/** What to print, by the first endpoint that answers; else what went wrong with each. */
export const readStatus = ({ endpoints, json }: StatusCommand): Effect.Effect<string, ReadonlyArray<string>> =>
  Effect.gen(function* () {
    const problems: Array<string> = []
    for (const address of endpoints) {
      const found = yield* fetchText(address).pipe(
        Effect.map((text) => ({ text, status: decodeStatus(text) })),
        Effect.catch((error) => Effect.succeed({ text: "", status: error.message }))
      )
      if (typeof found.status === "string") problems.push(found.status)
      else return json ? found.text : `${statusTable(found.status).join("\n")}\n`
    }
    return yield* Effect.fail<ReadonlyArray<string>>(problems)
  })

const watch = (command: StatusCommand): Effect.Effect<never> =>
  Effect.gen(function* () {
    const clear = process.stdout.isTTY && !command.json ? clearScreen : ""
    for (;;) {
      const text = yield* readStatus(command).pipe(
        Effect.catch((problems) => Effect.succeed(`no node answers: ${problems.join("; ")}\n`))
      )
      process.stdout.write(`${clear}${text}${clear === "" && !command.json ? "\n" : ""}`)
      yield* Effect.sleep(watchMillis)
    }
  })

/** The subcommand; sets the exit code of the process. */
export const status = (argv: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.gen(function* () {
    const command = decideStatus(argv, process.env)
    if (command.kind === "exit") {
      process.stdout.write(command.stdout)
      process.stderr.write(command.stderr)
      process.exitCode = command.code
      return
    }
    if (command.watch) return yield* watch(command)
    yield* readStatus(command).pipe(
      Effect.match({
        onSuccess: (text) => {
          process.stdout.write(text)
        },
        onFailure: (problems) => {
          for (const problem of problems) process.stderr.write(`netsy status: ${problem}\n`)
          process.stderr.write(
            "Any node can be asked, at its health port: --endpoint HOST:PORT[,HOST:PORT] (8080 unless NETSY_BIND_HEALTH says otherwise).\n"
          )
          process.exitCode = 1
        }
      })
    )
  })
