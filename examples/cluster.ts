/** Three nodes in one process. The one that takes the writes is cut off; the other two go on. */
import { Context, Effect, Layer, Schedule } from "effect"
import { Client, type ClientShape, Netsy, Node } from "netsy"

const network = Netsy.network()
const bucket = new Netsy.MemoryBucket()
const data = { prefix: "data/" }

/** One layer a node; it is built when the node can serve. The times are short, so that you need not wait. */
const start = (nodeId: string) =>
  Layer.build(
    Netsy.layerMemory({
      nodeId,
      network,
      bucket,
      heartbeatInterval: "200 millis",
      elector: { primaryPriorTimeout: "1 second" },
      replication: { storeLease: "1 second" },
      log: { to: "none" }
    })
  ).pipe(
    Effect.map((services) => ({ nodeId, client: Context.get(services, Client), node: Context.get(services, Node) }))
  )

/** A write that is not answered may have been done: this one may be done twice. */
const putAgain = (client: ClientShape, key: string, value: string) =>
  client
    .put(key, value)
    .pipe(Effect.timeout("2 seconds"), Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 50 }))

const program = Effect.gen(function* () {
  const nodes = yield* Effect.forEach(["a", "b", "c"], start, { concurrency: 3 })

  for (const { client, nodeId } of nodes) yield* client.put(`data/${nodeId}`, "from here")
  for (const { client, node, nodeId } of nodes) {
    console.log(`${nodeId} is ${node.role()} and sees ${yield* client.count(data)} keys`)
  }

  const primary = nodes.find(({ node }) => node.role() === "active")!
  const others = nodes.filter((one) => one !== primary)
  network.isolate(primary.nodeId)
  console.log(`${primary.nodeId} is cut off`)

  yield* putAgain(others[0]!.client, "data/after", "still here")
  for (const { client, nodeId } of others) console.log(`${nodeId} sees ${yield* client.count(data)} keys`)

  network.rejoin(primary.nodeId)
  const count = yield* primary.client
    .count(data)
    .pipe(Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 50 }))
  console.log(`${primary.nodeId} is back and sees ${count} keys`)
})

await program.pipe(Effect.scoped, Effect.runPromise)
