/** All Markdown files of the project: links, anchors and names lead somewhere. */
import { assert, describe, it } from "@effect/vitest"
import { codeComplaints, linkComplaints, nameComplaints } from "./support/complaints.ts"
import { parsePage } from "./support/page.ts"
import { names, pages } from "./support/project.ts"

const byPath = new Map(pages.map((page) => [page.path, page]))
const none = (complaints: ReadonlyArray<string>): void => assert.deepStrictEqual([...complaints], [])

describe("the pages", () => {
  it("are seen by these tests", () => {
    assert.isTrue(byPath.has("README.md"))
    assert.isAbove(pages.length, 15)
  })
  it("link to files and headings that exist", () => {
    none(pages.flatMap((page) => linkComplaints(page, byPath, names.path)))
  })
  it("name paths, make targets, variables, keys and flags that exist", () => {
    none(pages.flatMap((page) => codeComplaints(page, names)))
  })
})

const links = (text: string): ReadonlyArray<string> => {
  const page = parsePage("docs/a.md", text)
  const others = new Map([...byPath, [page.path, page]])
  return linkComplaints(page, others, (path) => path === page.path || names.path(path))
}
const code = (text: string): ReadonlyArray<string> => codeComplaints(parsePage("docs/a.md", text), names)

describe("a link", () => {
  it("may lead to a file, to a directory and to a heading, also to the second of the same name", () => {
    none(
      links(
        "[a](../README.md) [b](../src) [c](#two-words) [d](#what--is-this-1)\n\n# Two words\n## What – is `this`?\n## What – is this?\n"
      )
    )
  })
  it("is refused when the file, the heading or the page is missing, or when it leaves the project", () => {
    assert.lengthOf(
      links("[a](nowhere.md) [b](../../x.md) [c](/docs/cluster.md) [d](#none) [e](../src#x)\n\n# One\n"),
      5
    )
  })
  it("is refused in a definition too", () => {
    assert.lengthOf(links("[a][1]\n\n[1]: nowhere.md\n"), 1)
  })
})

describe("a name in backticks", () => {
  it("is taken when it exists", () => {
    none(code("`src/core/config`, `test/{docs,tidy}`, `src/layers/*.ts`, `make start`, `NETSY_COUNT=3 make start`"))
    none(code("`NETSY_BIND_*`, `NETSY_SNAPSHOT_KEEP`, `snapshot.keep`, `bin/netsy --storage dir:./data`"))
  })
  it("is refused when there is no such file, target, variable, key or flag", () => {
    for (const name of [
      "src/none.ts",
      "make nothing",
      "NETSY_NOTHING",
      "NETSY_NONE_*",
      "snapshot.keeep",
      "netsy --nothing",
      "etcd --nothing",
      "ETCD_NOTHING"
    ]) {
      assert.lengthOf(code(`\`${name}\``), 1, name)
    }
  })
  it("may be a flag alone, on the pages about this program's flags", () => {
    const flags = (path: string): ReadonlyArray<string> =>
      codeComplaints(parsePage(path, "`--nothing` `--config`"), names)
    assert.lengthOf(flags("docs/etcd-mode.md"), 1)
    none(flags("docs/leaving.md"))
  })
  it("is looked at in blocks of commands too, with the line", () => {
    assert.deepStrictEqual(code("text\n\n```sh\nmake start\nmake nothing # makes nothing\n```\n"), [
      'docs/a.md:5: there is no target "make nothing"'
    ])
    assert.lengthOf(nameComplaints("a:1", "true && make start nothing", names), 1)
  })
})
