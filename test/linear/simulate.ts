/**
 * A store in virtual time whose clients wait, lose answers and give up: it makes histories that are linearizable by
 * construction. With a fault it makes one that is not, at one place.
 */
import { type Answer, covers, type History, type Kv, type Request, type WatchEvent } from "./history.ts"
import { type Change, Store } from "./model.ts"
import { type Begun, Recorder, type WatchBegun } from "./Recorder.ts"

/** Each breaks one promise of a store, once. */
export const faults = [
  "a stale read",
  "a lost write",
  "a write done twice",
  "a transaction done by half",
  "a compare that is ignored",
  "revisions that go back",
  "a refused write that is done",
  "a revision left out",
  "a wrong version",
  "a wrong creation revision",
  "a read that mixes two revisions",
  "a serializable read that mixes two revisions",
  "a read from the future",
  "a watch with a gap",
  "a watch with a duplicate",
  "a watch out of order",
  "a watch that splits a revision",
  "a watch with a wrong value",
  "a watch of another key",
  "a bookmark too new"
] as const
export type Fault = (typeof faults)[number]

export interface SimulateOptions {
  readonly seed: number
  readonly clients: number
  readonly operations: number
  readonly keys: number
  /** Chance that a write's client never learns what became of it. */
  readonly unknown?: number
  /** Watches over everything besides those over single keys. */
  readonly watches?: number
  /** Whether somebody reads everything at the end. */
  readonly lastRead?: boolean
  readonly fault?: Fault | undefined
}

export interface Simulated {
  readonly history: History
  /** How often the fault was played: 0 when the run had no place for it. */
  readonly faulty: number
}

export const randomOf = (seed: number): (() => number) => {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 12), 0x297a2d39)
    t ^= t >>> 15
    return (t >>> 0) / 4294967296
  }
}

interface Live {
  readonly begun: WatchBegun
  readonly span: { readonly key: string; readonly end?: string | undefined }
  readonly single: boolean
  next: number
}

class Simulation {
  readonly #options: SimulateOptions
  readonly #random: () => number
  readonly #recorder = new Recorder()
  readonly #store = new Store()
  /** Changes by revision, from 2 on. */
  readonly #log: Array<ReadonlyArray<Change>> = []
  /** Things that happen later, soonest first by a plain scan: there are few at a time. */
  readonly #later: Array<{ readonly at: number; readonly run: () => void }> = []
  readonly #watches: Array<Live> = []
  readonly #faultAt: number
  #now = 0
  #begun = 0
  #faulty = 0
  #seen = 1

  constructor(options: SimulateOptions) {
    this.#options = options
    this.#random = randomOf(options.seed)
    this.#faultAt = Math.floor(options.operations * (0.3 + 0.4 * this.#random()))
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n)
  }

  #key(): string {
    return `k${this.#below(this.#options.keys)}`
  }

  #after(delay: number, run: () => void): void {
    this.#later.push({ at: this.#now + delay, run })
  }

  #faultDue(fault: Fault): boolean {
    return this.#options.fault === fault && this.#faulty === 0 && this.#begun >= this.#faultAt
  }

  /** Undefined: nobody will see the answer of the operation that is being executed. Else the newest it knew of. */
  #floor: number | undefined

  #request(): Request {
    const n = this.#begun
    const kind = this.#below(100)
    const key = this.#key()
    if (kind < 35) return { kind: "put", key, value: `v${n}` }
    if (kind < 45)
      return this.#random() < 0.8 ? { kind: "delete", key } : { kind: "delete", key, end: `${key.slice(0, -1)}~` }
    if (kind < 65) return this.#txn(key, n)
    if (kind < 80) return { kind: "get", key }
    if (kind < 88) return { kind: "get", key: "\0", end: "\0" }
    if (kind < 95) return { kind: "get", key: "\0", end: "\0", serializable: true }
    return { kind: "get", key: "\0", end: "\0", revision: Math.max(1, this.#seen - this.#below(5)) }
  }

  #txn(key: string, n: number): Request {
    const kv = this.#store.find(key)
    const other = `k${(Number(key.slice(1)) + 1) % this.#options.keys}`
    const target = (["mod", "version", "create", "value"] as const)[this.#below(4)]!
    const current = target === "value" ? (kv?.value ?? "none") : (kv?.[target] ?? 0)
    const than = this.#random() < 0.8 ? current : target === "value" ? "other" : Number(current) + 1
    return {
      kind: "txn",
      compares: [{ key, target, is: "=", than }],
      success: [
        { kind: "put", key, value: `v${n}.1` },
        // One request writes a key once.
        ...(other === key ? [] : [{ kind: "put", key: other, value: `v${n}.2` } as const]),
        { kind: "get", key }
      ],
      failure: this.#random() < 0.5 ? [{ kind: "get", key }] : [{ kind: "put", key, value: `v${n}.3` }]
    }
  }

  #append(changes: ReadonlyArray<Change>): void {
    if (changes.length > 0) this.#log.push(changes)
  }

  /** The state of an older revision, by undoing. */
  #atRevision<A>(revision: number, use: (store: Store) => A): A {
    const undone: Array<ReadonlyArray<Change>> = []
    while (this.#store.revision > Math.max(1, revision)) {
      const changes = this.#log[this.#store.revision - 2]!
      this.#undo(changes)
      undone.push(changes)
    }
    const result = use(this.#store)
    for (const changes of undone.reverse()) this.#redo(changes)
    return result
  }

  /** A revision that was left out has no changes. */
  #undo(changes: ReadonlyArray<Change>): void {
    this.#store.undo(changes)
    if (changes.length === 0) this.#store.revision--
  }

  #redo(changes: ReadonlyArray<Change>): void {
    const { revision } = this.#store
    this.#store.undo(changes.map(({ after, before, key }) => ({ key, before: after, after: before })))
    this.#store.revision = revision + 1
  }

  /** The request's effect, and the answer. */
  #execute(request: Request, floor: number | undefined): Answer {
    const store = this.#store
    this.#floor = floor
    if (request.kind === "get" && request.serializable === true) return this.#serializable(request)
    if (request.kind === "get" && (request.revision ?? 0) > 0) {
      const revision = store.revision
      const wanted = request.revision!
      return { revision, result: this.#atRevision(wanted, (old) => old.ask(request).result!) }
    }
    if (request.kind === "get") return this.#read(request)
    if (this.#faultDue("a compare that is ignored") && request.kind === "txn" && this.#wouldFail(request))
      return this.#compareIgnored(request)
    const { changes, result } = store.apply(request)
    this.#append(changes)
    return this.#spoiled(request, { revision: store.revision, result: result! }, changes)
  }

  #wouldFail(request: Request): boolean {
    const { result } = this.#store.ask(request)
    return result?.kind === "txn" && !result.succeeded
  }

  #compareIgnored(request: Request & { readonly kind: "txn" }): Answer {
    this.#faulty++
    const { changes, result } = this.#store.apply({ ...request, compares: [] })
    this.#append(changes)
    return { revision: this.#store.revision, result: result! }
  }

  #read(request: Request): Answer {
    const store = this.#store
    const { revision } = store
    const plain: Answer = { revision, result: store.ask(request).result! }
    if (this.#floor === undefined) return plain
    if (this.#faultDue("a stale read") && this.#floor > 2) {
      const old = this.#floor - 1
      this.#faulty++
      return { revision: old, result: this.#atRevision(old, (before) => before.ask(request).result!) }
    }
    if (this.#faultDue("a read from the future") && plain.result.kind === "get") {
      this.#faulty++
      return { revision: revision + 1_000, result: plain.result }
    }
    if (plain.result.kind !== "get" || plain.result.kvs.length === 0) return plain
    const kv = plain.result.kvs[0]!
    const rest = plain.result.kvs.slice(1)
    const spoil = (wrong: Kv): Answer => {
      this.#faulty++
      return { revision, result: { kind: "get", kvs: [wrong, ...rest], count: rest.length + 1 } }
    }
    if (this.#faultDue("a wrong version")) return spoil({ ...kv, version: kv.version + 1 })
    if (this.#faultDue("a wrong creation revision")) return spoil({ ...kv, create: kv.create - 1 })
    if (this.#faultDue("a read that mixes two revisions")) return this.#mixed(request, plain)
    return plain
  }

  #serializable(request: Request): Answer {
    const revision = Math.max(1, this.#store.revision - this.#below(4))
    const answer: Answer = { revision, result: this.#atRevision(revision, (old) => old.ask(request).result!) }
    return this.#floor !== undefined && this.#faultDue("a serializable read that mixes two revisions")
      ? this.#mixed(request, answer)
      : answer
  }

  /** One key of the answer is as it was some revisions before. */
  #mixed(request: Request, answer: Answer): Answer {
    if (answer.result.kind !== "get" || answer.revision < 4) return answer
    const { kvs } = answer.result
    const old = this.#atRevision(answer.revision - 3, (before) => before.ask(request).result!)
    const older = (old.kind === "get" ? old.kvs : []).find((kv) =>
      kvs.some((k) => k.key === kv.key && k.mod !== kv.mod)
    )
    if (older === undefined) return answer
    this.#faulty++
    return {
      revision: answer.revision,
      result: { kind: "get", kvs: kvs.map((kv) => (kv.key === older.key ? older : kv)), count: kvs.length }
    }
  }

  /** Faults of writes. */
  #spoiled(request: Request, answer: Answer, changes: ReadonlyArray<Change>): Answer {
    const store = this.#store
    if (changes.length === 0) return answer
    if (this.#floor !== undefined && this.#faultDue("a lost write")) {
      this.#faulty++
      this.#log.pop()
      store.undo(changes)
    } else if (this.#faultDue("a write done twice") && request.kind === "put") {
      this.#faulty++
      this.#append(store.apply(request).changes)
    } else if (this.#faultDue("a transaction done by half") && changes.length > 1) {
      this.#faulty++
      this.#log.pop()
      store.undo(changes)
      const { after, key } = changes[0]!
      this.#append(
        store.apply(after === undefined ? { kind: "delete", key } : { kind: "put", key, value: after.value }).changes
      )
    } else if (this.#faultDue("a revision left out")) {
      this.#faulty++
      store.undo(changes)
      this.#log.pop()
      this.#log.push([])
      store.revision++
      const again = store.apply(request)
      this.#append(again.changes)
      return { revision: store.revision, result: again.result! }
    } else if (this.#faultDue("revisions that go back") && this.#seen > 4) {
      // A crash loses what was acknowledged before.
      this.#faulty++
      for (let back = store.revision - this.#seen + 2; back > 0; back--) this.#undo(this.#log.pop()!)
    }
    return answer
  }

  #client(name: string): void {
    if (this.#begun >= this.#options.operations) return
    const request = this.#request()
    this.#begun++
    const begun = this.#recorder.begin(name, request)
    const floor = this.#seen
    const unknown = this.#options.unknown ?? 0
    const again = (): void => this.#after(this.#below(20), () => this.#client(name))
    const luck = this.#random()
    if (luck < unknown) {
      // The effect comes some time, or not; the client goes on much earlier.
      if (luck < unknown * 0.7)
        this.#after(this.#below(luck < unknown * 0.2 ? 400 : 20), () => this.#execute(request, undefined))
      this.#after(this.#below(40), () => {
        begun.unknown("timed out")
        again()
      })
      return
    }
    if (luck < unknown + 0.02) {
      if (this.#faultDue("a refused write that is done") && request.kind === "put") {
        this.#faulty++
        this.#execute(request, undefined)
      }
      this.#after(this.#below(20), () => {
        begun.failed("refused")
        again()
      })
      return
    }
    this.#after(this.#below(20), () => {
      const answer = this.#execute(request, floor)
      this.#after(this.#below(20), () => {
        this.#answer(begun, answer)
        again()
      })
    })
  }

  #answer(begun: Begun, answer: Answer): void {
    this.#seen = Math.max(this.#seen, Math.min(answer.revision, this.#store.revision))
    begun.ok(answer)
  }

  // Watches

  #watch(single: boolean): void {
    const span = single ? { key: this.#key() } : { key: "\0", end: "\0" }
    const next = this.#store.revision + 1 - this.#below(Math.min(5, this.#store.revision))
    const begun = this.#recorder.watch(`w${this.#watches.length}`, span, Math.max(2, next))
    const live: Live = { begun, span, single, next: Math.max(2, next) }
    this.#watches.push(live)
    this.#deliver(live)
  }

  #eventsOf(live: Live, revision: number): Array<WatchEvent> {
    return (this.#log[revision - 2] ?? [])
      .filter((change) => covers(live.span, change.key))
      .map(({ after, before, key }) => ({
        kind: after === undefined ? "delete" : "put",
        key,
        revision,
        kv: after,
        previous: before
      }))
  }

  #deliver(live: Live): void {
    const upTo = Math.min(this.#store.revision, live.next + this.#below(6) - 1)
    let events: Array<WatchEvent> = []
    for (; live.next <= upTo; live.next++) events.push(...this.#eventsOf(live, live.next))
    const revision = live.next - 1
    if (events.length > 0) {
      events = this.#spoiledEvents(live, events)
      if (this.#faultDue("a watch that splits a revision")) {
        const at = events.findIndex((event, i) => i > 0 && event.revision === events[i - 1]!.revision)
        if (at > 0) {
          this.#faulty++
          live.begun.response({ revision, fragment: false, events: events.slice(0, at) })
          events = events.slice(at)
        }
      }
      live.begun.response({ revision, fragment: false, events })
    } else if (this.#random() < 0.3) this.#bookmark(live, revision)
    if (this.#random() < 0.03) return this.#watch(live.single)
    this.#after(1 + this.#below(40), () => this.#deliver(live))
  }

  #bookmark(live: Live, revision: number): void {
    const ahead = this.#faultDue("a bookmark too new") && this.#eventsOf(live, live.next).length > 0
    if (ahead) this.#faulty++
    live.begun.response({ revision: ahead ? live.next : revision, fragment: false, events: [] })
  }

  #spoiledEvents(live: Live, events: Array<WatchEvent>): Array<WatchEvent> {
    const i = this.#below(events.length)
    const spoil = (wrong: Array<WatchEvent>): Array<WatchEvent> => {
      this.#faulty++
      return wrong
    }
    // A gap shows only when something comes behind it.
    if (this.#faultDue("a watch with a gap") && events.length > 1)
      return spoil(events.slice(0, -2).concat(events.slice(-1)))
    if (this.#faultDue("a watch with a duplicate")) return spoil([...events.slice(0, i + 1), ...events.slice(i)])
    if (this.#faultDue("a watch out of order") && events.length > 1 && events[0]!.revision !== events[1]!.revision)
      return spoil([events[1]!, events[0]!, ...events.slice(2)])
    const { kv } = events[i]!
    if (this.#faultDue("a watch with a wrong value") && kv !== undefined)
      return spoil(events.map((event) => (event === events[i] ? { ...event, kv: { ...kv, value: "wrong" } } : event)))
    if (this.#faultDue("a watch of another key") && live.single)
      return spoil(events.map((event) => (event === events[i] ? { ...event, key: `${event.key}0` } : event)))
    return events
  }

  run(): Simulated {
    for (let i = 0; i < this.#options.clients; i++) this.#after(this.#below(20), () => this.#client(`c${i}`))
    for (let i = 0; i < (this.#options.watches ?? 0); i++) {
      this.#after(this.#below(50), () => this.#watch(false))
      this.#after(this.#below(50), () => this.#watch(true))
    }
    let quiet = false
    for (;;) {
      let soonest = 0
      for (let i = 1; i < this.#later.length; i++) if (this.#later[i]!.at < this.#later[soonest]!.at) soonest = i
      const [next] = this.#later.splice(soonest, 1)
      if (next === undefined) break
      this.#now = next.at
      if (this.#begun >= this.#options.operations && !quiet) {
        quiet = true
        this.#after(1_000, () => (this.#later.length = 0))
      }
      next.run()
    }
    if (this.#options.lastRead !== false) {
      const request: Request = { kind: "get", key: "\0", end: "\0" }
      const begun = this.#recorder.begin("last", request)
      const { result } = this.#store.ask(request)
      begun.ok({ revision: this.#store.revision, result: result! })
    }
    return { history: this.#recorder.history(), faulty: this.#faulty }
  }
}

export const simulate = (options: SimulateOptions): Simulated => new Simulation(options).run()
