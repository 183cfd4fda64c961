/**
 * The values of one metric by label set. A frozen label object is found by identity (15 ns), any other by its
 * values (100 to 400 ns): hot callers keep one frozen object per label set. The number of label sets is bounded.
 */
import { assert } from "../../core/assert.ts"
import type { Labels } from "../../services/Metrics.ts"

/** A metric with more is a defect of its owner (a label that comes from outside); the surplus shares one cell. */
export const labelSetsMax = 1_000

export interface Cell<A> {
  readonly labels: Labels
  readonly value: A
}

const noLabels: Labels = Object.freeze({})

export class Cells<A> {
  readonly #name: string
  readonly #labelNames: ReadonlyArray<string>
  readonly #make: () => A
  #byValues = new Map<string, Cell<A>>()
  #byIdentity = new WeakMap<Labels, Cell<A>>()
  #plain: Cell<A> | undefined

  constructor(name: string, labelNames: ReadonlyArray<string>, make: () => A) {
    this.#name = name
    this.#labelNames = labelNames
    this.#make = make
  }

  at(labels: Labels | undefined): A {
    if (labels === undefined) return (this.#plain ??= this.#find(noLabels)).value
    const known = this.#byIdentity.get(labels)
    if (known !== undefined) return known.value
    const cell = this.#find(labels)
    if (Object.isFrozen(labels)) this.#byIdentity.set(labels, cell)
    return cell.value
  }

  #find(labels: Labels): Cell<A> {
    const values = this.#labelNames.map((name) => {
      const value = labels[name]
      assert(value !== undefined, `metric ${this.#name}: label ${name} is missing`)
      return value
    })
    assert(Object.keys(labels).length === values.length, `metric ${this.#name}: a label that was not declared`)
    const key = values.length === 1 ? values[0]! : JSON.stringify(values)
    const known = this.#byValues.get(key)
    if (known !== undefined) return known
    if (this.#byValues.size >= labelSetsMax) return this.#surplus()
    const cell = { labels: { ...labels }, value: this.#make() }
    this.#byValues.set(key, cell)
    return cell
  }

  #surplus(): Cell<A> {
    const key = "\0surplus"
    const known = this.#byValues.get(key)
    if (known !== undefined) return known
    const labels = Object.fromEntries(this.#labelNames.map((name) => [name, "other"]))
    const cell = { labels, value: this.#make() }
    this.#byValues.set(key, cell)
    return cell
  }

  all(): Iterable<Cell<A>> {
    return this.#byValues.values()
  }

  clear(): void {
    this.#byValues.clear()
    this.#byIdentity = new WeakMap()
    this.#plain = undefined
  }
}
