/** docs/seeds.md says of every promise what shows it; what it names exists. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { root } from "./support/clone.ts"

const read = (path: string): string => readFileSync(join(root, path), "utf8")

interface Row {
  readonly heading: string
  readonly promise: string
  readonly shown: string
}

const rowsOf = (page: string): ReadonlyArray<Row> => {
  let heading = ""
  return page.split("\n").flatMap((line) => {
    heading = /^## (.+)/.exec(line)?.[1] ?? heading
    const cells = /^\| (.+) \| (.+) \|$/.exec(line)
    if (cells === null || cells[1] === "Promise" || cells[1] === "---") return []
    return [{ heading, promise: cells[1]!, shown: cells[2]! }]
  })
}

const targets = new Set([...read("Makefile").matchAll(/^([a-z-]+):/gm)].map((match) => match[1]!))

/** What is named in a cell: in order, files and commands in backticks, and names of tests in emphasis. */
const namesOf = (shown: string) =>
  [...shown.matchAll(/`([^`]+)`|(?<!\*)\*(?!\*)([^*]+)\*(?!\*)/g)].map((match) =>
    match[1] === undefined ? { kind: "test" as const, text: match[2]! } : { kind: "code" as const, text: match[1] }
  )

const isFile = (text: string): boolean => /^(?:test|deploy|images|scripts|examples)\/\S+$/.test(text)

const complaintsAbout = ({ promise, shown }: Row): ReadonlyArray<string> => {
  const complaints: Array<string> = []
  let file: string | undefined
  let shows = false
  for (const { kind, text } of namesOf(shown)) {
    const [first = "", second = ""] = text.split(" ")
    if (kind === "test") {
      shows = true
      // Part of a name, so that names with a variable part can be given.
      if (file === undefined || !read(file).includes(text)) complaints.push(`${file}: no test "${text}"`)
      continue
    }
    const path = first.replace(/^\.\//, "")
    if (isFile(path)) {
      shows = true
      file = path
      if (!existsSync(join(root, path))) complaints.push(`there is no ${path}`)
    }
    for (const [, target] of text.matchAll(/\bmake ((?!NETSY)[a-z-]+)/g)) {
      shows = true
      if (!targets.has(target!)) complaints.push(`there is no target ${target}`)
    }
    if (first === "make" && second === "") complaints.push("make without a target")
    if (first === "rm") shows = true
  }
  if (!shows && shown !== "the same tests") complaints.push("nothing shows it")
  return complaints.map((complaint) => `${promise.slice(0, 60)}: ${complaint}`)
}

const rows = rowsOf(read("docs/seeds.md"))

describe("docs/seeds.md", () => {
  it("has the promises of the three pages", () => {
    for (const heading of ["Developing Netsy", "Deploying to machines with Nstance", "Kubernetes"])
      assert.isAbove(rows.filter((row) => row.heading === heading).length, 10, heading)
  })
  it("names files, tests and make targets that exist, for each of them", () => {
    assert.deepStrictEqual(rows.flatMap(complaintsAbout), [])
  })
  it("would be refused with a name that does not exist, or with none", () => {
    const about = (shown: string) => complaintsAbout({ heading: "", promise: "p", shown }).length
    assert.strictEqual(about("`test/kubernetes/Seeds.test.ts` *has the promises of the three pages*"), 0)
    for (const shown of [
      "`test/kubernetes/None.test.ts`",
      "`test/kubernetes/Kubeconfig.test.ts` *has the promises of the three pages*",
      "*a test without its file*",
      "`make nothing`",
      "everybody knows",
      "**Differs**: in everything"
    ])
      assert.strictEqual(about(shown), 1, shown)
  })
})
