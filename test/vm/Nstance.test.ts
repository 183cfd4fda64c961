/** What deploy/ holds for machines: rendered as Nstance does it, and read by the node. `make test-vm` boots it. */
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { parse } from "jsonc-parser"
import { deploy, type Instance, Nstance, readFragments, render } from "./support/nstance.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const netsy = join(import.meta.dirname, "../../bin/netsy")
const text = (name: string): string => readFileSync(join(deploy, name), "utf8")

const instance: Instance = {
  ID: "etc-01jx3k9m2q7v8w5r4t6y1z0b",
  Hostname: "ip-10-0-0-11",
  IP4: "10.0.0.11",
  IP6: "fd00::b"
}

const linesOf = (environment: string): ReadonlyArray<string> =>
  environment.split("\n").filter((line) => line !== "" && !line.startsWith("#"))

/** What `netsy --validate` says with nothing but these variables. */
const validate = (config: string, environment: string) =>
  Effect.promise(async () => {
    const env = Object.fromEntries(
      linesOf(environment).map((line) => [line.split("=", 1)[0]!, line.replace(/^[^=]*=/, "")])
    )
    const { stderr, stdout } = await promisify(execFile)(netsy, ["--validate", config], {
      env: { PATH: process.env["PATH"], ...env }
    })
    return stdout + stderr
  })

const environmentOf = (name: string, address: string): ReadonlyArray<string> => [
  "NETSY_CONFIG=/etc/netsy/config.jsonc",
  `NETSY_NODE_ID=${name}`,
  "NETSY_BIND_CLIENT=:2378",
  `NETSY_ADVERTISE_CLIENT=${address}:2378`,
  "NETSY_BIND_PEER=:2381",
  `NETSY_ADVERTISE_PEER=${address}:2381`,
  "NETSY_BIND_ELECTION=:8443",
  `NETSY_ADVERTISE_ELECTION=${address}:8443`,
  "NETSY_BIND_HEALTH=:8080",
  "NETSY_TLS_CA_CERT=/etc/netsy/certs/ca.crt",
  "NETSY_TLS_SERVER_CERT=/etc/netsy/certs/server.crt",
  "NETSY_TLS_SERVER_KEY=/etc/netsy/certs/server.key",
  "NETSY_TLS_CLIENT_CERT=/etc/netsy/certs/peer.crt",
  "NETSY_TLS_CLIENT_KEY=/etc/netsy/certs/peer.key",
  "NETSY_DATA_DIR=/var/lib/netsy"
]

/** As the guide for Netsy 1.x has it. */
const clusterFile = {
  cluster_id: "my-cluster",
  storage: {
    provider: "s3",
    bucket_name: "my-netsy-bucket",
    key_prefix: "netsy/",
    class: "STANDARD",
    encryption: "provider-managed"
  },
  heartbeat_interval: "1s",
  elector: { degradation_count: 2, deregistration_timeout: "3m", primary_prior_timeout: "5s" },
  replication: {
    quorum: -1,
    degradation_count: 2,
    chunk_buffer: { threshold_size_mb: 4, threshold_age_minutes: 1 }
  },
  snapshot: { threshold_records: 10_000, threshold_size_mb: 10_000 },
  compaction_interval: "5m"
}

describe("deploy/nstance", () => {
  it.live("delivers certificates, the environment and the cluster file that a node takes", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const nstance = yield* Effect.promise(() => Nstance.open(join(folder, "server")))
      yield* Effect.promise(() => nstance.register("netsy", instance, folder))
      const environment = readFileSync(join(folder, "recv/netsy.env"), "utf8")
      assert.deepStrictEqual(linesOf(environment), environmentOf(instance.ID, instance.IP4))
      const config = join(folder, "recv/config.jsonc")
      const abandoning = { ...clusterFile, elector: { ...clusterFile.elector, abandon_after: "10m" } }
      assert.deepStrictEqual(JSON.parse(readFileSync(config, "utf8")), abandoning)
      assert.strictEqual(yield* validate(config, environment), "Config is valid.\n")
      const uri = `URI:netsy://my-cluster/peer/${instance.ID}`
      for (const [name, alternatives, usage] of [
        [
          "server",
          `${uri}, DNS:localhost, DNS:ip-10-0-0-11, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:10.0.0.11`,
          "TLS Web Server Authentication"
        ],
        ["peer", uri, "TLS Web Client Authentication"]
      ] as const) {
        const asked = [
          "x509",
          "-in",
          join(folder, `recv/${name}.crt`),
          "-noout",
          "-ext",
          "subjectAltName,extendedKeyUsage"
        ]
        const { stdout } = yield* Effect.promise(() => promisify(execFile)("openssl", asked))
        assert.include(stdout, `    ${alternatives}\n`)
        assert.include(stdout, `    ${usage}\n`)
      }
    })
  )

  it("is a template of three nodes, and asks for nothing that an instance does not have", () => {
    const { groups, templates } = readFragments()
    assert.deepStrictEqual(groups, { netsy: { template: "etc", size: 3, subnet_pool: "netsy" } })
    assert.sameMembers(Object.keys(templates["etc"]!.files), ["server.crt", "peer.crt", "netsy.env", "config.jsonc"])
    assert.throws(() => render("{{ .Instance.Region }}", { Instance: instance }), ".Instance.Region")
    assert.throws(() => render("{{ range .Instance }}", { Instance: instance }), "not a field")
  })

  it("installs the very unit of deploy/systemd, which says all that the guide's says", () => {
    const unit = text("systemd/netsy.service")
    const script = text("nstance/userdata/netsy.sh")
    assert.strictEqual(/cat > \/etc\/systemd\/system\/netsy\.service <<'EOF'\n([^]*?)^EOF$/m.exec(script)?.[1], unit)
    const guide = `[Unit]
Description=Netsy
Wants=network-online.target
After=network-online.target nstance-agent.service
[Service]
Type=exec
Restart=always
User=netsy
Group=netsy
EnvironmentFile=/etc/netsy/env
ExecStart=/usr/bin/netsy
[Install]
WantedBy=multi-user.target`
    const lines = unit.split("\n")
    for (const line of guide.split("\n")) assert.include(lines, line)
    // A stop takes 15 s at the most (src/layers/replicator/leaving.ts).
    assert.isAtLeast(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]), 30)
  })
})

describe("deploy/systemd", () => {
  it.live("has an environment and a cluster file for machines that no Nstance sets up", () =>
    Effect.gen(function* () {
      const environment = text("systemd/netsy.env")
      assert.deepStrictEqual(linesOf(environment), environmentOf("node-1", "10.0.0.11"))
      assert.deepStrictEqual(parse(text("systemd/config.jsonc")), clusterFile)
      assert.strictEqual(yield* validate(join(deploy, "systemd/config.jsonc"), environment), "Config is valid.\n")
    })
  )
})
