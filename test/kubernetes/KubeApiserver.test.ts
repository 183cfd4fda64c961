/** kube-apiserver.sh with stand-ins for podman, docker and the executable: what they would be called with. */
import { existsSync, rmSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Clone, makeClone, recorder } from "./support/clone.ts"

const script = "scripts/kubernetes/kube-apiserver.sh"
/** In place of check-ports.sh, which says of each port after the first argument whether somebody listens there. */
const portsTaken = (taken: ReadonlyArray<number>): string =>
  `#!/bin/sh\ncase " ${taken.join(" ")} " in *" $2 "*) exit 1 ;; esac\n`

let clone: Clone
let certs: string
beforeAll(() => {
  clone = makeClone()
  clone.certificates()
  certs = join(clone.directory, "temp/certs")
  // In the scripts' own folder, so that it takes the place of the real one.
  taken([2378])
})
afterAll(() => clone?.release())

const taken = (ports: ReadonlyArray<number>): void => {
  clone.program("ports", portsTaken(ports))
  rmSync(join(clone.directory, "scripts/dev/check-ports.sh"), { force: true })
  clone.program("../scripts/dev/check-ports.sh", portsTaken(ports))
}

/** `--name=value` flags of kube-apiserver among arguments. */
const flagsOf = (args: ReadonlyArray<string>): ReadonlyMap<string, string> =>
  new Map(
    args
      .slice(args.findIndex((one) => one.startsWith("--etcd-servers=")))
      .map((one) => [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)])
  )

describe("kube-apiserver.sh", () => {
  it("says everything that is missing at once, and how to get it", () => {
    const bare = makeClone()
    bare.program("../scripts/dev/check-ports.sh", portsTaken([6443]))
    const { err, out, status } = bare.run(script, [])
    bare.release()
    assert.strictEqual(status, 1)
    assert.strictEqual(out, "")
    assert.include(err, "no Netsy node listens on 127.0.0.1:2378; run 'make start' first")
    assert.include(err, "missing in temp/certs: ca.crt client.crt client.key kube-apiserver.crt")
    assert.include(err, "neither podman nor docker is here")
    assert.include(err, "port 6443 is taken")
  })

  it("names the node that does not run, and refuses a number of nodes that is none", () => {
    taken([2378, 2398])
    clone.program("podman", recorder)
    const { err, status } = clone.run(script, [], { NETSY_COUNT: "3" })
    assert.strictEqual(status, 1)
    assert.strictEqual(
      err.trim(),
      "kube-apiserver: no Netsy node listens on 127.0.0.1:2388; run 'make start NETSY_COUNT=3' first"
    )
    assert.strictEqual(clone.run(script, [], { NETSY_COUNT: "none" }).status, 2)
  })

  it("runs podman in the foreground with files that exist, read-only, and without the CA's key", () => {
    taken([2378, 2388, 2398])
    clone.program("podman", recorder)
    clone.program("docker", recorder)
    const { err, status } = clone.run(script, ["-v=2"])
    assert.strictEqual(status, 0, err)
    const args = clone.recorded("podman")
    assert.deepStrictEqual(args.slice(0, 2), ["run", "--rm"])
    // Detached, it would not end with Ctrl+C.
    assert.isFalse(args.some((one) => one === "-d" || one.startsWith("--detach")))
    assert.include(args, "--network=host")

    const mounts = args
      .filter((one) => one.startsWith("--mount="))
      .map(
        (one) =>
          new Map(
            one
              .slice(8)
              .split(",")
              .map((pair) => pair.split("=") as [string, string])
          )
      )
    assert.strictEqual(mounts.length, 6)
    for (const mount of mounts) {
      assert.isTrue(mount.has("readonly"))
      assert.isTrue(existsSync(mount.get("source")!), mount.get("source"))
      assert.notInclude(mount.get("source")!, "ca.key")
    }
    const inside = mounts.map((mount) => mount.get("target")!)
    const flags = flagsOf(args)
    const files = [...flags].filter(([, value]) => value.startsWith("/etc/netsy/"))
    assert.strictEqual(files.length, 8)
    for (const [flag, value] of files) assert.include(inside, value, flag)

    assert.strictEqual(
      flags.get("--etcd-servers"),
      "https://127.0.0.1:2378,https://127.0.0.1:2388,https://127.0.0.1:2398"
    )
    assert.strictEqual(flags.get("--etcd-certfile"), "/etc/netsy/client.crt")
    assert.strictEqual(flags.get("--storage-media-type"), "application/vnd.kubernetes.protobuf")
    assert.strictEqual(flags.get("--etcd-compaction-interval"), "5m")
    assert.strictEqual(flags.get("--authorization-mode"), "Node,RBAC")
    // It must not be reachable from other machines: the certificates are a developer's.
    assert.strictEqual(flags.get("--bind-address"), "127.0.0.1")
    assert.strictEqual(args.at(-1), "-v=2")
    const entry = args.indexOf("--entrypoint=kube-apiserver")
    assert.match(args[entry + 1]!, /\/kube-apiserver:v1\.\d+\.\d+$/)
    assert.isTrue(args[entry + 2]!.startsWith("--etcd-servers="))
  })

  it("takes another version, port, interval and runtime from variables", () => {
    taken([2378])
    clone.program("docker", recorder)
    const { status } = clone.run(script, [], {
      KUBE_RUNTIME: "docker",
      KUBE_VERSION: "v1.31.14",
      KUBE_PORT: "7443",
      KUBE_COMPACTION_INTERVAL: "1m"
    })
    assert.strictEqual(status, 0)
    const args = clone.recorded("docker")
    assert.include(args, "registry.k8s.io/kube-apiserver:v1.31.14")
    assert.strictEqual(flagsOf(args).get("--secure-port"), "7443")
    assert.strictEqual(flagsOf(args).get("--etcd-compaction-interval"), "1m")
    assert.strictEqual(flagsOf(args).get("--etcd-servers"), "https://127.0.0.1:2378")
  })

  it("runs an executable in place of the container, with the files where they are", () => {
    taken([2378])
    clone.program("kube-apiserver", recorder)
    const executable = join(clone.directory, "programs/kube-apiserver")
    assert.strictEqual(clone.run(script, [], { KUBE_APISERVER: executable }).status, 0)
    const args = clone.recorded("kube-apiserver")
    assert.isTrue(args[0]!.startsWith("--etcd-servers="))
    const files = args.map((one) => one.slice(one.indexOf("=") + 1)).filter((value) => value.startsWith("/"))
    assert.strictEqual(files.length, 8)
    for (const file of files) assert.isTrue(file.startsWith(certs) && existsSync(file), file)

    const missing = clone.run(script, [], { KUBE_APISERVER: "/nowhere/kube-apiserver" })
    assert.strictEqual(missing.status, 1)
    assert.include(missing.err, "KUBE_APISERVER=/nowhere/kube-apiserver cannot be executed")
  })

  it("prints with --dry-run what it would run, in a form for the shell, and needs nothing for that", () => {
    const bare = makeClone()
    const { err, out, status } = bare.run(script, ["--dry-run", "--feature-gates=A b'c"], { NETSY_COUNT: "2" })
    bare.release()
    assert.strictEqual(status, 0)
    assert.strictEqual(err, "")
    clone.program("podman", recorder)
    clone.program("printed", `#!/bin/sh\n${out}`)
    assert.strictEqual(clone.run("programs/printed", []).status, 0)
    const args = clone.recorded("podman")
    assert.strictEqual(args.at(-1), "--feature-gates=A b'c")
    assert.strictEqual(flagsOf(args).get("--etcd-servers"), "https://127.0.0.1:2378,https://127.0.0.1:2388")
  })
})
