/** How often each call was made and how long it took, as a table. */
export class Figures {
  readonly #millis = new Map<string, Array<number>>()
  readonly counts = new Map<string, number>()

  async time<A>(name: string, call: () => Promise<A>): Promise<A> {
    const start = performance.now()
    const answer = await call()
    this.add(name, performance.now() - start)
    return answer
  }

  add(name: string, millis: number): void {
    const all = this.#millis.get(name)
    if (all === undefined) this.#millis.set(name, [millis])
    else all.push(millis)
  }

  count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
  }

  of(name: string): number {
    return this.counts.get(name) ?? this.#millis.get(name)?.length ?? 0
  }

  table(seconds: number): string {
    const rows = [["call", "number", "per s", "p50 ms", "p99 ms", "max ms"]]
    for (const [name, unsorted] of this.#millis) {
      const all = unsorted.toSorted((a, b) => a - b)
      const at = (share: number): string => all[Math.min(all.length - 1, Math.floor(all.length * share))]!.toFixed(1)
      rows.push([name, String(all.length), (all.length / seconds).toFixed(1), at(0.5), at(0.99), at(1)])
    }
    for (const [name, count] of this.counts) rows.push([name, String(count), (count / seconds).toFixed(1), "", "", ""])
    const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
    const line = (row: ReadonlyArray<string>): string =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ")
    return rows.map((row) => line(row).trimEnd()).join("\n")
  }
}
