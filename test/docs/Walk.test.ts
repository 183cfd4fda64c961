/**
 * The commands that pages show are run. `make test` does what README.md shows, `make test-docs` all pages.
 * How a block is marked for it stands in support/walk.ts.
 */
import { assert, describe, it } from "@effect/vitest"
import { parsePage } from "./support/page.ts"
import { pages } from "./support/project.ts"
import { stepsOf, unlike, walk } from "./support/walk.ts"

const wanted = process.env["NETSY_DOCS_PAGES"] ?? "README.md"
const timeoutMillis = 180_000
const nothing = (): void => {}
const walked = pages.filter(
  (page) => stepsOf(page).length > 0 && (wanted === "all" || wanted.split(",").includes(page.path))
)

describe("what a page shows", () => {
  for (const page of walked) {
    it(
      `${page.path} works as shown`,
      async () => {
        assert.strictEqual(await walk(page, timeoutMillis), "")
      },
      timeoutMillis + 20_000
    )
  }

  it("is done in order, in one shell, with the files it shows", async () => {
    const page = parsePage(
      "docs/a.md",
      [
        ...["```json file=a.json", '{ "a": 1 }', "```"],
        ...["```sh run", "mkdir x && cd x", "export WORD=two", "```"],
        ...["```sh run", 'echo "one"', 'echo "$WORD three" >&2', "cat ../a.json", "```"],
        ...["```text output", "one", "… three", "{…}", "```"],
        ...["```sh run fails", "cat nothing", "```"],
        ...["```sh run background until=ready", "echo ready; sleep 1000", "```"],
        ...["```sh run", "cat /proc/net/tcp | wc -l", "```"],
        ""
      ].join("\n")
    )
    assert.strictEqual(await walk(page, 20_000, nothing), "")
  })
  it("is refused at the block that fails, though a later line of it goes well", async () => {
    const page = parsePage("docs/a.md", "```sh run\necho before\nfalse\necho after\n```\n")
    assert.strictEqual(
      await walk(page, 20_000, nothing),
      "docs/a.md:2: ended with 1\necho before\nfalse\necho after\n\nbefore\n"
    )
  })
  it("is refused when it prints something else, does not become ready, or goes on for too long", async () => {
    const other = parsePage("docs/a.md", "```sh run\necho two\n```\n```text output\none\n```\n")
    assert.include(await walk(other, 20_000, nothing), "docs/a.md:5: the page shows\none\nand this was printed:\ntwo")
    assert.include(await walk(parsePage("docs/a.md", "```sh run background\ntrue\n```\n"), 20_000, nothing), "ready")
    assert.include(
      await walk(parsePage("docs/a.md", "```sh run\necho begun; sleep 60\n```\n"), 2_000, nothing),
      "too long"
    )
  }, 60_000)
})

describe("shown output", () => {
  it("is compared line by line; … stands for anything, alone in a line for any lines", () => {
    for (const [shown, printed] of [
      ["a\nb", "a\nb\n"],
      ["a …\nz", "a b c  \nz"],
      ["a\n…\nz", "a\nb\nc\nz\n"],
      ["…\nz", "z\n"],
      ["(a+b)*", "(a+b)*"]
    ] as const) {
      assert.isUndefined(unlike(shown, printed), shown)
    }
    for (const [shown, printed] of [
      ["a", "a\nb\n"],
      ["a …", "b a"],
      ["a\n…\nz", "a\nb\n"]
    ] as const) {
      assert.isDefined(unlike(shown, printed), shown)
    }
  })
})
