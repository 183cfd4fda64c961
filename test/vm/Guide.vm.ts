/**
 * The guide played through (docs/vm.md): Nstance fills the group with three machines on systemd, which run nothing but the
 * userdata script on what was delivered, and form a cluster on a bucket that grants what deploy/iam says. Then all of
 * them are terminated, and three with new names take over.
 */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { StatusJson } from "../../src/core/status/document.ts"
import { until } from "../cluster/support/process.ts"
import { Cloud, type Form } from "./support/cloud.ts"
import type { Machine } from "./support/machine.ts"

const forms = (process.env["NETSY_VM_FORMS"] ?? "clone,release").split(",") as ReadonlyArray<Form>
const keys = 40
const bootMillis = 180_000

/** The guide's minutes in seconds. */
const shortened = { elector: { deregistration_timeout: "6s", abandon_after: "8s" } }

const mainPid = async (machine: Machine): Promise<string> =>
  (await machine.run("systemctl", "show", "-P", "MainPID", "netsy")).output.trim()

const status = async (machine: Machine): Promise<StatusJson> => {
  const { code, output } = await machine.run("netsy", "status", "--json")
  assert.strictEqual(code, 0, output)
  return JSON.parse(output) as StatusJson
}

/** What the userdata script has made of a machine: the node as a user of its own, in a tight unit, started at boot. */
const checkMachine = async (cloud: Cloud, machine: Machine): Promise<void> => {
  const { output } = await machine.run("systemctl", "is-active", "userdata", "netsy-files.path", "netsy")
  assert.deepStrictEqual(output.trim().split("\n"), ["active", "active", "active"], await cloud.said())
  assert.strictEqual((await machine.run("systemctl", "is-enabled", "netsy")).output.trim(), "enabled")
  assert.strictEqual((await machine.run("sh", "-c", "command -v node")).code, 127, "Node is on the machine")
  const files = ["env", "config.jsonc", "certs/ca.crt", "certs/server.key", "certs/peer.key"]
  const { output: owners } = await machine.run("stat", "-c", "%U:%G %a", ...files.map((name) => `/etc/netsy/${name}`))
  const expected = ["640", "640", "640", "600", "600"].map((mode) => `netsy:netsy ${mode}`)
  assert.deepStrictEqual(owners.trim().split("\n"), expected)
  const { output: process_ } = await machine.run("cat", `/proc/${await mainPid(machine)}/status`)
  assert.match(process_, /^Seccomp:\t2$/m)
  assert.match(process_, /^NoNewPrivs:\t1$/m)
  assert.match(process_, /^CapBnd:\t0{16}$/m)
  assert.notMatch(process_, /^Uid:\t0\t/m)
  const { code, output: complaints } = await machine.run(
    "systemd-analyze",
    "verify",
    "netsy.service",
    "netsy-files.path"
  )
  assert.deepStrictEqual({ code, complaints }, { code: 0, complaints: "" })
}

/** The commands that the page shows for a machine without Nstance. */
const commandsByHand = (): string => {
  const page = readFileSync(new URL("../../docs/vm.md", import.meta.url), "utf8")
  return /^```sh plain-machine\n([^]*?)^```$/m.exec(page)![1]!
}

const byHand = async (cloud: Cloud): Promise<void> => {
  await cloud.open({})
  const machines = await cloud.byHand(3, commandsByHand())
  const isReady = async (): Promise<boolean> =>
    (await Promise.all(machines.map((machine) => cloud.ready(machine)))).every((one) => one.status === 200)
  await until("three machines ready", bootMillis, isReady, () => cloud.said())
  await cloud.etcdctl("put", "key", "value")
  assert.include(await cloud.etcdctl("get", "key"), "value")
  const members = await cloud.etcdctl("member", "list")
  for (const { name } of machines) assert.include(members, `, ${name}, `)
  for (const machine of machines) assert.strictEqual((await machine.run("systemctl", "is-enabled", "netsy")).code, 0)
  const { output } = await machines[0]!.run("systemd-analyze", "security", "netsy")
  assert.isAtMost(Number(/exposure level for netsy\.service: ([\d.]+)/.exec(output)?.[1]), 1.5)
}

const guide = async (cloud: Cloud, say: (text: string) => void): Promise<void> => {
  await cloud.open(shortened)
  const said = () => cloud.said()
  const isReady = async (): Promise<boolean> =>
    (await Promise.all(cloud.machines.map((machine) => cloud.ready(machine)))).every((one) => one.status === 200)
  const voters = (among: ReadonlyArray<Machine>): number =>
    cloud.arbiter()?.voters.filter(({ nodeId }) => among.some(({ name }) => name === nodeId)).length ?? 0
  const allReady = (what: string) => until(what, bootMillis, isReady, said)

  const first = await cloud.fill()
  await allReady("three machines ready")
  for (const machine of first) await checkMachine(cloud, machine)
  const members = await cloud.etcdctl("member", "list")
  for (const machine of first) assert.include(members, machine.name)
  say("three machines are ready and members of one cluster")

  await until("three voters in mode quorum", bootMillis, () => voters(first) === 3, said)
  for (let i = 0; i < keys; i++) await cloud.etcdctl("put", `key-${i}`, `value-${i}`)
  say(`mode quorum, ${keys} keys written`)

  const one = first[0]!
  const pid = await mainPid(one)
  await cloud.renew(one)
  const inUse = async (): Promise<boolean> => (await one.log("netsy")).includes("certificates_reloaded")
  await until("renewed certificates in use", bootMillis, inUse, said)
  const script = "set -a; . /var/lib/cloud/environment; exec /var/lib/cloud/script"
  assert.deepStrictEqual(await one.run("sh", "-c", script), { code: 0, output: "" })
  const wrong = await one.run("sh", "-c", script.replace("exec", "NETSY_DOWNLOAD_SHA512=$(printf %0128d 1) exec"))
  assert.strictEqual(wrong.code, 1)
  assert.match(wrong.output, /has the SHA-512 sum [0-9a-f]{128}, not 0{127}1\n$/)
  assert.strictEqual(
    (await one.run("ls", "-A", "/usr/bin/netsy", "/usr/bin/.netsy.new")).output.match(/^\//gm)?.length,
    1
  )
  assert.strictEqual(await mainPid(one), pid)
  say("renewed certificates are in use and the script ran a second time, without a restart")

  await one.run("kill", "-9", pid)
  const isNew = async (): Promise<boolean> => !["", "0", pid].includes(await mainPid(one))
  await until("another process after kill -9", bootMillis, isNew, said)
  await allReady("the killed node ready again")
  // An upgrade: the program changes under the running node, which notices nothing until its restart.
  const inode = async (): Promise<string> => (await one.run("stat", "-c", "%i", "/usr/bin/netsy")).output
  const [before, running] = [await inode(), await mainPid(one)]
  const upgrade = await one.run("sh", "-c", script.replace("exec", "NETSY_DOWNLOAD_SHA512= exec"))
  assert.deepStrictEqual(upgrade, { code: 0, output: "" })
  assert.notStrictEqual(await inode(), before)
  assert.strictEqual(await mainPid(one), running)
  assert.strictEqual((await one.run("systemctl", "restart", "netsy")).code, 0)
  assert.notInclude(await one.log("netsy"), "timed out")
  await allReady("the restarted node ready again")
  say("killed, upgraded and restarted, it is back")

  // In mode quorum the bucket gets everything after a minute, as the guide sets it.
  const isStored = async (): Promise<boolean> => {
    const { nodes } = await status(one)
    const last = Math.max(...nodes.map(({ last_index = Infinity }) => last_index))
    return nodes.some(({ primary, stored_index = 0 }) => primary === "active" && stored_index >= last)
  }
  await until("everything in the bucket", bootMillis, isStored, said)
  const { term } = cloud.arbiter()!
  await cloud.terminate(first)
  say("terminated all of them")

  const second = await cloud.fill("/srv/agent")
  await allReady("three machines with new names ready")
  const found = await cloud.etcdctl("get", "key-", "--prefix", "--print-value-only")
  const expected = Array.from({ length: keys }, (_, i) => `value-${i}`)
  assert.deepStrictEqual(
    found
      .split("\n")
      .filter((line) => line !== "")
      .toSorted(),
    expected.toSorted()
  )
  assert.isAbove(cloud.arbiter()!.term, term)
  say("three machines with new names have everything")
  await cloud.etcdctl("put", "after", "1")
  await until("three new voters", bootMillis, () => voters(second) === 3, said)
  const names = (await status(second[0]!)).nodes.map(({ node_id }) => node_id)
  assert.sameMembers(
    names,
    second.map(({ name }) => name),
    "the old names are still members"
  )

  assert.deepStrictEqual(cloud.topFolders(), ["netsy"])
  assert.notInclude(cloud.complaints(), " 403 ")
}

const withCloud = (form: Form, body: (cloud: Cloud, say: (text: string) => void) => Promise<void>) =>
  Effect.promise(async () => {
    const cloud = new Cloud(form)
    const began = performance.now()
    const seconds = (): string => ((performance.now() - began) / 1000).toFixed(1).padStart(6)
    try {
      await body(cloud, (text) => void process.stdout.write(`  ${seconds()} s  ${text}\n`))
    } finally {
      await cloud.close()
    }
  })

describe("machines", () => {
  for (const form of forms) {
    it.live(
      `of Nstance form a cluster, and three with new names have everything after all were terminated (${form})`,
      () => withCloud(form, guide),
      1_200_000
    )

    it.live(`set up by hand as the page shows it form a cluster (${form})`, () => withCloud(form, byHand), 600_000)
  }
})
