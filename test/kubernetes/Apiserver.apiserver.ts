/** A real kube-apiserver on three nodes (make test-apiserver): kept objects, watches, conflicts, leases, compaction, a kill. */
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Cluster } from "../cluster/support/cluster.ts"
import { until } from "../cluster/support/process.ts"
import { freePorts } from "../support/daemon.ts"
import { Apiserver } from "./support/apiserver.ts"

const executable = process.env["KUBE_APISERVER"] ?? ""
const eventSeconds = 2
const writes = 200

let cluster: Cluster
let api: Apiserver
let port: number

const begin = async (): Promise<Apiserver> => {
  const begun = new Apiserver({
    executable,
    certs: cluster.certificates.file("."),
    endpoints: cluster.nodes.map(({ place }) => `https://127.0.0.1:${place.ports.client}`),
    port,
    env: { KUBE_COMPACTION_INTERVAL: "3s" },
    flags: [`--event-ttl=${eventSeconds}s`, "--lease-reuse-duration-seconds=1"]
  })
  await begun.ready()
  return begun
}

beforeAll(async () => {
  assert.notStrictEqual(executable, "", "KUBE_APISERVER is missing: make test-apiserver sets it")
  ;[port] = (await freePorts(1)) as [number]
  cluster = new Cluster()
  await cluster.start()
  await cluster.untilVoters(3)
  api = await begin()
}, 300_000)
afterAll(async () => {
  await api?.release()
  await cluster?.release(false)
}, 60_000)

const maps = "/api/v1/namespaces/default/configmaps"
const configMap = (name: string, value: string, resourceVersion?: string) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
  data: { value }
})
const create = async (path: string, body: object) => {
  const { body: kept, status, text } = await api.ask("POST", path, body)
  assert.strictEqual(status, 201, text)
  return kept
}

describe("a real kube-apiserver", () => {
  it("keeps what it is given, refuses what is out of date, and tells watches of every change", async () => {
    await until("the namespace default", 30_000, async () => {
      const { status } = await api.ask("GET", "/api/v1/namespaces/default")
      return status === 200
    })
    const start = (await api.ask("GET", maps)).body.metadata.resourceVersion
    const watching = await api.watch(`${maps}?watch=true&resourceVersion=${start}`)

    const created = await create(maps, configMap("a", "1"))
    const again = await api.ask("POST", maps, configMap("a", "1"))
    assert.strictEqual(again.status, 409)
    const { resourceVersion } = created.metadata
    const changed = await api.ask("PUT", `${maps}/a`, configMap("a", "2", resourceVersion))
    assert.strictEqual(changed.status, 200)
    const late = await api.ask("PUT", `${maps}/a`, configMap("a", "3", resourceVersion))
    assert.strictEqual(late.status, 409, late.text)
    assert.strictEqual((await api.ask("GET", `${maps}/a`)).body.data?.["value"], "2")
    assert.strictEqual((await api.ask("DELETE", `${maps}/a`)).status, 200)
    assert.strictEqual((await api.ask("GET", `${maps}/a`)).status, 404)

    const ofA = () => watching.changes.filter(({ object }) => object.metadata.name === "a")
    await until("three changes", 10_000, () => ofA().length >= 3)
    assert.deepStrictEqual(
      ofA().map(({ object, type }) => [type, object.data?.["value"]]),
      [
        ["ADDED", "1"],
        ["MODIFIED", "2"],
        ["DELETED", "2"]
      ]
    )
    watching.close()
  })

  it("takes a new kind of objects, and lists in pages", async () => {
    await create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "boats.example.com" },
      spec: {
        group: "example.com",
        names: { plural: "boats", singular: "boat", kind: "Boat" },
        scope: "Namespaced",
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } }
          }
        ]
      }
    })
    const boats = "/apis/example.com/v1/namespaces/default/boats"
    await until("the new kind is served", 30_000, async () => (await api.ask("GET", boats)).status === 200)
    for (let i = 0; i < 25; i++)
      await create(boats, { apiVersion: "example.com/v1", kind: "Boat", metadata: { name: `boat-${i}` } })
    const names = new Set<string>()
    let next = ""
    let pages = 0
    do {
      const { body, status, text } = await api.ask("GET", `${boats}?limit=10&continue=${encodeURIComponent(next)}`)
      assert.strictEqual(status, 200, text)
      for (const { metadata } of body.items ?? []) names.add(metadata.name)
      next = body.metadata.continue ?? ""
      pages++
    } while (next !== "")
    assert.strictEqual(names.size, 25)
    assert.strictEqual(pages, 3)
  })

  it("sees its events end with their lease", async () => {
    const events = "/api/v1/namespaces/default/events"
    await create(events, {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: "short" },
      involvedObject: { kind: "ConfigMap", namespace: "default", name: "a" },
      reason: "Test",
      type: "Normal"
    })
    assert.strictEqual((await api.ask("GET", `${events}/short`)).status, 200)
    await until("the event is gone", 30_000, async () => (await api.ask("GET", `${events}/short`)).status === 404)
  })

  it("compacts: an old resource version is Gone, and the present is complete", async () => {
    const kept = await create(maps, configMap("old", "1"))
    const old = kept.metadata.resourceVersion
    const exact = `${maps}?resourceVersion=${old}&resourceVersionMatch=Exact&limit=1`
    assert.strictEqual((await api.ask("GET", exact)).status, 200)
    await until("the compaction", 60_000, async () => {
      // Something has to happen between two compactions.
      await api.ask("PUT", `${maps}/old`, configMap("old", String(Date.now())))
      await sleep(500)
      return (await api.ask("GET", exact)).status === 410
    })
    assert.strictEqual((await api.ask("GET", `${maps}/old`)).status, 200)
  })

  it(`loses none of ${writes} objects when the Primary is killed, and watches hear of each once, in order`, async () => {
    const start = (await api.ask("GET", maps)).body.metadata.resourceVersion
    const watching = await api.watch(`${maps}?watch=true&resourceVersion=${start}`)
    const acknowledged: Array<string> = []
    let longestMillis = 0
    for (let i = 0; i < writes; i++) {
      if (i === writes / 4) await (await cluster.primary()).kill9()
      const name = `kill-${i}`
      const began = performance.now()
      await until(`${name} is kept`, 60_000, async () => {
        const { status } = await api.ask("POST", maps, configMap(name, "x"))
        // A write whose answer was lost has happened.
        return status === 201 || status === 409
      })
      longestMillis = Math.max(longestMillis, performance.now() - began)
      acknowledged.push(name)
    }
    process.stdout.write(`  the longest write around the kill took ${Math.round(longestMillis)} ms\n`)
    const listed = (await api.ask("GET", maps)).body.items!.map(({ metadata }) => metadata.name)
    for (const name of acknowledged) assert.include(listed, name)
    const added = () =>
      watching.changes.filter(({ object, type }) => type === "ADDED" && object.metadata.name.startsWith("kill-"))
    await until(
      "every object was told",
      30_000,
      () => added().length >= writes,
      () => `${added().length}`
    )
    assert.deepStrictEqual(
      added().map(({ object }) => object.metadata.name),
      acknowledged
    )
    const versions = watching.changes.map(({ object }) => Number(object.metadata.resourceVersion))
    assert.deepStrictEqual(
      versions,
      versions.toSorted((a, b) => a - b)
    )
    watching.close()
    for (const node of cluster.nodes) if (!node.process.running) node.start()
    await cluster.untilHealthy()
  })

  it("ends with Ctrl+C, and another one finds everything", async () => {
    const before = (await api.ask("GET", maps)).body.items!.length
    assert.strictEqual(await api.stop(), 0, api.said.slice(-2_000))
    api = await begin()
    assert.strictEqual((await api.ask("GET", maps)).body.items!.length, before)
  })
})
