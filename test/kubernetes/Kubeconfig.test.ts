/** kubeconfig.sh: the file it prints, and what it asks kubectl to change. */
import { X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { parse } from "yaml"
import { type Clone, makeClone } from "./support/clone.ts"

const script = "scripts/kubernetes/kubeconfig.sh"
let clone: Clone
beforeAll(() => {
  clone = makeClone()
  clone.certificates()
})
afterAll(() => clone?.release())

interface Printed {
  readonly clusters: ReadonlyArray<{ readonly name: string; readonly cluster: Record<string, string> }>
  readonly users: ReadonlyArray<{ readonly name: string; readonly user: Record<string, string> }>
  readonly contexts: ReadonlyArray<{ readonly name: string; readonly context: Record<string, string> }>
  readonly "current-context": string
}

/** Answers questions about a cluster netsy at the address (none: there is no cluster), and writes all other calls down. */
const kubectl = (address: string): string => `#!/bin/sh
case $2 in
get-clusters) echo NAME; [ -z "${address}" ] || echo netsy ;;
view) [ -n "${address}" ] || { echo "<nil> is not array or slice" >&2; exit 1; }; printf %s "${address}" ;;
*) echo "$2 $3 $4" >>"$0.called" ;;
esac
`

describe("kubeconfig.sh", () => {
  it("says which certificates are missing", () => {
    const bare = makeClone()
    const { err, status } = bare.run(script, ["--print"])
    bare.release()
    assert.strictEqual(status, 1)
    assert.include(err, "temp/certs/ca.crt is missing; 'make start' makes it")
  })

  it("prints a kubeconfig whose one context leads to the API server, as a member of system:masters", () => {
    const { out, status } = clone.run(script, ["--print"], { KUBE_PORT: "7443" })
    assert.strictEqual(status, 0)
    const printed = parse(out) as Printed
    assert.strictEqual(printed["current-context"], "netsy")
    assert.deepStrictEqual(printed.contexts[0], { name: "netsy", context: { cluster: "netsy", user: "netsy" } })
    const { cluster } = printed.clusters[0]!
    assert.strictEqual(cluster["server"], "https://127.0.0.1:7443")

    const certificate = (path: string) => new X509Certificate(readFileSync(path))
    const ca = certificate(cluster["certificate-authority"]!)
    const user = certificate(printed.users[0]!.user["client-certificate"]!)
    assert.isTrue(user.checkIssued(ca))
    assert.include(user.subject, "O=system:masters")
    assert.deepStrictEqual(user.keyUsage, ["1.3.6.1.5.5.7.3.2"])
    // Without a name netsy://… it opens no door of a node's.
    assert.isUndefined(user.subjectAltName)
    assert.include(readFileSync(printed.users[0]!.user["client-key"]!, "utf8"), "PRIVATE KEY")

    const server = certificate(join(clone.directory, "temp/certs/kube-apiserver.crt"))
    assert.isTrue(server.checkIssued(ca))
    assert.strictEqual(server.checkIP("127.0.0.1"), "127.0.0.1")
    assert.strictEqual(server.checkHost("kubernetes.default.svc"), "kubernetes.default.svc")
  })

  it("adds the context by kubectl, says where, and leaves the current context alone unless told otherwise", () => {
    clone.program("kubectl", kubectl(""))
    const added = clone.run(script, [], { KUBECONFIG: "/somewhere/config" })
    assert.strictEqual(added.status, 0)
    assert.include(added.out, "/somewhere/config: the context netsy is https://127.0.0.1:6443.")
    assert.deepStrictEqual(
      clone.recorded("kubectl").map((line) => line.split(" ").slice(0, 2).join(" ")),
      ["set-cluster netsy", "set-credentials netsy", "set-context netsy"]
    )
    const used = clone.run(script, ["--use"], { HOME: "/home" })
    assert.include(used.out, "/home/.kube/config: the context netsy")
    assert.strictEqual(clone.recorded("kubectl").at(-1)!.trim(), "use-context netsy")
  })

  it("does not replace a cluster of that name that is somewhere else, unless told so", () => {
    clone.program("kubectl", kubectl("https://production.example:6443"))
    const before = clone.recorded("kubectl").length
    const refused = clone.run(script, [], { KUBECONFIG: "/somewhere/config" })
    assert.strictEqual(refused.status, 1)
    assert.include(refused.err, "the cluster netsy in /somewhere/config is https://production.example:6443")
    assert.strictEqual(clone.recorded("kubectl").length, before)
    assert.strictEqual(clone.run(script, ["--replace"], { KUBECONFIG: "/somewhere/config" }).status, 0)
    assert.strictEqual(clone.recorded("kubectl").length, before + 3)
  })
})
