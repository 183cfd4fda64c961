/**
 * `netsy verify`: reads the bucket and asks every node, changes nothing, and says whether they fit together (design 6.7 as
 * far as it can be seen from outside). A table or JSON on standard output; exit code 0: nothing is wrong, 1: something
 * is, 2: it could not look.
 */
import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { Effect, Layer, Schema } from "effect"
import { exitCode, type Finding, findingsJson, findingsTable, type LeftOver, unknown } from "../core/verify/findings.ts"
import * as HistoryBucket from "../layers/HistoryBucket.ts"
import type { Denied, ObjectStore, Unavailable } from "../services/ObjectStore.ts"
import { bucketOf } from "./bucket.ts"
import { standard } from "./inspect.ts"
import { readRegistrations, verifyBucket } from "./verify/bucket.ts"
import { type ClientTls, connect } from "./verify/connection.ts"
import { askAll, verifyNodes } from "./verify/nodes.ts"
import { Progress } from "./verify/progress.ts"

const usage = `Usage: netsy verify [flags]
  --config FILE            the cluster file (or NETSY_CONFIG)
  --storage WORD           the storage instead: dir:PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX
  --endpoints HOST:PORT,…  client addresses of the nodes; default: those registered in the bucket
  --bucket-only            ask no node
  --cacert --cert --key    certificate files for the nodes' client ports; default: NETSY_TLS_CA_CERT,
                           NETSY_TLS_CLIENT_CERT and NETSY_TLS_CLIENT_KEY
  --insecure               they speak plain text
  --json                   one line of JSON instead of the table
Exit code 0: nothing is wrong; 1: something is; 2: it could not look.
`

/** The command line, the configuration or a certificate file is wrong. */
export class VerifyRefused extends Schema.TaggedError<VerifyRefused>()("VerifyRefused", {
  message: Schema.String
}) {}

interface Options {
  readonly store: Layer.Layer<ObjectStore, Unavailable | Denied>
  readonly endpoints: ReadonlyArray<string> | undefined
  readonly bucketOnly: boolean
  readonly tls: ClientTls | undefined
  readonly json: boolean
}

const text = { type: "string" } as const
const flag = { type: "boolean", default: false } as const

const read = (argv: ReadonlyArray<string>): Options => {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      config: text,
      storage: text,
      endpoints: text,
      "bucket-only": flag,
      cacert: text,
      cert: text,
      key: text,
      insecure: flag,
      json: flag
    }
  })
  const bucket = bucketOf([
    ...(values.config === undefined ? [] : ["--config", values.config]),
    ...(values.storage === undefined ? [] : ["--storage", values.storage])
  ])
  if (!bucket.ok) throw new Error(`${bucket.why}\n${bucket.lines}`.trimEnd())
  const bucketOnly = values["bucket-only"]
  const cacert = values.cacert ?? (process.env["NETSY_TLS_CA_CERT"] || undefined)
  const cert = values.cert ?? (process.env["NETSY_TLS_CLIENT_CERT"] || undefined)
  const key = values.key ?? (process.env["NETSY_TLS_CLIENT_KEY"] || undefined)
  const plain = values.insecure || bucketOnly
  if (!plain && (cacert === undefined || cert === undefined || key === undefined))
    throw new Error("--cacert, --cert and --key are needed to ask the nodes, or --insecure, or --bucket-only")
  return {
    store: bucket.layer,
    endpoints: values.endpoints?.split(",").filter((one) => one !== ""),
    bucketOnly,
    tls: plain ? undefined : { ca: readFileSync(cacert!), cert: readFileSync(cert!), key: readFileSync(key!) },
    json: values.json
  }
}

const say = (line: string): void => void process.stderr.write(`netsy verify: ${line}\n`)

/** How often the history is read behind the first look at every object: to find it, to walk it, to replay it twice. */
const passes = { bucketOnly: 2, withNodes: 4 }

interface Verified {
  readonly findings: ReadonlyArray<Finding>
  readonly leftOver: ReadonlyArray<LeftOver>
}

/** The nodes are asked first: what a node had acknowledged before the bucket was read must be in it (mode store). */
const verified = ({ bucketOnly, endpoints, tls }: Options, progress: Progress) =>
  Effect.gen(function* () {
    if (bucketOnly) return (yield* verifyBucket(progress, passes.bucketOnly, say)) satisfies Verified
    const places =
      endpoints?.map((endpoint) => ({ name: endpoint, endpoint })) ??
      (yield* readRegistrations).map(({ clientAddress, nodeId }) => ({ name: nodeId, endpoint: clientAddress }))
    // The gRPC client names an address like 10.0.0.1 to TLS, which Node would remark on between the findings.
    process.noDeprecation = true
    const nodes = yield* Effect.forEach(places, ({ endpoint, name }) =>
      Effect.map(connect(endpoint, tls), (connection) => ({ name, connection }))
    )
    const { answered, findings } = yield* askAll(nodes)
    const bucket = yield* verifyBucket(progress, passes.withNodes, say)
    const told =
      answered.length === 0 ? [unknown("nodes", "any node answers", "none does")] : yield* verifyNodes(answered, bucket)
    return { findings: [...bucket.findings, ...findings, ...told], leftOver: bucket.leftOver } satisfies Verified
  }).pipe(Effect.scoped)

/** The subcommand; sets the exit code of the process. */
export const verify = (argv: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (argv.includes("--help") || argv.includes("-h")) {
      process.stdout.write(usage)
      return
    }
    const options = yield* Effect.try({
      try: () => read(argv),
      catch: (cause) => new VerifyRefused({ message: cause instanceof Error ? cause.message : String(cause) })
    })
    const progress = new Progress()
    const store = progress.layer().pipe(Layer.provide(options.store))
    const { findings, leftOver } = yield* progress
      .during(verified(options, progress), say)
      .pipe(Effect.provide(HistoryBucket.layer.pipe(Layer.provideMerge(store))))
    standard.out(options.json ? findingsJson(findings, leftOver) : findingsTable(findings))
    process.exitCode = exitCode(findings)
  }).pipe(
    Effect.catch((error) =>
      Effect.sync(() => {
        say(error.message)
        process.exitCode = 2
      })
    )
  )
