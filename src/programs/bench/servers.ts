/** The processes that are measured: a netsy node over each kind of bucket, dev-s3 behind it, and etcd for comparison. */
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import type { Client } from "@grpc/grpc-js"
import { Effect, type Scope } from "effect"
import { census, connection } from "./connection.ts"
import { BenchFailure } from "./failure.ts"
import { accepts, freePort, type Running, start } from "./processes.ts"

const projectFolder = new URL("../../..", import.meta.url).pathname
const launcher = join(projectFolder, "bin/netsy")
const devS3Program = join(projectFolder, "src/programs/dev-s3.ts")
const bucket = "netsy-bench"
const startLimitMillis = 30_000
const pollMillis = 2

/** Nothing of the caller's settings may change what is measured. */
const cleanEnv = (): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "/usr/bin:/bin",
  HOME: process.env["HOME"] ?? "/"
})

export interface Server {
  readonly process: Running
  readonly address: string
  readonly port: number
  /** PUTs of data files to the bucket so far; undefined: there is no bucket. */
  readonly bucketPuts: Effect.Effect<number | undefined, BenchFailure>
}

/** What a node stores in. */
export interface Storage {
  readonly word: string
  readonly env: Readonly<Record<string, string>>
}

/** Polls until the server has answered a linearizable request on a connection of its own, which is handed over. */
export const firstAnswer = (
  server: Pick<Server, "process" | "address" | "port">
): Effect.Effect<Client, BenchFailure, Scope.Scope> =>
  Effect.gen(function* () {
    for (;;) {
      const ended = server.process.ended()
      if (ended !== undefined) return yield* new BenchFailure({ message: ended })
      if (yield* accepts(server.port)) {
        const client = yield* connection(server.address)
        const answered = yield* census(client).pipe(
          Effect.as(true),
          Effect.orElseSucceed(() => false)
        )
        if (answered) return client
      }
      yield* Effect.sleep(pollMillis)
    }
  }).pipe(
    Effect.timeoutOrElse({
      duration: startLimitMillis,
      orElse: () =>
        Effect.fail(
          new BenchFailure({ message: `${server.process.name} did not answer within ${startLimitMillis / 1000} s` })
        )
    })
  )

const chunkWrites = /^netsy_object_storage_writes_total\{([^}]*)\} (\d+)/gm

/** The node's own count. */
const bucketPuts = (healthPort: number): Effect.Effect<number, BenchFailure> =>
  Effect.tryPromise({
    try: async () => {
      const text = await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text()
      let puts = 0
      for (const [, labels, count] of text.matchAll(chunkWrites)) if (labels!.includes('"chunk"')) puts += Number(count)
      return puts
    },
    catch: (cause) => new BenchFailure({ message: `the node's metrics cannot be read: ${String(cause)}` })
  })

export interface NetsyOptions {
  readonly folder: string
  readonly storage: Storage
  readonly profile: string | undefined
}

/** `netsy --storage … --insecure` as a user starts it, on free ports. */
export const startNetsy = (options: NetsyOptions): Effect.Effect<Server, BenchFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const [client, peer, election, health] = yield* Effect.all([freePort, freePort, freePort, freePort])
    mkdirSync(options.folder, { recursive: true })
    const process = yield* start({
      name: "netsy",
      command: launcher,
      args: ["--storage", options.storage.word, "--insecure"],
      cwd: options.folder,
      env: {
        ...cleanEnv(),
        ...options.storage.env,
        NETSY_BIND_CLIENT: `127.0.0.1:${client}`,
        NETSY_BIND_PEER: `127.0.0.1:${peer}`,
        NETSY_BIND_ELECTION: `127.0.0.1:${election}`,
        NETSY_BIND_HEALTH: `127.0.0.1:${health}`,
        ...(options.profile === undefined
          ? {}
          : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${JSON.stringify(options.profile)}` })
      }
    })
    return { process, address: `127.0.0.1:${client}`, port: client, bucketPuts: bucketPuts(health) }
  })

export const directory: Storage = { word: "dir:./data", env: {} }

/** dev-s3 as a process of its own; `latency` as for its flag, e.g. `28ms,80ms`. */
export const startDevS3 = (
  folder: string,
  latency: string | undefined
): Effect.Effect<Storage, BenchFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const port = yield* freePort
    mkdirSync(folder, { recursive: true })
    const running = yield* start({
      name: "dev-s3",
      command: process.execPath,
      args: [
        "--disable-warning=ExperimentalWarning",
        devS3Program,
        ...["--addr", `127.0.0.1:${port}`, "--dir", join(folder, "s3"), "--bucket", bucket],
        ...(latency === undefined ? [] : ["--latency", latency])
      ],
      cwd: folder,
      env: cleanEnv()
    })
    while (!(yield* accepts(port))) {
      const ended = running.ended()
      if (ended !== undefined) return yield* new BenchFailure({ message: ended })
      yield* Effect.sleep(pollMillis)
    }
    return {
      word: `s3://${bucket}/bench`,
      env: {
        NETSY_DATA_DIR: join(folder, "data"),
        AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
        AWS_REGION: "us-east-1",
        AWS_ACCESS_KEY_ID: "bench",
        AWS_SECRET_ACCESS_KEY: "bench",
        AWS_S3_USE_PATH_STYLE: "true"
      }
    }
  })

/** Undefined: not installed here. */
export const findEtcd = (path: string = process.env["PATH"] ?? ""): string | undefined =>
  path
    .split(":")
    .map((folder) => join(folder, "etcd"))
    .find((file) => existsSync(file))

/** One etcd member with its defaults: every write is fsynced. */
export const startEtcd = (command: string, folder: string): Effect.Effect<Server, BenchFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const [client, peer] = yield* Effect.all([freePort, freePort])
    mkdirSync(folder, { recursive: true })
    const clientUrl = `http://127.0.0.1:${client}`
    const peerUrl = `http://127.0.0.1:${peer}`
    const process = yield* start({
      name: "etcd",
      command,
      args: [
        ...["--name", "bench", "--data-dir", join(folder, "etcd"), "--log-level", "error"],
        ...["--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl],
        ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
        ...["--initial-cluster", `bench=${peerUrl}`]
      ],
      cwd: folder,
      env: cleanEnv()
    })
    return { process, address: `127.0.0.1:${client}`, port: client, bucketPuts: Effect.succeed(undefined) }
  })
