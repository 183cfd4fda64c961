/** Runs one sequence against both servers in step, and stops at the first difference. */
import { setTimeout as sleep } from "node:timers/promises"
import { everythingStream } from "./prologue.ts"
import { compareAnswers, compareStreams, type Difference, givenOf, type Sent } from "./compare.ts"
import { type Intended, intended } from "./intended.ts"
import { type Plain, resolved, type Symbols } from "./messages.ts"
import type { Answer, Context, Expire, Operation, Transcript, WatchLog } from "./operations.ts"
import type { Target } from "./target.ts"
import { eventRevision, type WatchStream } from "./WatchStream.ts"

export interface Result {
  readonly sent: Sent
  readonly etcd: Transcript
  readonly ours: Transcript
  readonly difference: Difference | undefined
  readonly used: ReadonlySet<string>
}

const answerWithinMillis = 10_000
const settleWithinMillis = 10_000
/** After the newest message: nothing more is expected. */
const quietMillis = 15
/** etcd looks after watches that begin in the past ten times a second. */
const catchUpMillis = 250
/** How long etcd takes to remove what a compaction leaves out, with time to spare. */
const compactedWithinMillis = 300
const progressWithinMillis = 150
const settleEvery = 120
const readsAtOnce = 16
const expiryPollMillis = 100
/** How much later than its time a lease may end. */
const expiryLateMillis = 6_000

const isRead = (operation: Operation): boolean =>
  operation.kind === "rangeStream" || (operation.kind === "call" && operation.reads === true)

const requestOf = (operation: Operation): Plain => {
  switch (operation.kind) {
    case "call":
    case "rangeStream":
      return operation.request
    case "watch":
      return operation.create
    case "keepAlive":
      return { ids: operation.ids }
  }
  return { ...operation }
}

const sizeOf = ({ log }: WatchStream): string =>
  log.watches.map((watch) => `${watch.events.length}${watch.ended === undefined ? "" : "e"}`).join() +
  (log.ended === undefined ? "" : "!")

export class Run {
  readonly #etcd: Target
  readonly #ours: Target
  readonly #operations: ReadonlyArray<Operation>
  readonly #intended: ReadonlyArray<Intended>
  readonly #requests: Array<Plain> = []
  readonly #contexts: Array<Context> = []
  readonly #used = new Set<string>()
  readonly #transcripts: readonly [Transcript, Transcript]
  #head = 1
  #compact = 0
  #auth = false
  #pastAt = 0
  #compactedAt = 0
  #writtenAt = 0
  #settledAt = 0
  #difference: Difference | undefined

  constructor(etcd: Target, ours: Target, operations: ReadonlyArray<Operation>) {
    this.#etcd = etcd
    this.#ours = ours
    this.#operations = operations
    this.#intended = ours.program === etcd.program ? [] : intended
    this.#transcripts = [
      { answers: [], streams: [] },
      { answers: [], streams: [] }
    ]
  }

  get #sent(): Sent {
    return {
      operations: this.#operations,
      requests: this.#requests,
      contexts: this.#contexts,
      intended: this.#intended
    }
  }

  async run(): Promise<Result> {
    const operations = this.#operations
    for (let at = 0; at < operations.length && this.#difference === undefined;) {
      if (at - this.#settledAt >= settleEvery) await this.#settle(at)
      let end = at + 1
      if (isRead(operations[at]!)) {
        while (end < operations.length && end - at < readsAtOnce && isRead(operations[end]!)) end++
      }
      const batch = Array.from({ length: end - at }, (_, index) => at + index)
      await Promise.all(batch.map((number) => this.#one(number)))
      at = end
    }
    if (this.#difference === undefined) await this.#settle(operations.length - 1, true)
    const [etcd, ours] = this.#transcripts
    return { sent: this.#sent, etcd, ours, difference: this.#difference, used: this.#used }
  }

  #symbols(target: Target): Symbols {
    return { head: this.#head, compact: this.#compact, leases: target.leases }
  }

  #differs(operation: number, what: string, etcd: unknown, ours: unknown): void {
    const first = this.#difference
    if (first === undefined || first.operation > operation) this.#difference = { operation, what, etcd, ours }
  }

  async #one(at: number): Promise<void> {
    const operation = this.#operations[at]!
    const stream = "stream" in operation ? this.#etcd.streams.get(operation.stream) : undefined
    this.#requests[at] = resolved(requestOf(operation), this.#symbols(this.#etcd)) as Plain
    this.#contexts[at] = {
      head: this.#head,
      compact: this.#compact,
      watches: stream?.live.map(({ request }) => request) ?? [],
      auth: this.#auth,
      token: this.#tokenOf("as" in operation ? operation.as : undefined),
      compacted: operation.kind === "watch" ? this.#compactedEvents(this.#requests[at]) : []
    }
    switch (operation.kind) {
      case "open":
        await this.#drop(at, operation.stream)
        return this.#open(at, operation.stream, operation.as)
      case "watch":
        return this.#watch(at, operation.stream)
      case "cancelWatch":
        return this.#cancelWatch(at, operation.stream, operation.id)
      case "progress":
        return this.#progress(at, operation.stream)
      case "endStream":
        this.#etcd.streams.get(operation.stream)?.end()
        this.#ours.streams.get(operation.stream)?.end()
        return
    }
    const compacts = operation.kind === "call" && operation.method === "KV.Compact"
    if (compacts) await this.#settle(at)
    // Where no key is left, etcd hashes what a compaction has yet to remove.
    const hashes = operation.kind === "call" && operation.method === "Maintenance.HashKV"
    if (hashes) await sleep(Math.max(0, this.#compactedAt + compactedWithinMillis - Date.now()))
    if (operation.kind === "expire") return this.#expire(at, operation)
    const [etcd, ours] = await Promise.all([this.#send(this.#etcd, operation), this.#send(this.#ours, operation)])
    this.#answered(at, etcd, ours)
    if (operation.kind === "call" && etcd.code === 0) {
      if (operation.method === "Auth.AuthEnable") this.#auth = true
      if (operation.method === "Auth.AuthDisable") this.#auth = false
    }
    if (compacts && etcd.code === 0)
      this.#compact = Math.max(this.#compact, Number(this.#requests[at]["revision"] ?? 0))
  }

  #tokenOf(as: string | undefined): Context["token"] {
    if (as?.startsWith("!") === true) return "made up"
    return as !== undefined && this.#etcd.hasToken(as) ? "given" : "none"
  }

  /** From the watch that sees everything. */
  #compactedEvents(request: Plain): ReadonlyArray<Plain> {
    if (this.#compact === 0 || request["start_revision"] !== this.#compact) return []
    const everything = this.#etcd.streams.get(everythingStream)?.log.watches[0]
    const newest = new Map<unknown, Plain>()
    for (const { prev_kv: _before, ...event } of everything?.events ?? []) {
      if (eventRevision(event) !== this.#compact) continue
      const { key } = event["kv"] as Plain
      newest.delete(key)
      newest.set(key, event)
    }
    return [...newest.values()]
  }

  #answered(at: number, etcd: Answer, ours: Answer): void {
    if (!isRead(this.#operations[at]!)) this.#writtenAt = Date.now()
    this.#transcripts[0].answers[at] = etcd
    this.#transcripts[1].answers[at] = ours
    this.#head = Math.max(this.#head, Number((etcd.body?.["header"] as Plain | undefined)?.["revision"] ?? 0))
    if (!compareAnswers(givenOf(this.#sent, at), etcd, ours, this.#used)) this.#differs(at, "the answer", etcd, ours)
  }

  #send(target: Target, operation: Operation): Promise<Answer> {
    const request = resolved(requestOf(operation), this.#symbols(target)) as Plain
    switch (operation.kind) {
      case "call":
        return target.call(operation.method, request, operation.as, operation.grants)
      case "login":
        return target.login(operation.user, operation.password)
      case "raw":
        return target.raw(operation.path, operation.body)
      case "rangeStream":
        return target.rangeStream(request, operation.as)
      case "keepAlive":
        return target.keepAlive(request["ids"] as ReadonlyArray<unknown>, operation.as)
    }
    throw new Error(`cannot send ${operation.kind}`)
  }

  #open(at: number, number: number, as?: string): void {
    const [etcd, ours] = [this.#etcd.open(number, at, as), this.#ours.open(number, at, as)]
    this.#transcripts[0].streams.push(etcd.log)
    this.#transcripts[1].streams.push(ours.log)
  }

  /** A stream that is there and takes requests; one that was half-closed is replaced. */
  async #streams(at: number, number: number): Promise<readonly [WatchStream, WatchStream]> {
    const known = this.#etcd.streams.get(number)
    if (known?.finished === true || known?.ended === true) await this.#drop(at, number)
    if (!this.#etcd.streams.has(number)) this.#open(at, number)
    return [this.#etcd.streams.get(number)!, this.#ours.streams.get(number)!]
  }

  async #until(condition: () => boolean, withinMillis: number): Promise<boolean> {
    for (const deadline = Date.now() + withinMillis; !condition(); await sleep(2)) {
      if (Date.now() > deadline) return false
    }
    return true
  }

  async #watch(at: number, number: number): Promise<void> {
    const [a, b] = await this.#streams(at, number)
    const create = (target: Target, stream: WatchStream): WatchLog =>
      stream.create(at, resolved(requestOf(this.#operations[at]!), this.#symbols(target)) as Plain)
    const [etcd, ours] = [create(this.#etcd, a), create(this.#ours, b)]
    const done = await this.#until(
      () => (etcd.created !== undefined || a.ended) && (ours.created !== undefined || b.ended),
      answerWithinMillis
    )
    if (!done) this.#differs(at, "created is missing", etcd.created, ours.created)
    const start = Number(this.#requests[at]!["start_revision"] ?? 0)
    if (start !== 0 && start <= this.#head) this.#pastAt = Date.now()
  }

  async #cancelWatch(at: number, number: number, id: number): Promise<void> {
    const [a, b] = await this.#streams(at, number)
    const live = a.isLive(id)
    if (live) await this.#settle(at)
    // One may have been told of a compaction while the other is about to be.
    await this.#until(() => a.isLive(id) === b.isLive(id), answerWithinMillis)
    const again = a.wasCompacted(id)
    a.cancelWatch(at, id)
    b.cancelWatch(at, id)
    if (live) await this.#until(() => !a.isLive(id) && !b.isLive(id), answerWithinMillis)
    if (again) await this.#until(() => !a.wasCompacted(id) && !b.wasCompacted(id), answerWithinMillis / 10)
  }

  async #progress(at: number, number: number): Promise<void> {
    const [a, b] = await this.#streams(at, number)
    await this.#settle(at)
    this.#contexts[at] = { ...this.#contexts[at]!, watches: a.live.map(({ request }) => request) }
    const [before, own] = [a.log.progress.length, b.log.progress.length]
    a.progress(at)
    b.progress(at)
    const both = (): boolean => a.log.progress.length > before && b.log.progress.length > own
    await this.#until(both, progressWithinMillis)
    if (a.log.progress.length > before && a.live.length > 0) await this.#until(both, progressWithinMillis * 10)
  }

  async #drop(at: number, number: number): Promise<void> {
    const [a, b] = [this.#etcd.streams.get(number), this.#ours.streams.get(number)]
    if (a === undefined || b === undefined) return
    await this.#settle(at)
    a.cancel()
    b.cancel()
    this.#etcd.streams.delete(number)
    this.#ours.streams.delete(number)
  }

  async #expire(at: number, operation: Expire): Promise<void> {
    const one = async (target: Target): Promise<Answer> => {
      const begun = Date.now()
      const steps: Array<Answer> = [await target.call("Lease.LeaseGrant", { ID: operation.id, TTL: operation.ttl })]
      for (const key of operation.keys) {
        steps.push(await target.call("KV.Put", { key, value: "short", lease: operation.id }))
      }
      let earliest = operation.ttl * 1000
      if (operation.renewAfterMillis !== undefined) {
        await sleep(operation.renewAfterMillis)
        steps.push(await target.keepAlive([operation.id]))
        earliest += operation.renewAfterMillis
      }
      const alive = async (): Promise<boolean> =>
        Number((await target.call("Lease.LeaseTimeToLive", { ID: operation.id })).body?.["TTL"]) !== -1
      while ((await alive()) && Date.now() - begun < earliest + expiryLateMillis) await sleep(expiryPollMillis)
      const took = Date.now() - begun
      const when = took < earliest ? "early" : took >= earliest + expiryLateMillis ? "late" : "in time"
      steps.push(await target.call("KV.Range", { key: "\0", range_end: "\0" }))
      return { code: 0, details: when, body: { steps, header: steps.at(-1)!.body?.["header"] } }
    }
    const [etcd, ours] = await Promise.all([one(this.#etcd), one(this.#ours)])
    this.#answered(at, etcd, ours)
  }

  /** Waits until both have told all watches the same, and says so when that does not happen. */
  async #settle(at: number, whole = false): Promise<void> {
    this.#settledAt = at
    const pairs = [...this.#etcd.streams].map(([number, etcd]) => [etcd, this.#ours.streams.get(number)!] as const)
    if (pairs.length === 0) return
    let before = ""
    let quietSince = 0
    const used = new Set<string>()
    const equal = (): boolean => {
      const sizes = pairs.map(([etcd, ours]) => `${sizeOf(etcd)} ${sizeOf(ours)}`).join("\n")
      if (sizes !== before) {
        before = sizes
        quietSince = Date.now()
        return false
      }
      const now = Date.now()
      if (now - quietSince < quietMillis || now - this.#pastAt < catchUpMillis) return false
      if (now - this.#writtenAt < quietMillis) return false
      if (pairs.some(([, ours]) => ours.log.violations.length > 0)) return true
      return pairs.every(([etcd, ours]) => compareStreams(this.#sent, etcd.log, ours.log, used) === undefined)
    }
    await this.#until(equal, settleWithinMillis)
    if (whole) await sleep(catchUpMillis)
    for (const [etcd, ours] of pairs) {
      const difference = compareStreams(this.#sent, etcd.log, ours.log, this.#used)
      if (difference !== undefined)
        this.#differs(difference.operation, difference.what, difference.etcd, difference.ours)
    }
  }
}
