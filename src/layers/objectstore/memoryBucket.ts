/**
 * A bucket in memory: the model that every other store must agree with. Several stores may share one, as several
 * processes share a real bucket. Bodies are copied in and out, so nobody can change what is stored.
 */
import { compareKeys, pageOfKeys } from "../../core/s3/keyOrder.ts"
import type { Condition, ListPage, ObjectInfo } from "../../services/ObjectStore.ts"
import { pageLimit } from "./keys.ts"

export interface MemoryObject extends ObjectInfo {
  readonly body: Uint8Array
}

/** The objects of one bucket, for several stores at once; it can be looked at without a store. */
export class MemoryBucket {
  /** Whoever holds the exclusive lock, if anybody does. */
  lockHeld = false
  readonly #objects = new Map<string, MemoryObject>()
  #sorted: ReadonlyArray<string> | undefined
  #version = 0

  /** Undefined: no such object. */
  get(key: string): MemoryObject | undefined {
    return this.#objects.get(key)
  }

  /** Undefined: the condition does not hold. */
  put(key: string, body: Uint8Array, condition: Condition | undefined, nowMillis: number): MemoryObject | undefined {
    const present = this.#objects.get(key)
    if (condition !== undefined) {
      if ("ifAbsent" in condition ? present !== undefined : present?.etag !== condition.ifMatch) return undefined
    }
    const etag = `v${++this.#version}`
    const object = { key, body: body.slice(), size: body.length, etag, lastModified: nowMillis }
    this.#objects.set(key, object)
    if (present === undefined) this.#sorted = undefined
    return object
  }

  /** Nothing happens when there is no such object. */
  delete(key: string): void {
    if (this.#objects.delete(key)) this.#sorted = undefined
  }

  /** In the order of their bytes. */
  keys(): ReadonlyArray<string> {
    return (this.#sorted ??= [...this.#objects.keys()].sort(compareKeys))
  }

  /** At most 1000 a page, as in S3. */
  list(options: {
    readonly prefix: string
    readonly after?: string
    readonly delimiter?: string
    readonly limit?: number
  }): ListPage {
    const page = pageOfKeys(this.keys(), { ...options, limit: pageLimit(options.limit) })
    const objects = page.keys.map((key) => {
      const { size, etag, lastModified } = this.#objects.get(key)!
      return { key, size, etag, lastModified }
    })
    return { objects, prefixes: page.prefixes, next: page.next }
  }
}
