/** Tables in Markdown, and the parts of a page that are written by a program: between two comments. Pure. */

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ")

export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n")

export const code = (text: string): string => `\`${text}\``

const begin = (name: string): string => `<!-- generated: ${name} (make reference) -->`
const end = "<!-- end of what is generated -->"

/** Throws when the page has no such part. */
export const withPart = (page: string, name: string, contents: string): string => {
  const from = page.indexOf(begin(name))
  const to = page.indexOf(end, from)
  if (from < 0 || to < 0) throw new Error(`there is no part between "${begin(name)}" and "${end}"`)
  return `${page.slice(0, from)}${begin(name)}\n\n${contents.trim()}\n\n${page.slice(to)}`
}

/** Names of the parts that a page has. */
export const partsOf = (page: string): ReadonlyArray<string> =>
  [...page.matchAll(/<!-- generated: (.+?) \(make reference\) -->/g)].map((match) => match[1]!)
