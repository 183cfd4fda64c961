/** scripts/etcdctl/create.sh, update.sh and delete.sh against a node with certificates. */
import { mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { type Clone, makeClone } from "./support/clone.ts"

let daemon: Daemon
let clone: Clone
beforeAll(async () => {
  daemon = await startDaemon({ tls: true })
  clone = makeClone()
  clone.program("etcdctl")
  mkdirSync(join(clone.directory, "temp/certs"), { recursive: true })
  const { ca, cert, key } = daemon.certificates!
  symlinkSync(ca, join(clone.directory, "temp/certs/ca.crt"))
  symlinkSync(cert, join(clone.directory, "temp/certs/client.crt"))
  symlinkSync(key, join(clone.directory, "temp/certs/client.key"))
})
afterAll(async () => {
  await daemon?.release()
  clone?.release()
})

const run = (name: string, ...args: ReadonlyArray<string>) =>
  clone.run(`scripts/etcdctl/${name}.sh`, args, { ETCDCTL_ENDPOINTS: `https://${daemon.endpoint}` })

/** Lines of the answer that say something. */
const answer = (name: string, ...args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { err, out, status } = run(name, ...args)
  assert.strictEqual(status, 0, err)
  return out.split("\n").filter((line) => line !== "")
}
const modRevision = (key: string): string => {
  const { out } = run("etcdctl", "get", key, "-w", "json")
  return String((JSON.parse(out) as { kvs: ReadonlyArray<{ mod_revision: number }> }).kvs[0]!.mod_revision)
}

describe("the transactions of kube-apiserver by hand", () => {
  it("creates once, updates and deletes at the right revision only, and shows what is there otherwise", () => {
    // Whatever a shell and Go's quoting find special.
    const key = '/registry/a "b" \\ c'
    const value = 'it\'s 100 % $HOME "q" \\n'
    assert.deepStrictEqual(answer("create", key, value), ["SUCCESS", "OK"])
    assert.strictEqual(answer("create", key, "other")[0], "FAILURE")
    assert.deepStrictEqual(answer("etcdctl", "get", key), [key, value])

    const first = modRevision(key)
    assert.deepStrictEqual(answer("update", key, first, "second"), ["SUCCESS", "OK"])
    assert.deepStrictEqual(answer("update", key, first, "third"), ["FAILURE", key, "second"])
    assert.deepStrictEqual(answer("delete", key, first), ["FAILURE", key, "second"])
    assert.deepStrictEqual(answer("delete", key, modRevision(key)), ["SUCCESS", "1"])
    assert.deepStrictEqual(answer("etcdctl", "get", key), [])
  })

  it("refuses what is no revision, a line break, and a missing argument", () => {
    assert.include(run("update", "a", "new", "b").err, "'new' is no revision")
    assert.strictEqual(run("delete", "a", "").status, 2)
    assert.include(run("create", "a", "two\nlines").err, "line breaks")
    assert.include(run("create", "a").err, "usage: create.sh KEY VALUE")
  })
})
