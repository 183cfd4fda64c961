/** Buckets with lost reigns in them, and the design's reader, entry by entry. */

/**
 * A dumb model: a true log that Primaries extend, each in its own term; PUTs land in the bucket in any order or never;
 * objects are never overwritten. What a reader finds must be the log of the highest tip that hangs together.
 */
export const grow = (random: (below: number) => number) => {
  const chunks = new Map<number, { first: number; terms: Array<number>; prevTerm: number; stored: number }>()
  const snapshots = new Map<number, Array<number>>()
  /** Terms by index − 1: what a reader must find. */
  let bucket: Array<number> = []
  let term = 0
  const reigns = 1 + random(6)
  for (let reign = 0; reign < reigns; reign++) {
    term += 1 + random(2)
    const log = [...bucket]
    // Cut into chunks behind what is stored, with overlaps now and then; a taken key is avoided by a longer chunk.
    let stored = log.length
    const flight: Array<{ end: number; first: number; terms: Array<number>; prevTerm: number; stored: number }> = []
    let sent = stored
    for (let i = 0, writes = 1 + random(10); i < writes; i++) {
      for (let n = 1 + random(3); n > 0; n--) log.push(term)
      while (chunks.has(log.length)) log.push(term)
      const first = Math.max(1, sent + 1 - random(2) * random(3))
      const put = { end: log.length, first, terms: log.slice(first - 1), prevTerm: log[first - 2] ?? 0, stored }
      sent = log.length
      flight.push(put)
      // Up to four in flight; they land in any order, and are known to be stored in order.
      while (flight.length > random(4)) {
        const { end, ...landed } = flight.splice(random(flight.length), 1)[0]!
        chunks.set(end, landed)
        while (stored < log.length && flight.every((p) => p.first > stored + 1)) {
          const next = [...chunks].find(
            ([e, c]) => c.first <= stored + 1 && e > stored && c.terms[e - c.first] === log[e - 1] && sameAs(log, c, e)
          )
          if (next === undefined) break
          stored = next[0]
        }
      }
      if (random(8) === 0 && stored > 0) snapshots.set(stored, log.slice(0, stored))
      if (random(8) === 0) {
        const behind = Math.max(0, ...[...snapshots].filter(([, l]) => l.every((t, j) => log[j] === t)).map(([e]) => e))
        for (const [end, c] of chunks) if (end <= behind && random(2) === 0 && c.first > 0) chunks.delete(end)
      }
    }
    // The reign ends: what was in flight lands or is lost.
    for (const { end, ...rest } of flight) if (random(2) === 0 && !chunks.has(end)) chunks.set(end, rest)
    bucket = dumbRead(chunks, snapshots)
    if (bucket.length < stored) return { chunks, snapshots, bucket, lost: stored }
  }
  return { chunks, snapshots, bucket, lost: 0 }
}

const sameAs = (
  log: ReadonlyArray<number>,
  c: { first: number; terms: ReadonlyArray<number> },
  end: number
): boolean => {
  for (let i = c.first; i <= end; i++) if (log[i - 1] !== c.terms[i - c.first]) return false
  return true
}

/** The reader of the design's model, entry by entry. */
const dumbRead = (
  chunks: ReadonlyMap<number, { first: number; terms: ReadonlyArray<number>; prevTerm: number; stored: number }>,
  snapshots: ReadonlyMap<number, ReadonlyArray<number>>
): Array<number> => {
  const tips = [...chunks].map(([end, c]) => ({ end, term: c.terms[c.terms.length - 1]!, stored: c.stored }))
  for (const [end, log] of snapshots) tips.push({ end, term: log[log.length - 1]!, stored: 0 })
  tips.sort((a, b) => b.term - a.term || b.end - a.end)
  for (const tip of tips) {
    const log: Array<number> = []
    let index = tip.end
    let term = tip.term
    const snapshotAt = (i: number, t: number) => {
      const found = snapshots.get(i)
      return found !== undefined && found[i - 1] === t ? found : undefined
    }
    let base: ReadonlyArray<number> | undefined
    walk: while (index > 0) {
      base = snapshotAt(index, term)
      if (base !== undefined) break
      const c = [...chunks].find(
        ([end, c]) => c.first <= index && index <= end && c.terms[index - c.first] === term
      )?.[1]
      if (c === undefined) break
      for (; index >= c.first; index--) {
        base = snapshotAt(index, c.terms[index - c.first]!)
        if (base !== undefined) break walk
        log[index - 1] = c.terms[index - c.first]!
      }
      term = c.prevTerm
    }
    if (base !== undefined) base.forEach((t, i) => (log[i] = t))
    if (index === 0 || base !== undefined) return log
    if (index <= tip.stored) throw new Error(`broken at ${index}`)
  }
  return []
}
