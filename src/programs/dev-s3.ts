/** The program `dev-s3`: flags to `startDevS3`. Usage: docs/dev-s3.md. */
// A plain Node program that must show wall-clock time to S3 clients.
// @effect-diagnostics globalDate:off
import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { type Faults, parseChances, parseLatency } from "./dev-s3/faults.ts"
import { parsePolicy, type Policy } from "./dev-s3/policy.ts"
import { startDevS3 } from "./dev-s3/server.ts"

const usage = `Usage: dev-s3 [flags]
  --addr HOST:PORT         address to listen on (default :4566)
  --dir PATH               folder of the objects (default temp/dev-s3)
  --bucket NAME            bucket created at start, may be repeated (default netsy-dev)
  --latency MEDIAN,P99     log-normal delay of every request, e.g. 28ms,80ms
  --fail OP:CHANCE         requests that fail without effect, e.g. put:0.01; OP: get head put copy delete list all
  --lose-answer OP:CHANCE  requests that take effect and are never answered, e.g. put:0.01
  --down                   every request is answered with 503
  --deny ACTION            IAM action that is refused, e.g. s3:PutObject, may be repeated
  --policy PATH            IAM policy file; what it does not allow is refused
  --seed NUMBER            seed of all chances and delays (default 1)
  --fsync                  sync every write to disk before its answer
  --verbose                one line per request
  --help                   this text
`

const text = { type: "string" } as const
const flag = { type: "boolean", default: false } as const

const readPolicy = (path: string): Policy => {
  try {
    return parsePolicy(readFileSync(path, "utf8"))
  } catch (error) {
    throw new Error(`--policy ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      addr: { ...text, default: ":4566" },
      dir: { ...text, default: "temp/dev-s3" },
      bucket: { ...text, multiple: true, default: ["netsy-dev"] },
      latency: text,
      fail: { ...text, multiple: true, default: [] },
      "lose-answer": { ...text, multiple: true, default: [] },
      down: flag,
      deny: { ...text, multiple: true, default: [] },
      policy: text,
      seed: { ...text, default: "1" },
      fsync: flag,
      verbose: flag,
      help: flag
    }
  })
  if (values.help) {
    process.stdout.write(usage)
    return
  }
  const seed = Number(values.seed)
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed "${values.seed}" is not a whole number`)
  const faults: Partial<Faults> = {
    latency: values.latency === undefined ? undefined : parseLatency(values.latency),
    fail: values.fail.length === 0 ? {} : parseChances(values.fail.join(",")),
    loseAnswer: values["lose-answer"].length === 0 ? {} : parseChances(values["lose-answer"].join(",")),
    down: values.down,
    deny: values.deny,
    policy: values.policy === undefined ? undefined : readPolicy(values.policy)
  }
  const line = (message: string): void => void process.stdout.write(`${new Date().toISOString()} ${message}\n`)
  const server = await startDevS3({
    dir: values.dir,
    bucket: values.bucket,
    addr: values.addr,
    faults,
    seed,
    fsync: values.fsync,
    ...(values.verbose ? { log: line } : {})
  })
  line(`dev-s3 listens on ${server.url}, buckets ${values.bucket.join(", ")} in ${values.dir}`)
  const stop = (): void => {
    server.close().then(
      () => process.exit(0),
      () => process.exit(1)
    )
  }
  process.once("SIGTERM", stop)
  process.once("SIGINT", stop)
}

main().catch((error: unknown) => {
  process.stderr.write(`dev-s3: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
