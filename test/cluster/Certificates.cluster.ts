/** Certificates renewed under load on the ports for clients and for nodes; and a cluster on IPv6's loopback. */
import { X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { connect } from "node:tls"
import { describe, it } from "@effect/vitest"
import { brief } from "./support/load.ts"
import type { Cluster } from "./support/cluster.ts"
import type { ClusterNode } from "./support/node.ts"
import { until } from "./support/process.ts"
import { repeatOf, scenario } from "./support/scenario.ts"

const file = "Certificates.cluster.ts"
const timeout = 300_000
const renewals = 3

const shown = ({ certificates }: Cluster, { id, place }: ClusterNode, port: number, role: string): Promise<string> => {
  const read = (name: string): Buffer => readFileSync(certificates.file(name))
  const pair =
    role === "client"
      ? { cert: read("client.crt"), key: read("client.key") }
      : { cert: read(`${id}/peer.crt`), key: read(`${id}/peer.key`) }
  return new Promise((resolve) => {
    const socket = connect(
      {
        host: place.host,
        port,
        ca: read("ca.crt"),
        ALPNProtocols: ["h2"],
        ...pair,
        checkServerIdentity: () => undefined
      },
      () => {
        resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? "none")
        socket.destroy()
      }
    )
    socket.on("error", (error) => resolve(String(error)))
  })
}

describe("a cluster's certificates", () => {
  const name = "are renewed under load on all ports, and no write fails"
  it(name, { timeout }, async () => {
    await scenario({ repeat: repeatOf(file, name) }, async ({ cluster, load, say }) => {
      await cluster.untilVoters(3)
      const begin = performance.now()
      const found: Array<string> = []
      for (let round = 1; round <= renewals; round++) {
        await cluster.certificates.renew()
        for (const node of cluster.nodes)
          for (const [role, port] of [
            ["client", node.place.ports.client],
            ["peer", node.place.ports.peer]
          ] as const) {
            const certificate = readFileSync(cluster.certificates.file(`${node.id}/server.crt`))
            const wanted = new X509Certificate(certificate).fingerprint256
            await until(
              `${node.id} shows its new certificate to a ${role}`,
              30_000,
              async () => (await shown(cluster, node, port, role)) === wanted,
              () => shown(cluster, node, port, role)
            )
          }
        say(`renewal ${round} is shown by all`)
        // Nodes find each other anew with what they have now.
        await cluster.moveLeader(cluster.nodes[round % cluster.nodes.length]!)
        await sleep(2_000)
      }
      const failed = load.writes(begin).filter(({ outcome }) => outcome !== "ok")
      found.push(...failed.slice(0, 3).map(({ outcome, reason }) => `${outcome}: ${reason}`))
      return found
    })
  })
})

describe("a cluster on [::1]", () => {
  const name = "takes writes and survives the loss of its Primary on IPv6"
  it(name, { timeout }, async () => {
    await scenario({ host: "::1", repeat: repeatOf(file, name) }, async ({ cluster, figures, load }) => {
      await cluster.untilVoters(3)
      const primary = await cluster.primary()
      const moment = performance.now()
      await primary.kill9()
      await load.untilFlowing(moment)
      figures["gaps"] = brief(load.gapsAfter(moment))
      primary.start()
      await cluster.untilHealthy()
    })
  })
})
