/** images/netsy/Containerfile, without building it: the linter is silent, and it promises what the documents say. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { validate } from "dockerfile-utils"
import { instructionsOf } from "./support/containerfile.ts"
import { project } from "./support/files.ts"

const text = readFileSync(join(project, "images/netsy/Containerfile"), "utf8")
const complaints = (file: string): ReadonlyArray<string> =>
  validate(file).map(({ message, range }) => `line ${range.start.line + 1}: ${message}`)

describe("the image", () => {
  const instructions = instructionsOf(text, { TARGETARCH: "arm64", VERSION: "1.2.3" })
  const named = (name: string) => instructions.filter((one) => one.name === name)
  const only = (name: string) => {
    const found = named(name)
    assert.strictEqual(found.length, 1, name)
    return found[0]!
  }

  it("is written as builders read it, which the linter would tell otherwise", () => {
    assert.deepStrictEqual(complaints(text), [])
    assert.isAbove(complaints("FROM a\nCOPY --chmod a\nEXPOSE many\nSHOUT\n").length, 2)
  })

  it("is one stage from a pinned base, without a command that would have to be run to build it", () => {
    assert.match(only("FROM").words[0]!, /^[^:@]+(?::(?!latest)[^:@]+|@sha256:\w{64})$/)
    assert.deepStrictEqual(named("RUN"), [])
  })

  it("contains the executable of its kind of machine, the licences, and an empty data directory of its user", () => {
    assert.deepStrictEqual(
      named("COPY").map(({ words }) => words),
      [
        ["netsy-linux-arm64", "/usr/bin/netsy"],
        ["LICENSES.txt", "/usr/share/doc/netsy/LICENSES.txt"],
        ["data", "/var/lib/netsy"]
      ]
    )
    assert.strictEqual(named("COPY")[2]!.flags["chown"], "65532:65532")
    assert.deepStrictEqual(only("VOLUME").words, ["/var/lib/netsy"])
    assert.deepStrictEqual(only("ENV").words, ["NETSY_DATA_DIR=/var/lib/netsy"])
  })

  it("runs the executable itself, as a user without rights that Kubernetes can check by its number", () => {
    assert.deepStrictEqual(only("ENTRYPOINT").words, ["/usr/bin/netsy"])
    assert.deepStrictEqual(only("USER").words, ["65532:65532"])
  })

  it("names its version and the ports that the daemon takes", () => {
    assert.include(only("LABEL").words, 'org.opencontainers.image.version="1.2.3"')
    assert.deepStrictEqual(only("EXPOSE").words, ["2378", "2381", "8443", "8080"])
  })
})
