/** The known name that was probably meant, for warnings about unknown keys, variables and flags. */

const lengthMax = 80

/** Levenshtein distance; names are short, so the quadratic table is fine. */
export const editDistance = (a: string, b: string): number => {
  const left = a.slice(0, lengthMax)
  const right = b.slice(0, lengthMax)
  let previous = Array.from({ length: right.length + 1 }, (_, j) => j)
  for (let i = 1; i <= left.length; i++) {
    const row = [i]
    for (let j = 1; j <= right.length; j++) {
      const substitution = previous[j - 1]! + (left[i - 1] === right[j - 1] ? 0 : 1)
      row.push(Math.min(substitution, previous[j]! + 1, row[j - 1]! + 1))
    }
    previous = row
  }
  return previous[right.length]!
}

const lastSegment = (name: string): string => name.slice(name.lastIndexOf(".") + 1)

/** Undefined when nothing is near. The same key in another group counts as near: 1.x moved some of them. */
export const nearest = (name: string, known: Iterable<string>): string | undefined => {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(Math.min(name.length, lengthMax) / 3)) + 1
  for (const candidate of known) {
    const whole = editDistance(name, candidate)
    const distance = lastSegment(name) === lastSegment(candidate) ? Math.min(whole, 1) : whole
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}
