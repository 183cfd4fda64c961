/** docs/README.md lists every page of docs/ once, so that each is found from the README. */
import { posix } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { parsePage } from "./support/page.ts"
import { pages } from "./support/project.ts"

const index = "docs/README.md"

const linkedFrom = (path: string): ReadonlyArray<string> => {
  const { links } = pages.find((page) => page.path === path) ?? parsePage(path, "")
  return links.flatMap(({ url }) => {
    const [file = ""] = url.split("#")
    return file === "" || /^https?:/.test(url) ? [] : [posix.join(posix.dirname(path), file)]
  })
}

describe("the index of all pages", () => {
  it("is linked from the README", () => {
    assert.include(linkedFrom("README.md"), index)
  })
  it("lists every page", () => {
    const listed = new Set(linkedFrom(index))
    assert.deepStrictEqual(
      pages
        .map(({ path }) => path)
        .filter((path) => /^docs\/.+\.md$/.test(path) && path !== index && !listed.has(path)),
      []
    )
  })
})
