/** Random Range, Put, DeleteRange and Txn requests. */
import type { Random } from "../wire/random.ts"
import { ChosenLease, type Plain, Revision } from "./messages.ts"
import { interval, key, pick, value, weighted } from "./space.ts"

type Lease = () => unknown

const near = (random: Random): unknown =>
  weighted<() => unknown>(random, [
    [60, () => new Revision("head", -random.int(30))],
    [15, () => new Revision("compact", random.int(4))],
    [10, () => new Revision("compact", -random.int(3))],
    [8, () => new Revision("head", 1 + random.int(4))],
    [2, () => -1],
    [2, () => "9223372036854775807"]
  ])()

const someRevision = (random: Random): unknown => new Revision("head", -random.int(60))

/** `plain`: what RangeStream can do, without custom orders and filters. */
export const range = (random: Random, plain = false): Plain => ({
  ...interval(random),
  ...(random.chance(35) ? { limit: random.chance(5) ? -1 : random.int(8) } : {}),
  ...(random.chance(30) ? { revision: near(random) } : {}),
  ...(random.chance(20) ? { serializable: true } : {}),
  ...(random.chance(15) ? { keys_only: true } : {}),
  ...(random.chance(10) ? { count_only: true } : {}),
  ...(plain || random.chance(55)
    ? {}
    : {
        sort_order: pick(random, ["NONE", "ASCEND", "DESCEND"]),
        sort_target: pick(random, ["KEY", "VERSION", "CREATE", "MOD", "VALUE"])
      }),
  ...(plain || random.chance(80) ? {} : { min_mod_revision: someRevision(random) }),
  ...(plain || random.chance(80) ? {} : { max_mod_revision: someRevision(random) }),
  ...(plain || random.chance(80) ? {} : { min_create_revision: someRevision(random) }),
  ...(plain || random.chance(80) ? {} : { max_create_revision: someRevision(random) })
})

export const put = (random: Random, lease: Lease): Plain => {
  const ignoreValue = random.chance(8)
  const ignoreLease = random.chance(8)
  return {
    key: random.chance(1) ? "" : key(random),
    ...(ignoreValue && random.chance(80) ? {} : { value: value(random) }),
    ...(random.chance(ignoreLease ? 10 : 35) ? { lease: lease() } : {}),
    ...(random.chance(30) ? { prev_kv: true } : {}),
    ...(ignoreValue ? { ignore_value: true } : {}),
    ...(ignoreLease ? { ignore_lease: true } : {})
  }
}

export const deleteRange = (random: Random): Plain => ({
  ...interval(random),
  ...(random.chance(40) ? { prev_kv: true } : {})
})

const compare = (random: Random, lease: Lease): Plain => {
  const where = random.chance(30) ? interval(random) : { key: random.chance(1) ? "" : key(random) }
  const target = pick(random, ["VERSION", "CREATE", "MOD", "VALUE", "LEASE"])
  const result = pick(random, ["EQUAL", "GREATER", "LESS", "NOT_EQUAL"])
  if (random.chance(5)) return { ...where, target, result }
  // A union that does not fit the target counts as zero.
  const union = random.chance(4) ? pick(random, ["VERSION", "CREATE", "MOD", "VALUE", "LEASE"]) : target
  switch (union) {
    case "VERSION":
      return { ...where, target, result, version: random.int(4) }
    case "CREATE":
      return { ...where, target, result, create_revision: random.chance(40) ? 0 : someRevision(random) }
    case "MOD":
      return { ...where, target, result, mod_revision: random.chance(40) ? 0 : someRevision(random) }
    case "VALUE":
      return { ...where, target, result, value: value(random) }
  }
  const id = random.chance(40) ? 0 : lease()
  // Of two ids that the servers chose, either may be the greater.
  const fair = id instanceof ChosenLease ? pick(random, ["EQUAL", "NOT_EQUAL"]) : result
  return { ...where, target, result: fair, lease: id }
}

const requestOp = (random: Random, lease: Lease, depth: number): Plain =>
  weighted<() => Plain>(random, [
    [35, () => ({ request_range: range(random) })],
    [35, () => ({ request_put: put(random, lease) })],
    [18, () => ({ request_delete_range: deleteRange(random) })],
    [depth > 2 ? 0 : 14, () => ({ request_txn: anyTxn(random, lease, depth + 1) })],
    [depth > 0 ? 0 : 1, () => ({})]
  ])()

const list = <T>(random: Random, most: number, one: () => T): ReadonlyArray<T> =>
  Array.from({ length: random.int(most + 1) }, one)

const branches = (request: Plain): ReadonlyArray<Plain> => [
  ...((request["success"] ?? []) as ReadonlyArray<Plain>),
  ...((request["failure"] ?? []) as ReadonlyArray<Plain>)
]

const deletesWithoutEnd = (request: Plain): boolean =>
  branches(request).some(
    (op) =>
      (op["request_delete_range"] as Plain | undefined)?.["range_end"] === "\0" ||
      (op["request_txn"] !== undefined && deletesWithoutEnd(op["request_txn"] as Plain))
  )

const withoutIgnore = (request: Plain): Plain => {
  const ops = (list: unknown): ReadonlyArray<Plain> =>
    ((list ?? []) as ReadonlyArray<Plain>).map((op) => {
      if (op["request_txn"] !== undefined) return { request_txn: withoutIgnore(op["request_txn"] as Plain) }
      if (op["request_put"] === undefined) return op
      const { ignore_value: _value, ignore_lease: _lease, ...rest } = op["request_put"] as Plain
      return { request_put: rest }
    })
  return { ...request, success: ops(request["success"]), failure: ops(request["failure"]) }
}

/** etcd dies when a put in a transaction counts on a key that an endless delete before it took away (see rule T4). */
export const txn = (random: Random, lease: Lease): Plain => {
  const made = anyTxn(random, lease, 0)
  return deletesWithoutEnd(made) ? withoutIgnore(made) : made
}

const anyTxn = (random: Random, lease: Lease, depth: number): Plain => {
  const many = depth === 0 && random.chance(1)
  if (many) {
    const count = 126 + random.int(5)
    const puts = Array.from({ length: count }, (_, at) => ({ request_put: { key: `many/${at}`, value: "" } }))
    return random.chance(50) ? { success: puts } : { failure: puts, success: [{ request_txn: { success: puts } }] }
  }
  return {
    compare: list(random, random.chance(50) ? 1 : 3, () => compare(random, lease)),
    success: list(random, 4, () => requestOp(random, lease, depth)),
    failure: list(random, 3, () => requestOp(random, lease, depth))
  }
}
