/** The code blocks of all Markdown files can be read, parsed and compiled by what they are meant for. */
import { execFileSync, spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { blockComplaints, isShell, isTypeScript } from "./support/blocks.ts"
import { type Block, type Page, parsePage } from "./support/page.ts"
import { pages, read, root } from "./support/project.ts"

const none = (complaints: ReadonlyArray<string>): void => assert.deepStrictEqual([...complaints], [])

const shellComplaints = (page: Page): ReadonlyArray<string> =>
  page.blocks.filter(isShell).flatMap((block) => {
    const { status, stderr } = spawnSync("bash", ["-n"], { input: block.text, encoding: "utf8" })
    return status === 0 ? [] : [`${page.path}:${block.line}: ${stderr.trim()}`]
  })

/**
 * `netsy` is what src/index.ts exports; everything else comes from the project's packages. A page's relative imports are
 * those of a file in docs/.
 */
const compile = (blocks: ReadonlyArray<readonly [page: Page, block: Block]>): string => {
  const directory = mkdtempSync(join(tmpdir(), "netsy-docs-"))
  try {
    for (const name of ["node_modules", "src", "test", "examples"]) symlinkSync(join(root, name), join(directory, name))
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }')
    mkdirSync(join(directory, "blocks"))
    for (const [page, { line, text }] of blocks) {
      writeFileSync(join(directory, "blocks", `${page.path.replaceAll("/", "-")}-${line}.ts`), text)
    }
    const { compilerOptions } = JSON.parse(read("tsconfig.json").replaceAll(/^\s*\/\/.*$/gm, "")) as {
      compilerOptions: Record<string, unknown>
    }
    writeFileSync(
      join(directory, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          ...compilerOptions,
          plugins: [],
          // An example may show a value without using it.
          noUnusedLocals: false,
          paths: { netsy: [join(root, "src/index.ts")] }
        },
        include: ["blocks"]
      })
    )
    execFileSync(process.execPath, [join(root, "node_modules/typescript/lib/tsc.js"), "-p", directory], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"]
    })
    return ""
  } catch (failure) {
    const { stderr, stdout } = failure as { stdout?: string; stderr?: string }
    return `${stdout ?? String(failure)}${stderr ?? ""}`
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

describe("the code blocks", () => {
  it("in JSON and YAML can be read, and parts of a cluster file are good settings", () => {
    none(pages.flatMap(blockComplaints))
  })
  it("with commands are good shell", () => {
    none(pages.flatMap(shellComplaints))
  })
  it("in TypeScript compile against what the package exports", () => {
    const blocks = pages.flatMap((page) => page.blocks.filter(isTypeScript).map((block) => [page, block] as const))
    assert.isAbove(blocks.length, 0)
    assert.strictEqual(compile(blocks), "")
  }, 120_000)
})

const complaintsOf = (language: string, text: string): ReadonlyArray<string> => {
  const page = parsePage("docs/a.md", `\`\`\`${language}\n${text}\n\`\`\`\n`)
  return [...blockComplaints(page), ...shellComplaints(page)]
}

describe("a code block", () => {
  it("is taken when it is right", () => {
    none(complaintsOf("json", '{ "a": [1] }'))
    none(complaintsOf("jsonc", '// what stays\n{ "snapshot": { "keep": 5, }, "log": { "format": "json" } }'))
    none(complaintsOf("yaml", "a: 1\n---\nb: [2]"))
    none(complaintsOf("sh", "for i in 1 2 3; do echo $i; done"))
  })
  it("is refused when it cannot be read, with page and line", () => {
    for (const [language, text] of [
      ["json", '{ "a": 1, }'],
      ["jsonc", '{ "a" 1 }'],
      ["yaml", "a: [1"],
      ["sh", "for i in 1 2 3; do echo $i"]
    ] as const) {
      assert.isTrue(complaintsOf(language, text).join("").startsWith("docs/a.md:2: "), language)
    }
  })
  it("is refused when a node would refuse it, or would ignore part of it", () => {
    assert.include(complaintsOf("jsonc", '{ "snapshot": { "keep": 0 } }')[0], "snapshot.keep")
    assert.include(complaintsOf("json", '{ "snapshot": { "keeep": 5 } }')[0], "keeep")
  })
  it("is refused when it does not compile", () => {
    const page = parsePage("docs/a.md", '```ts\nconst x: number = "text"\nexport default x\n```\n')
    assert.include(compile([[page, page.blocks[0]!]]), "docs-a.md-2.ts(1,7)")
  }, 120_000)
})
