/** Looks for a shorter sequence with the same kind of difference, by leaving out ever smaller stretches of it. */
import type { Operation } from "./operations.ts"

/** Whether a sequence still shows the difference. */
type Shows = (operations: ReadonlyArray<Operation>) => Promise<boolean>

/** `most`: how many sequences may be tried. The last operation, which shows the difference, always stays. */
export const shrink = async (
  operations: ReadonlyArray<Operation>,
  shows: Shows,
  most: number
): Promise<ReadonlyArray<Operation>> => {
  let kept = operations.slice(0, -1)
  const last = operations.slice(-1)
  let tries = most
  for (let size = Math.ceil(kept.length / 2); size >= 1 && tries > 0;) {
    let shorter = false
    for (let at = Math.max(0, kept.length - size); tries > 0; at -= size) {
      const from = Math.max(0, at)
      const without = [...kept.slice(0, from), ...kept.slice(at + size)]
      tries--
      if (await shows([...without, ...last])) {
        kept = without
        shorter = true
      }
      if (from === 0) break
    }
    if (size > 1) size = Math.ceil(size / 2)
    else if (!shorter) break
  }
  return [...kept, ...last]
}
