import { assert, describe, it } from "@effect/vitest"
import { decideRecover, decideStatus } from "../../src/core/status/command.ts"

const endpoints = (argv: ReadonlyArray<string>, env: Record<string, string> = {}) => {
  const command = decideStatus(argv, env)
  return command.kind === "status" ? command.endpoints.map(({ host, port }) => `${host} ${port}`) : command.stderr
}

describe("the command line of netsy status", () => {
  it("asks the node's own health port, as it can be dialled from here", () => {
    assert.deepStrictEqual(endpoints([]), ["127.0.0.1 8080"])
    assert.deepStrictEqual(endpoints([], { NETSY_BIND_HEALTH: ":9000" }), ["127.0.0.1 9000"])
    assert.deepStrictEqual(endpoints([], { NETSY_BIND_HEALTH: "[::]:9000" }), ["::1 9000"])
    assert.deepStrictEqual(endpoints([], { NETSY_BIND_HEALTH: "10.0.0.1:9000" }), ["10.0.0.1 9000"])
  })

  it("asks the endpoints that are named, in their order", () => {
    const env = { NETSY_BIND_HEALTH: ":9000" }
    assert.deepStrictEqual(endpoints(["--endpoint", "a:1, [::1]:2"], env), ["a 1", "::1 2"])
    assert.deepStrictEqual(endpoints(["--endpoint=b:3", "--watch"]), ["b 3"])
    assert.include(decideStatus(["--watch", "--json"], {}), { watch: true, json: true })
  })

  it("says what it does not understand", () => {
    assert.include(endpoints(["--endpoint", "a"]), "the port is missing")
    assert.include(endpoints(["--endpoint"]), "needs HOST:PORT")
    assert.include(endpoints(["node-1"]), '"node-1"')
    assert.include(decideStatus(["--help"], {}), { kind: "exit", code: 0, stderr: "" })
  })
})

describe("the command line of netsy recover", () => {
  it("names one node; the rest is where the bucket is", () => {
    assert.deepStrictEqual(decideRecover(["--storage", "dir:/s", "node-2", "--yes"]), {
      kind: "recover",
      nodeId: "node-2",
      yes: true,
      rest: ["--storage", "dir:/s"]
    })
    assert.include(decideRecover(["node-2"]), { yes: false })
    assert.include(decideRecover([]), { kind: "exit", code: 1 })
    assert.include(decideRecover(["a", "b"]), { kind: "exit", code: 1 })
  })
})
