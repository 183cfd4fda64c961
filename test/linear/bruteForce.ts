/** The definition, spelled out: tries every order of every choice of what happened. For histories of a few operations. */
import { didWrite, type History, isSerializable, mayWrite, type Operation } from "./history.ts"
import { agrees, Store } from "./model.ts"

const revisionOf = (operation: Operation): number =>
  operation.outcome.kind === "ok" ? operation.outcome.answer.revision : 0

/** Of a get that asks for an older state. */
const historicRevision = ({ request }: Operation): number | undefined =>
  request.kind === "get" && (request.revision ?? 0) > 0 ? request.revision : undefined

/** Whether the answer is that of the state at this revision of the order. */
const shows = (read: Operation, order: ReadonlyArray<Operation>, revision: number): boolean => {
  const store = new Store()
  for (const operation of order) {
    if (store.revision === revision) break
    store.apply(operation.request)
  }
  const { changes, result } = store.ask(read.request)
  const { outcome } = read
  return (
    store.revision === revision &&
    changes.length === 0 &&
    result !== undefined &&
    (outcome.kind !== "ok" || agrees(outcome.answer.result, result))
  )
}

/** A serializable read must show some state of the order, and none that was not begun when it was answered. */
const serializableHolds = (read: Operation, order: ReadonlyArray<Operation>): boolean => {
  const store = new Store()
  for (const operation of order) {
    if (store.revision === revisionOf(read)) break
    if (store.apply(operation.request).changes.length > 0 && operation.invoked > read.returned) return false
  }
  return shows(read, order, historicRevision(read) ?? revisionOf(read)) && revisionOf(read) <= store.revision
}

/** What it showed was there: whoever began later shows that or more. */
const seenBefore = (operation: Operation, serializable: ReadonlyArray<Operation>): number =>
  Math.max(0, ...serializable.filter((read) => read.returned < operation.invoked).map(revisionOf))

export const isLinearizable = ({ operations }: History): boolean => {
  const answered = operations.filter(({ outcome, request }) => outcome.kind === "ok" && !isSerializable(request))
  const serializable = operations.filter(({ outcome, request }) => outcome.kind === "ok" && isSerializable(request))
  const unknown = operations.filter(({ outcome, request }) => outcome.kind === "unknown" && mayWrite(request))
  const store = new Store()
  const order: Array<Operation> = []

  const goOn = (left: ReadonlyArray<Operation>, maybe: ReadonlyArray<Operation>): boolean => {
    if (left.length === 0 && serializable.every((read) => serializableHolds(read, order))) return true
    const next = [...left, ...maybe].filter((one) => !left.some((other) => other.returned < one.invoked))
    for (const operation of next) {
      const { changes, result } = store.apply(operation.request)
      const revision = store.revision
      const { outcome } = operation
      const historic = historicRevision(operation)
      const fits =
        result !== undefined &&
        (outcome.kind !== "ok" ||
          (outcome.answer.revision === revision &&
            (historic === undefined
              ? agrees(outcome.answer.result, result)
              : historic <= revision && shows(operation, order, historic)))) &&
        (outcome.kind === "ok"
          ? revision >= seenBefore(operation, serializable) + (didWrite(outcome.answer.result) ? 1 : 0)
          : changes.length > 0 && revision > seenBefore(operation, serializable))
      if (fits) {
        order.push(operation)
        const without = (of: ReadonlyArray<Operation>): Array<Operation> => of.filter((one) => one !== operation)
        if (goOn(without(left), without(maybe))) return true
        order.pop()
      }
      store.undo(changes)
    }
    return false
  }
  return goOn(answered, unknown)
}
