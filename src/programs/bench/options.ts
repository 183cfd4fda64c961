/** The flags of the benchmark, and which cells they choose. */
import { parseArgs } from "node:util"

export const usage = `Usage: make bench ARGS="[flags]"
  --seconds NUMBER   measured time of each cell (default 5), after a fifth of it to warm up
  --only NAME        only cells of this name or below it, may be repeated: dir, s3, s3-28ms, etcd, start,
                     or e.g. s3-28ms/put/100
  --json FILE        also writes all figures to FILE
  --profile FOLDER   the nodes write CPU profiles there
  --help             this text
`

export interface BenchOptions {
  readonly seconds: number
  /** Empty: everything. */
  readonly only: ReadonlyArray<string>
  readonly json: string | undefined
  readonly profile: string | undefined
  readonly help: boolean
}

const secondsMax = 600

/** Throws with a sentence for the user. */
export const parseOptions = (argv: ReadonlyArray<string>): BenchOptions => {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seconds: { type: "string", default: "5" },
      only: { type: "string", multiple: true, default: [] },
      json: { type: "string" },
      profile: { type: "string" },
      help: { type: "boolean", default: false }
    }
  })
  const seconds = Number(values.seconds)
  if (!(seconds > 0 && seconds <= secondsMax)) {
    throw new Error(`--seconds "${values.seconds}" is not a number above 0 and up to ${secondsMax}`)
  }
  return { seconds, only: values.only, json: values.json, profile: values.profile, help: values.help }
}

/** Names are paths: `s3` chooses `s3/put/100` and not `s3-28ms/put/100`. */
export const chosen = (only: ReadonlyArray<string>, cell: string): boolean =>
  only.length === 0 || only.some((name) => cell === name || cell.startsWith(`${name.replace(/\/+$/, "")}/`))
