/** All that the checkers have to say about a history, for tests that record one. */
import type { History } from "./history.ts"
import { checkKeys } from "./keys.ts"
import { checkOrder } from "./order.ts"
import { complaint, problemText } from "./verdict.ts"

/** The second opinion is not waited for: the search of order.ts is the one that must decide. */
const placesMax = 100_000

/** Empty when the history is linearizable. */
export const complaintsOf = (history: History): Array<string> => {
  const order = complaint(checkOrder(history))
  return [...(order === "" ? [] : [order]), ...checkKeys(history, { placesMax }).problems.map(problemText)]
}
