/**
 * The stored state (src/core/localstore/state.ts) among the facts: `.state` says where it stands and how many parts it
 * has, `.state.GENERATION.PART` holds each part as a frame of records. The parts of the next generation are written
 * before, each in a transaction of its own; then one transaction makes them count and drops the old ones.
 */
import { crc32 } from "node:zlib"
import type Database from "better-sqlite3"
import { decodeRecords, encodeRecords, headBytes, Kind } from "../../core/localstore/frame.ts"
import type { End } from "../../core/localstore/logState.ts"
import { partOps, stateRecord } from "../../core/localstore/state.ts"
import { emptyBytes, type LogRecord } from "../../core/log/record.ts"
import { Damaged } from "./errors.ts"
import type { Row } from "./rows.ts"
import type { Facts, StateFact } from "./schema.ts"

const stateName = ".state"
const example: StateFact = { generation: 0, index: 0, term: 0, revision: 0, count: 0, parts: 0 }

const partName = (generation: number, part: number): string => `${stateName}.${generation}.${part}`

export const readStateFact = (facts: Facts): StateFact | undefined =>
  facts.get(stateName) === undefined ? undefined : facts.getOwn(stateName, example)

/** The state's records, part by part. */
export const stateRecords = function* (facts: Facts, state: StateFact): Generator<LogRecord> {
  for (let part = 0; part < state.parts; part++) {
    const bytes = facts.get(partName(state.generation, part))
    if (bytes === undefined) throw new Damaged(`part ${part} of the state at index ${state.index} is missing`)
    // A buffer of its own, from its beginning: what is decoded are views of it.
    const copy = new Uint8Array(bytes)
    yield* decodeRecords({ buffer: copy.buffer, length: copy.length })
  }
}

/** Throws `Damaged` when a part is missing or does not hold what the fact says. */
export const verifyState = (facts: Facts, committedIndex: number): void => {
  const state = readStateFact(facts)
  if (state === undefined) return
  if (state.index > committedIndex) {
    throw new Damaged(`the state stands at index ${state.index}, only ${committedIndex} is known to be committed`)
  }
  let count = 0
  for (const record of stateRecords(facts, state)) {
    if (record.index !== state.index || record.sub !== count || record.op === undefined) {
      throw new Damaged(`record ${count} of the state at index ${state.index} is not its own`)
    }
    count++
  }
  if (count !== state.count) throw new Damaged(`the state has ${count} operations instead of ${state.count}`)
}

/** The same as rows. */
export const stateRows = function* (facts: Facts, state: StateFact): Generator<Row> {
  const columns = (record: LogRecord): Row => {
    const { buffer, length } = encodeRecords([record])
    const bytes = Buffer.from(buffer, 0, length)
    const { index, revision, sub, term } = record
    return [index, term, revision, sub, Kind.op, crc32(bytes), emptyBytes, bytes.subarray(headBytes)]
  }
  for (const record of stateRecords(facts, state)) yield columns(record)
}

export class StateFacts {
  private readonly facts: Facts
  private readonly dropAll: Database.Statement<[], unknown>
  private readonly dropOthers: Database.Statement<[string], unknown>
  private state: StateFact | undefined
  /** Parts of the next state that are there, from the first on; -1: not from the first on, the log was replaced meanwhile. */
  private put = 0

  constructor(db: Database.Database, facts: Facts) {
    this.facts = facts
    this.dropAll = db.prepare(`DELETE FROM meta WHERE name GLOB '${stateName}*'`)
    this.dropOthers = db.prepare(`DELETE FROM meta WHERE name GLOB '${stateName}.*' AND name NOT GLOB ?`)
    this.state = readStateFact(facts)
  }

  get current(): StateFact | undefined {
    return this.state
  }

  /** Writes a part of the next state; the first one replaces what was left of a state that was never finished. */
  putPart(part: number, frame: Uint8Array): void {
    const { generation } = this.state ?? example
    if (part === 0) this.dropOthers.run(`${stateName}.${generation}.*`)
    this.put = part === 0 || part === this.put ? part + 1 : -1
    this.facts.set(partName(generation + 1, part), frame)
  }

  has(parts: number): boolean {
    return parts === 0 || this.put === parts
  }

  /** Inside a transaction: the parts that were put are the state now. */
  store(at: End, count: number, parts: number): void {
    const generation = (this.state?.generation ?? 0) + 1
    const { index, revision, term } = at
    this.state = { generation, index, term, revision, count, parts }
    this.facts.setOwn(stateName, this.state)
    this.dropOthers.run(`${stateName}.${generation}.*`)
    this.put = -1
  }

  /** Inside a transaction: parts and state from operations that are here. */
  storeOps(at: End, ops: ReadonlyArray<Uint8Array>): void {
    let parts = 0
    for (let from = 0; from < ops.length; from += partOps) {
      const records = ops.slice(from, from + partOps).map((op, i) => stateRecord(at, op, from + i))
      const frame = encodeRecords(records)
      this.putPart(parts++, Buffer.from(frame.buffer, 0, frame.length))
    }
    this.store(at, ops.length, parts)
  }

  /** Inside a transaction. */
  clear(): void {
    this.state = undefined
    this.put = -1
    this.dropAll.run()
  }
}
