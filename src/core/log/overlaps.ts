/** Chunks that share indexes, in groups. */
export interface Span {
  readonly firstIndex: number
  readonly lastIndex: number
}

/** Groups of two or more spans that hang together by shared indexes, each ascending by first index. */
export const overlaps = <S extends Span>(spans: ReadonlyArray<S>): Array<Array<S>> => {
  const sorted = [...spans].sort((a, b) => a.firstIndex - b.firstIndex || a.lastIndex - b.lastIndex)
  const groups: Array<Array<S>> = []
  let group: Array<S> = []
  let end = 0
  for (const span of sorted) {
    if (group.length > 0 && span.firstIndex > end) {
      if (group.length > 1) groups.push(group)
      group = []
      end = 0
    }
    group.push(span)
    end = Math.max(end, span.lastIndex)
  }
  if (group.length > 1) groups.push(group)
  return groups
}
