/** The rules of the house, checked over all files of the project; each rule is also shown to fire. */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { allowed } from "./allowed.ts"
import {
  compositionComplaints,
  compositionRoots,
  importComplaints,
  importsOf,
  lineLimit,
  serviceIdComplaints,
  sizeComplaints,
  type SourceFile,
  wordComplaints,
  wordRules
} from "./rules.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const textual = /\.(?:ts|js|json|jsonc|md|sh|proto|yaml|yml|txt)$|(?:^|\/)(?:Makefile|netsy|run|pre-commit)$/

/** Tracked files and new ones that are not ignored, as they are on disk. */
const files: ReadonlyArray<SourceFile> = execFileSync(
  "git",
  ["ls-files", "--cached", "--others", "--exclude-standard", "-z"],
  { cwd: root, encoding: "utf8" }
)
  .split("\0")
  .filter((path) => textual.test(path) && existsSync(join(root, path)))
  .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }))

const none = (complaints: ReadonlyArray<string>): void => assert.deepStrictEqual([...complaints], [])

describe("the project", () => {
  it("is seen by these tests", () => {
    assert.include(
      files.map((file) => file.path),
      "src/services/Supervisor.ts"
    )
  })
  it("imports go from programs to layers to services to core, and core is pure", () => {
    none(files.flatMap(importComplaints))
  })
  it("layers compose in one place per program", () => {
    none(files.flatMap(compositionComplaints))
    const composing = files.filter(({ path, text }) => path in compositionRoots && /\bLayer\.provide/.test(text))
    assert.deepStrictEqual(composing.map(({ path }) => path).sort(), Object.keys(compositionRoots).sort())
  })
  it("a layer's file is named after the service that it provides", () => {
    const services = files.flatMap(({ path }) => /^src\/services\/(\w+)\.ts$/.exec(path)?.[1] ?? [])
    const strays = files.filter(({ path, text }) => {
      const name = /^src\/layers\/(\w+)\.ts$/.exec(path)?.[1]
      const provides = /\bLayer\.(?:effect|effectContext|succeed|sync|unwrap)\(/.test(text)
      return name !== undefined && provides && !services.some((service) => name.startsWith(service))
    })
    none(strays.map(({ path }) => path))
  })
  it("every service has its place in docs/architecture.md, once", () => {
    const text = files.find(({ path }) => path === "docs/architecture.md")?.text ?? ""
    const rows = text.slice(text.indexOf("| Service | Owns |")).split("\n\n")[0]!.split("\n").slice(2)
    const told = rows.flatMap((row) => [...row.split("|")[1]!.matchAll(/`(\w+)`/g)].map(([, name]) => name!))
    const own = files.filter(
      ({ path, text: code }) => path.startsWith("src/services/") && /Context\.Service</.test(code)
    )
    assert.deepStrictEqual(told.sort(), own.map(({ path }) => path.slice("src/services/".length, -".ts".length)).sort())
  })
  it("every service's id is its path", () => {
    none(files.flatMap(serviceIdComplaints))
  })
  it("banned words do not occur", () => {
    none(files.flatMap((file) => wordComplaints(file, allowed)))
  })
  it("source files are small", () => {
    none(files.flatMap((file) => sizeComplaints(file, allowed)))
  })
  it("every exception is still needed and has a reason", () => {
    const idle = allowed.filter(({ path, reason, rule }) => {
      const file = files.find((one) => one.path === path)
      if (file === undefined || reason.length < 20) return true
      const before = [...wordComplaints(file, []), ...sizeComplaints(file, [])].length
      const after = [
        ...wordComplaints(file, [{ path, rule, reason }]),
        ...sizeComplaints(file, [{ path, rule, reason }])
      ]
      return after.length === before
    })
    assert.deepStrictEqual(idle, [])
  })
})

const source = (path: string, text: string): SourceFile => ({ path, text })
const counts = (complaints: ReadonlyArray<string>): number => complaints.length

describe("a rule", () => {
  it("refuses imports against the direction", () => {
    assert.strictEqual(counts(importComplaints(source("src/core/a.ts", 'import { x } from "../services/X.ts"\n'))), 1)
    assert.strictEqual(
      counts(importComplaints(source("src/services/A.ts", 'import type { x } from "../layers/X.ts"\n'))),
      1
    )
    assert.strictEqual(counts(importComplaints(source("src/layers/A.ts", 'await import("../programs/x.ts")\n'))), 1)
    assert.strictEqual(
      counts(importComplaints(source("src/programs/a.ts", 'import { x } from "../../test/x.ts"\n'))),
      1
    )
    none(importComplaints(source("src/programs/a.ts", 'import { x } from "../layers/X.ts"\n')))
  })
  it("lets files directly in src import everything in src, and nobody in src import them or the package", () => {
    none(importComplaints(source("src/index.ts", 'export * as a from "./programs/a.ts"\nimport "./core/b.ts"\n')))
    assert.strictEqual(counts(importComplaints(source("src/index.ts", 'export * from "../test/x.ts"\n'))), 1)
    assert.strictEqual(counts(importComplaints(source("src/programs/a.ts", 'import { x } from "../index.ts"\n'))), 1)
    assert.strictEqual(counts(importComplaints(source("src/programs/a.ts", 'import { x } from "netsy"\n'))), 1)
  })
  it("refuses an example that reaches into the project, and a script that imports a test", () => {
    const example = (text: string) => importComplaints(source("examples/testing/a.test.ts", text))
    none(
      example('import { Netsy } from "netsy"\nimport { Effect } from "effect"\nimport { it } from "@effect/vitest"\n')
    )
    none(example('import { x } from "../b.ts"\nimport { join } from "node:path"\n'))
    assert.strictEqual(counts(example('import { x } from "../../src/index.ts"\n')), 1)
    assert.strictEqual(counts(example('import type { x } from "../../test/x.ts"\n')), 1)
    assert.strictEqual(counts(example('import { x } from "netsy/programs"\nimport pg from "pg"\n')), 2)
    const script = (text: string) => importComplaints(source("scripts/a/b.ts", text))
    none(script('import { x } from "./c.ts"\nimport { y } from "../../src/core/y.ts"\nimport "esbuild"\n'))
    assert.strictEqual(counts(script('import { x } from "../../test/x.ts"\n')), 1)
    assert.strictEqual(counts(script('import { x } from "../../examples/x.ts"\n')), 1)
  })
  it("refuses layers that compose outside of a program", () => {
    const text = "export const layer = x.pipe(Layer.provideMerge(y))\n"
    assert.strictEqual(counts(compositionComplaints(source("src/layers/A.ts", text))), 1)
    assert.strictEqual(counts(compositionComplaints(source("src/programs/verify/a.ts", text))), 1)
    none(compositionComplaints(source("src/programs/node.ts", text)))
  })
  it("refuses a layer that imports a layer, and allows its own folder and shared parts", () => {
    assert.strictEqual(counts(importComplaints(source("src/layers/A.ts", 'import { x } from "./B.ts"\n'))), 1)
    assert.strictEqual(
      counts(importComplaints(source("src/layers/A/part.ts", 'import { x } from "../B/part.ts"\n'))),
      1
    )
    none(importComplaints(source("src/layers/A.ts", 'import { x } from "./A/part.ts"\nimport "./sqlite/rows.ts"\n')))
  })
  it("keeps Effect and the machine out of core, save their types", () => {
    const effect = source("src/core/a.ts", 'import { Effect } from "effect"\nimport { readFileSync } from "node:fs"\n')
    assert.strictEqual(counts(importComplaints(effect)), 2)
    none(importComplaints(source("src/core/a.ts", 'import type { Effect } from "effect"\n')))
    none(importComplaints(source("src/core/a.ts", 'import { type Effect } from "effect"\nimport "node:zlib"\n')))
    assert.strictEqual(counts(wordComplaints(source("src/core/a.ts", "const t = performance.now()\n"), [])), 1)
  })
  it("reads imports over several lines and not those in comments", () => {
    const text =
      '// import "a"\n/* import "b" */\nimport {\n  x,\n  type Y\n} from "c"\nexport * from "d"\nconst s = "// no"\n'
    assert.deepStrictEqual(importsOf(text), [
      { specifier: "c", typeOnly: false },
      { specifier: "d", typeOnly: false }
    ])
  })
  it("refuses a service id that is not the path, and a service outside src/services", () => {
    const text =
      'class X extends Context.Service<X, { readonly a: Map<string, () => void> }>()("netsy/services/X") {}\n'
    none(serviceIdComplaints(source("src/services/X.ts", text)))
    assert.strictEqual(counts(serviceIdComplaints(source("src/services/Y.ts", text))), 1)
    assert.strictEqual(counts(serviceIdComplaints(source("src/layers/X.ts", text))), 1)
  })
  it("finds each banned word in code, and in prose where prose counts", () => {
    const samples: Record<string, readonly [string, string]> = {
      unbounded: ["src/layers/A.ts", "Queue.unbounded()"],
      fork: ["src/layers/A.ts", "Effect.forkScoped"],
      "impure core": ["src/core/a.ts", "Math.random()"],
      any: ["src/a.ts", "x as any"],
      unfinished: ["docs/a.md", "TO" + "DO later"],
      "skipped test": ["test/a/a.test.ts", 'it.effect.skip("x")'],
      "machine path": ["src/a.ts", `"/${"work"}/x"`],
      "registry host": ["scripts/a.sh", `https://${"registry.npm"}js.org`]
    }
    for (const rule of wordRules) {
      const [path, text] = samples[rule.name] ?? assert.fail(`no sample for ${rule.name}`)
      assert.strictEqual(counts(wordComplaints(source(path, text), [])), 1, rule.name)
      none(wordComplaints(source(path, text), [{ path, rule: rule.name, reason: "" }]))
    }
    none(wordComplaints(source("src/layers/A.ts", "// Effect.forkScoped would be silent\n"), []))
  })
  it("refuses large files", () => {
    assert.strictEqual(counts(sizeComplaints(source("src/a.ts", "x\n".repeat(lineLimit + 1)), [])), 1)
    none(sizeComplaints(source("src/a.ts", "x\n".repeat(lineLimit)), []))
  })
})
