/**
 * The durability test by processes: a daemon over dev-s3 is killed with SIGKILL again and again under writing clients, in
 * half of the rounds its data directory goes too. What was acknowledged is compared with what a watch tells at the end, and
 * all that the clients and watchers ever saw must be one linearizable history.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { ChannelCredentials, Client, type ClientDuplexStream, Metadata } from "@grpc/grpc-js"
import { decodeWatchResponse, encodeWatchRequest } from "../../src/core/wire/codec/watch.ts"
import type { Faults } from "../../src/programs/dev-s3/faults.ts"
import { seededRandom } from "../../src/programs/dev-s3/faults.ts"
import { startDevS3 } from "../../src/programs/dev-s3/server.ts"
import { complaintsOf } from "../linear/check.ts"
import { Recorder } from "../linear/Recorder.ts"
import { watchResponseOf } from "../linear/wire.ts"
import { killClient, ownKey, ownKeys } from "./killClient.ts"
import { freePorts } from "../support/daemon.ts"

const launcher = new URL("../../src/programs/netsy.ts", import.meta.url).pathname
const bucket = "kill-test"
const readyTimeoutMillis = 30_000

export interface KillOptions {
  readonly rounds: number
  readonly clients: number
  readonly seed: number
  readonly faults: Partial<Faults>
}

export interface KillReport {
  readonly acknowledged: number
  readonly unknown: number
  readonly operations: number
  readonly checkMillis: number
  readonly revisions: number
  readonly kills: number
  readonly disksLost: number
  /** Everything that must not be; empty when all is well. */
  readonly violations: ReadonlyArray<string>
}

/** A watched event; a delete has no value. */
interface Seen {
  readonly revision: number
  readonly key: string
  readonly value: string
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const raw = (value: Uint8Array): Buffer => Buffer.from(value)
const same = (value: Buffer): Buffer => value

/** Reads events until `until` says stop; resumes behind the last event it saw when the stream breaks. */
class Watcher {
  readonly seen: Array<Seen> = []
  readonly violations: Array<string> = []
  readonly #address: string
  readonly #name: string
  readonly #recorder: Recorder
  #stopped = false
  #cancel: () => void = () => {}

  constructor(address: string, name: string, recorder: Recorder) {
    this.#address = address
    this.#name = name
    this.#recorder = recorder
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      await this.#stream()
      await sleep(50)
    }
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  #stream(): Promise<void> {
    return new Promise((resolve) => {
      const client = new Client(this.#address, ChannelCredentials.createInsecure(), {
        "grpc.use_local_subchannel_pool": 1
      })
      const call: ClientDuplexStream<Uint8Array, Buffer> = client.makeBidiStreamRequest(
        "/etcdserverpb.Watch/Watch",
        raw,
        same,
        new Metadata()
      )
      this.#cancel = () => call.cancel()
      const finish = (): void => {
        client.close()
        resolve()
      }
      call.on("error", finish)
      call.on("end", finish)
      const startRevision = (this.seen[this.seen.length - 1]?.revision ?? 1) + 1
      const recorded = this.#recorder.watch(this.#name, { key: "\0", end: "\0" }, startRevision)
      call.on("data", (message: Buffer) => {
        const response = decodeWatchResponse(message)
        const said = watchResponseOf(response)
        if (said !== undefined) recorded.response(said)
        if (response.canceled) this.violations.push(`the watch was cancelled: ${response.cancelReason}`)
        for (const event of response.events) {
          const revision = event.kv.modRevision
          const last = this.seen[this.seen.length - 1]?.revision ?? 1
          if (revision < last) this.violations.push(`the watcher saw revision ${revision} after ${last}`)
          this.seen.push({ revision, key: text(event.kv.key), value: text(event.kv.value) })
        }
      })
      call.write(
        encodeWatchRequest({
          kind: "create",
          create: {
            key: Uint8Array.of(0),
            rangeEnd: Uint8Array.of(0),
            startRevision,
            progressNotify: false,
            filters: [],
            prevKv: false,
            watchId: 0n,
            fragment: false
          }
        })
      )
    })
  }
}

export const killRun = async (options: KillOptions): Promise<KillReport> => {
  const folder = mkdtempSync(join(tmpdir(), "netsy-kill-"))
  const random = seededRandom(options.seed)
  const s3 = await startDevS3({ dir: join(folder, "s3"), bucket, seed: options.seed, faults: options.faults })
  const [client, peer, election, health] = await freePorts(4)
  const address = `127.0.0.1:${client}`
  const dataDir = join(folder, "data")
  const violations: Array<string> = []
  let daemonLog = ""

  const startDaemon = (): ChildProcess => {
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", launcher, "--storage", `s3://${bucket}/n`, "--insecure"],
      {
        env: {
          PATH: process.env["PATH"],
          NETSY_DATA_DIR: dataDir,
          NETSY_REPLICATION_STORE_LEASE: "1s",
          NETSY_SNAPSHOT_THRESHOLD_RECORDS: "500",
          NETSY_BIND_CLIENT: address,
          NETSY_BIND_PEER: `127.0.0.1:${peer}`,
          NETSY_BIND_ELECTION: `127.0.0.1:${election}`,
          NETSY_BIND_HEALTH: `127.0.0.1:${health}`,
          AWS_ENDPOINT_URL: s3.url,
          AWS_REGION: "us-east-1",
          AWS_ACCESS_KEY_ID: "test",
          AWS_SECRET_ACCESS_KEY: "test",
          AWS_S3_USE_PATH_STYLE: "true"
        },
        stdio: ["ignore", "ignore", "pipe"]
      }
    )
    child.stderr!.on("data", (piece: Buffer) => {
      daemonLog = (daemonLog + piece.toString()).slice(-20_000)
    })
    return child
  }

  const untilReady = async (child: ChildProcess): Promise<void> => {
    const until = Date.now() + readyTimeoutMillis
    for (;;) {
      if (child.exitCode !== null) throw new Error(`the daemon ended with ${child.exitCode}:\n${daemonLog}`)
      const ready = await fetch(`http://127.0.0.1:${health}/readyz`).then(
        (r) => r.ok,
        () => false
      )
      if (ready) return
      if (Date.now() > until) throw new Error(`the daemon was not ready within ${readyTimeoutMillis} ms:\n${daemonLog}`)
      await sleep(20)
    }
  }

  /** Own puts of all clients: value → key and revision. */
  const acknowledged = new Map<string, { readonly key: string; readonly revision: number }>()
  const recorder = new Recorder()
  let unknown = 0
  let writing = true

  const writer = async (id: number): Promise<void> => {
    const own = seededRandom(options.seed * 1_000 + id)
    const report = await killClient({ id, address, recorder, random: own, running: () => writing })
    unknown += report.unknown
    for (const [value, revision] of report.acknowledged) acknowledged.set(value, { key: ownKey(id), revision })
  }

  let kills = 0
  let disksLost = 0
  let daemon = startDaemon()
  try {
    await untilReady(daemon)
    const watcher = new Watcher(address, "watcher", recorder)
    const watching = watcher.run()
    const writers = Array.from({ length: options.clients }, (_, id) => writer(id))
    for (let round = 0; round < options.rounds; round++) {
      await sleep(200 + random() * 800)
      daemon.kill("SIGKILL")
      kills++
      await new Promise((resolve) =>
        daemon.exitCode !== null || daemon.signalCode !== null ? resolve(undefined) : daemon.once("exit", resolve)
      )
      if (round % 2 === 1) {
        rmSync(dataDir, { recursive: true, force: true })
        disksLost++
      }
      daemon = startDaemon()
      await untilReady(daemon)
    }
    await sleep(300)
    writing = false
    await Promise.all(writers)

    // A fresh watcher reads the whole history once more; the one that lived through the kills must have seen the same.
    const reader = new Watcher(address, "reader", recorder)
    const reading = reader.run()
    const last = Math.max(1, ...[...acknowledged.values()].map((a) => a.revision))
    const until = Date.now() + 30_000
    const seenUpTo = (w: Watcher): number => w.seen[w.seen.length - 1]?.revision ?? 1
    while (Date.now() < until && (seenUpTo(reader) < last || seenUpTo(watcher) < seenUpTo(reader))) await sleep(50)
    await sleep(300)
    watcher.stop()
    reader.stop()
    await Promise.all([watching, reading])

    violations.push(...watcher.violations, ...reader.violations)
    const history = reader.seen
    let expected = 1
    for (const { revision } of history) {
      if (revision > expected + 1) {
        violations.push(`revision ${expected + 1} is missing from the history, which goes on with ${revision}`)
        break
      }
      expected = revision
    }
    for (let i = 0; i < Math.max(history.length, watcher.seen.length); i++) {
      const a = history[i]
      const b = watcher.seen[i]
      if (a?.revision !== b?.revision || a?.value !== b?.value) {
        violations.push(`the watcher that resumed saw ${JSON.stringify(b)} where the history has ${JSON.stringify(a)}`)
        break
      }
    }
    const values = new Map<string, Seen>()
    for (const event of history) {
      if (event.value === "") continue
      if (values.has(event.value))
        violations.push(
          `${event.value} was written twice, at ${values.get(event.value)!.revision} and ${event.revision}`
        )
      values.set(event.value, event)
    }
    for (const [value, ack] of acknowledged) {
      const found = values.get(value)
      if (found === undefined) violations.push(`${value} was acknowledged at revision ${ack.revision} and is lost`)
      else if (found.revision !== ack.revision || found.key !== ack.key) {
        violations.push(`${value} was acknowledged at revision ${ack.revision} and is at ${found.revision}`)
      }
    }
    const order = new Map<string, number>()
    for (const event of history.filter(({ key }) => key.startsWith(ownKeys))) {
      const n = Number(event.value.split(":")[1])
      if (n <= (order.get(event.key) ?? -1))
        violations.push(`${event.key} went back to ${event.value} at revision ${event.revision}`)
      order.set(event.key, n)
    }
    const began = performance.now()
    violations.push(...complaintsOf(recorder.history()))
    return {
      acknowledged: acknowledged.size,
      unknown,
      operations: recorder.size,
      checkMillis: Math.round(performance.now() - began),
      revisions: expected - 1,
      kills,
      disksLost,
      violations: violations.slice(0, 20)
    }
  } finally {
    writing = false
    daemon.kill("SIGKILL")
    await s3.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
