/** The Helm chart, rendered for many values: valid objects whose parts fit together, or a refusal that says why. */
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { ICertificate } from "@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate"
import type { IServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor"
import type { IStatefulSet } from "kubernetes-models/apps/v1/StatefulSet"
import type { IPodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget"
import type { IConfigMap } from "kubernetes-models/v1/ConfigMap"
import type { IServiceAccount } from "kubernetes-models/v1/ServiceAccount"
import { parse } from "yaml"
import { chartFolder, ChartRenderer, defaultValues, only, schemaComplaints, type Values } from "./chart.ts"
import { laidOver, matrix, misleadingConfig, randomKeys, randomValues, releases } from "./combinations.ts"
import { modelComplaints, typeComplaints } from "./models.ts"
import { containerOf } from "./pod.ts"
import { brokenRules } from "./rules.ts"

const root = new URL("../../", import.meta.url).pathname
const seed = Number(process.env["NETSY_SEED"] ?? 1)
const randomCount = 80
const misleadingCount = 50

let chart: ChartRenderer
beforeAll(async () => {
  chart = await ChartRenderer.start()
}, 300_000)
afterAll(() => chart?.close())

const setOf = async (values: Values): Promise<IStatefulSet> =>
  only<IStatefulSet>(await chart.render(values), "StatefulSet")
const configFor = (clusterId: string): string => JSON.stringify({ cluster_id: clusterId })

/** A clusterID other than the default needs a config of its own only where that names one. */
const holds = async (values: Values, release: (typeof releases)[number]): Promise<void> => {
  const what = `${JSON.stringify(release)} ${JSON.stringify(values)}`
  const rendered = await chart.render(values, release)
  assert.deepStrictEqual(schemaComplaints(rendered.values), [], what)
  assert.deepStrictEqual(modelComplaints(rendered.objects), [], what)
  assert.deepStrictEqual(brokenRules(rendered, release), [], what)
}

describe("the chart's values", () => {
  it("have the names and defaults that were promised", () => {
    const promised: ReadonlyArray<readonly [string, unknown]> = [
      ["replicas", 3],
      ["clusterID", "netsy"],
      ["image.repository", "ghcr.io/netsy-dev/netsy"],
      ["image.tag", ""],
      ["image.pullPolicy", "IfNotPresent"],
      ["tls.caDuration", "87600h"],
      ["tls.duration", "2160h"],
      ["tls.renewBefore", "720h"],
      ["persistence.enabled", false],
      ["persistence.size", "1Gi"],
      ["persistence.storageClass", ""],
      ["resources", {}],
      ["serviceAccount.create", true],
      ["serviceAccount.name", ""],
      ["serviceAccount.annotations", {}],
      ["extraEnv", []],
      ["podAnnotations", {}],
      ["podLabels", {}],
      ["nodeSelector", {}],
      ["tolerations", []],
      ["affinity", {}]
    ]
    const at = (path: string): unknown =>
      path.split(".").reduce<unknown>((value, key) => (value as Values | undefined)?.[key], defaultValues)
    for (const [path, value] of promised) assert.deepStrictEqual(at(path), value, path)
    assert.isString(at("config"))
  })

  it("all stand in the schema, and the schema has no other", () => {
    const schema = JSON.parse(readFileSync(join(chartFolder, "values.schema.json"), "utf8")) as {
      readonly properties: Record<string, { readonly properties?: Record<string, unknown> }>
      readonly additionalProperties: boolean
    }
    assert.isFalse(schema.additionalProperties)
    assert.deepStrictEqual(Object.keys(schema.properties).sort(), ["global", ...Object.keys(defaultValues)].sort())
    for (const [key, { properties }] of Object.entries(schema.properties)) {
      if (properties === undefined || key.endsWith("Probe") || key === "global") continue
      assert.deepStrictEqual(Object.keys(properties).sort(), Object.keys(defaultValues[key] as Values).sort(), key)
    }
  })

  it("that are wrong are refused by the schema", () => {
    const wrong: ReadonlyArray<Values> = [
      { replica: 3 },
      { replicas: "3" },
      { replicas: -1 },
      { clusterID: "My-Cluster" },
      { clusterID: "a--b" },
      { clusterID: "x".repeat(33) },
      { clusterID: "" },
      { image: { tag: "a b" } },
      { image: { pullPolicy: "Sometimes" } },
      { tls: { duration: "90d" } },
      { persistence: { size: "big" } },
      { persistence: { enable: true } },
      { extraEnv: { NAME: "value" } },
      { extraEnv: [{ value: "without a name" }] },
      { podAnnotations: { a: 1 } },
      { clients: ["kube-apiserver"] },
      { terminationGracePeriodSeconds: 10 },
      { config: { cluster_id: "netsy" } },
      { serviceMonitor: { enabled: "yes" } }
    ]
    for (const values of wrong)
      assert.isNotEmpty(schemaComplaints(laidOver(defaultValues, values)), JSON.stringify(values))
    assert.deepStrictEqual(schemaComplaints(laidOver(defaultValues, { global: { x: 1 } })), [])
  })

  it("are the rows of the documentation's table, with their defaults", () => {
    const shown = (value: unknown): string =>
      value === "" ? "none" : `\`${typeof value === "string" ? value : JSON.stringify(value)}\``
    const isGroup = (value: unknown): value is Values =>
      typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
    const long = /^(config|topologySpreadConstraints|podSecurityContext|securityContext|\w+Probe)$/
    const rows = Object.entries(defaultValues).flatMap(([key, value]) => {
      if (long.test(key)) return [[`\`${key}\``, "see values.yaml"]]
      const flat = (path: string, one: unknown): ReadonlyArray<ReadonlyArray<string>> =>
        isGroup(one)
          ? Object.entries(one).flatMap(([name, inner]) => flat(`${path}.${name}`, inner))
          : [[`\`${path}\``, shown(one)]]
      return flat(key, value)
    })
    const page = readFileSync(join(root, "docs/kubernetes.md"), "utf8")
    const [, section = ""] = /\n## Values\n([^]*?)\n## /.exec(page) ?? []
    const table = section
      .split("\n")
      .filter((line) => line.startsWith("| `"))
      .map((line) =>
        line
          .split("|")
          .slice(1, 3)
          .map((cell) => cell.trim())
      )
    assert.deepStrictEqual(table, rows)
  })

  it("in the documentation's YAML are taken by the chart", async () => {
    const page = readFileSync(join(root, "docs/kubernetes.md"), "utf8")
    const blocks = [...page.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text]) => parse(text!) as Values)
    assert.isAbove(blocks.length, 6)
    for (const values of blocks) await holds(values, releases[0]!)
  })

  it("name the version of this program", () => {
    const about = parse(readFileSync(join(chartFolder, "Chart.yaml"), "utf8")) as Record<string, string>
    const own = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly version: string }
    assert.deepStrictEqual([about["name"], about["appVersion"]], ["netsy", own.version])
  })

  it("include a cluster file that the daemon accepts", { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "netsy-helm-config-"))
    const file = join(folder, "config.jsonc")
    const text = only<IConfigMap>(await chart.render({ clusterID: "my-cluster" }), "ConfigMap").data!["config.jsonc"]!
    writeFileSync(file, text)
    try {
      const env = { PATH: process.env["PATH"], NETSY_NODE_ID: "netsy-0" }
      const { stderr, stdout } = await promisify(execFile)(join(root, "bin/netsy"), ["--validate", file], { env })
      assert.deepStrictEqual([stdout, stderr], ["Config is valid.\n", ""])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe("the rendered chart", () => {
  it("is valid and fits together for every combination of its switches", { timeout: 60_000 }, async () => {
    assert.lengthOf(matrix, 128)
    for (const [i, values] of matrix.entries()) await holds(values, releases[i % releases.length]!)
  })

  it(`is so for random values (make test ARGS=test/helm NETSY_SEED=${seed})`, { timeout: 60_000 }, async () => {
    const used = new Set<string>()
    for (let i = 0; i < randomCount; i++) {
      const values = randomValues(seed * 1000 + i)
      for (const key of Object.keys(values)) used.add(key)
      await holds(values, releases[i % releases.length]!)
    }
    assert.deepStrictEqual(
      randomKeys.filter((key) => !used.has(key)),
      [],
      "every key took part"
    )
    assert.deepStrictEqual(
      Object.keys(defaultValues).filter((key) => key !== "config" && !used.has(key)),
      [],
      "every value of the chart has random ones"
    )
  })

  it("has no field that the APIs do not know", { timeout: 120_000 }, async () => {
    const full = matrix.at(-1)!
    const objects = [full, {}, ...[1, 2, 3, 4, 5, 6].map((i) => randomValues(seed * 7919 + i))]
    const rendered = await Promise.all(objects.map((values) => chart.render(values)))
    assert.strictEqual(await typeComplaints(rendered.flatMap((one) => one.objects)), "")
    const service = only(rendered[0]!, "Service")
    const broken = { ...service, spec: { ...(service["spec"] as object), clusterIp: "None" } }
    assert.include(await typeComplaints([broken]), "'\"clusterIp\"' does not exist")
  })

  it("tells where the endpoints are and how to look at the nodes", async () => {
    const { notes } = await chart.render({}, { namespace: "storage" })
    for (const i of [0, 1, 2]) assert.include(notes, `https://netsy-${i}.netsy.storage.svc.cluster.local:2378`)
    assert.include(notes, "exec netsy-0 -- /usr/bin/netsy status")
    assert.include((await chart.render({ clients: [{ name: "me" }] })).notes, "netsy-client-me")
  })

  it("changes the pods when the cluster file changes, and only then", async () => {
    const sum = async (values: Values): Promise<string> =>
      (await setOf(values)).spec!.template.metadata!.annotations!["checksum/config"]!
    const before = await sum({})
    assert.strictEqual(await sum({ podLabels: { a: "b" }, podAnnotations: { "checksum/config": "mine" } }), before)
    assert.notStrictEqual(await sum({ clusterID: "other" }), before)
    assert.notStrictEqual(await sum({ config: configFor("netsy") }), before)
  })

  it("is as strict as a namespace of the level restricted demands", async () => {
    const set = await setOf({})
    const pod = set.spec!.template.spec!.securityContext!
    assert.isTrue(pod.runAsNonRoot)
    assert.strictEqual(pod.seccompProfile!.type, "RuntimeDefault")
    assert.deepStrictEqual(containerOf(set).securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] }
    })
    const writable = containerOf(set).volumeMounts!.filter(({ readOnly }) => readOnly !== true)
    assert.deepStrictEqual(
      writable.map(({ mountPath }) => mountPath),
      ["/var/lib/netsy", "/tmp"]
    )
  })

  it("gives a stop more time than its limits add up to", async () => {
    const limits: ReadonlyArray<readonly [string, string]> = [
      ["src/layers/replicator/leaving.ts", "drainTimeoutMillis"],
      ["src/layers/ReignBucket.ts", "resignTimeoutMillis"],
      ["src/layers/ReplicatorCluster.ts", "leaveMillis"],
      ["src/layers/ReplicatorCluster.ts", "successorMillis"],
      ["src/layers/SnapshotterBucket.ts", "atStopMillis"],
      ["src/layers/ElectorBucket.ts", "successorMillis"],
      ["src/layers/HeartbeatCluster.ts", "leaveTimeoutMillis"],
      ["src/layers/PeerNetworkGrpc.ts", "stopMillis"],
      ["src/layers/ProbePortsHttp.ts", "stopMillis"]
    ]
    const millis = limits.map(([file, name]) => {
      const found = new RegExp(`const ${name} = ([0-9_]+)`).exec(readFileSync(join(root, file), "utf8"))
      return Number(found?.[1]?.replaceAll("_", "") ?? assert.fail(`${file} has no ${name}`))
    })
    const sum = millis.reduce((a, b) => a + b, 0)
    const clientPort = 5_000
    const { terminationGracePeriodSeconds } = (await setOf({})).spec!.template.spec!
    assert.isAbove(terminationGracePeriodSeconds! * 1000, sum + clientPort)
  })
})

describe("values of the documentation", () => {
  it("persistence makes claims instead of an emptyDir", async () => {
    const set = await setOf({ persistence: { enabled: true, size: "1Gi", storageClass: "gp3" } })
    const [claim] = set.spec!.volumeClaimTemplates!
    assert.strictEqual(claim!.spec!.storageClassName, "gp3")
    assert.strictEqual(claim!.spec!.resources!.requests!["storage"], "1Gi")
    assert.isUndefined(set.spec!.template.spec!.volumes!.find(({ name }) => name === "data"))
    const bare = await setOf({ persistence: { enabled: true } })
    assert.notProperty(bare.spec!.volumeClaimTemplates![0]!.spec, "storageClassName")
    const classless = await setOf({ persistence: { enabled: true, storageClass: "-" } })
    assert.strictEqual(classless.spec!.volumeClaimTemplates![0]!.spec!.storageClassName, "")
    const emptied = await setOf({})
    assert.deepStrictEqual(emptied.spec!.template.spec!.volumes!.find(({ name }) => name === "data")?.emptyDir, {})
    assert.isUndefined(emptied.spec!.volumeClaimTemplates)
  })

  it("annotations of the ServiceAccount carry IRSA and Workload Identity, those of the pod kube2iam", async () => {
    for (const annotations of [
      { "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/netsy" },
      { "iam.gke.io/gcp-service-account": "netsy@project.iam.gserviceaccount.com" }
    ]) {
      const rendered = await chart.render({ serviceAccount: { annotations } })
      const account = only<IServiceAccount>(rendered, "ServiceAccount")
      assert.deepStrictEqual(account.metadata!.annotations, annotations)
      const pod = only<IStatefulSet>(rendered, "StatefulSet").spec!.template.spec!
      assert.strictEqual(pod.serviceAccountName, account.metadata!.name)
    }
    const podAnnotations = { "iam.amazonaws.com/role": "arn:aws:iam::123456789012:role/netsy" }
    assert.include((await setOf({ podAnnotations })).spec!.template.metadata!.annotations, podAnnotations)
    const shared = await chart.render({ serviceAccount: { create: false, name: "shared" } })
    assert.isEmpty(shared.objects.filter(({ kind }) => kind === "ServiceAccount"))
    assert.strictEqual(only<IStatefulSet>(shared, "StatefulSet").spec!.template.spec!.serviceAccountName, "shared")
    const { spec } = await setOf({ serviceAccount: { create: false } })
    assert.strictEqual(spec!.template.spec!.serviceAccountName, "default")
  })

  it("extraEnv passes credentials from a Secret", async () => {
    const extraEnv = [
      { name: "AWS_ACCESS_KEY_ID", valueFrom: { secretKeyRef: { name: "aws-credentials", key: "access-key-id" } } },
      { name: "AWS_DEFAULT_REGION", value: "us-east-1" }
    ]
    const { env } = containerOf(await setOf({ extraEnv }))
    assert.deepStrictEqual(env!.slice(-2), extraEnv)
  })

  it("the image is the chart's version, a tag or a digest", async () => {
    const image = async (values: Values): Promise<string> => containerOf(await setOf({ image: values })).image!
    const digest = `sha256:${"0a".repeat(32)}`
    assert.match(await image({}), /^ghcr\.io\/netsy-dev\/netsy:\d+\.\d+\.\d+$/)
    assert.strictEqual(await image({ tag: "2.0.1" }), "ghcr.io/netsy-dev/netsy:2.0.1")
    assert.strictEqual(await image({ tag: digest }), `ghcr.io/netsy-dev/netsy@${digest}`)
  })

  it("the CA lives as long as asked for, keeps its key, and signs for the cluster", async () => {
    const ca = only<ICertificate>(
      await chart.render({ tls: { caDuration: "43800h" } }),
      "Certificate",
      "netsy-ca"
    ).spec!
    assert.deepInclude(ca, { isCA: true, duration: "43800h", commonName: "netsy-ca", secretName: "netsy-ca" })
    assert.strictEqual(ca.privateKey!.rotationPolicy, "Never")
  })

  it("a client gets a certificate that the client port takes", async () => {
    const clients = [{ name: "kube-apiserver" }, { name: "backup", commonName: "root" }]
    const rendered = await chart.render({ clients, clusterID: "my-cluster" })
    const one = only<ICertificate>(rendered, "Certificate", "netsy-client-kube-apiserver").spec!
    assert.deepStrictEqual(one.uris, ["netsy://my-cluster/client/kube-apiserver"])
    assert.deepStrictEqual(one.usages, ["digital signature", "client auth"])
    assert.deepStrictEqual([one.commonName, one.issuerRef.name], ["kube-apiserver", "netsy-ca"])
    assert.strictEqual(only<ICertificate>(rendered, "Certificate", "netsy-client-backup").spec!.commonName, "root")
  })

  it("pods are spread over machines and zones without making a single machine a hindrance", async () => {
    const spread = (await setOf({})).spec!.template.spec!.topologySpreadConstraints!
    assert.deepStrictEqual(
      spread.map(({ labelSelector, topologyKey, whenUnsatisfiable }) => [
        topologyKey,
        whenUnsatisfiable,
        labelSelector!.matchLabels!["app.kubernetes.io/instance"]
      ]),
      [
        ["kubernetes.io/hostname", "ScheduleAnyway", "netsy"],
        ["topology.kubernetes.io/zone", "ScheduleAnyway", "netsy"]
      ]
    )
    const labelSelector = { matchLabels: { team: "storage" } }
    const own = [{ maxSkew: 1, topologyKey: "rack", whenUnsatisfiable: "DoNotSchedule", labelSelector }]
    const kept = (await setOf({ topologySpreadConstraints: own })).spec!.template.spec!.topologySpreadConstraints
    assert.deepStrictEqual(kept, own as never)
  })

  it("one pod may be evicted at a time, or what is asked for", async () => {
    const budget = async (podDisruptionBudget: Values): Promise<object> => {
      const { selector: _, ...rest } = only<IPodDisruptionBudget>(
        await chart.render({ podDisruptionBudget }),
        "PodDisruptionBudget"
      ).spec!
      return rest
    }
    assert.deepStrictEqual(await budget({}), { maxUnavailable: 1 })
    assert.deepStrictEqual(await budget({ maxUnavailable: "30%" }), { maxUnavailable: "30%" })
  })

  it("a ServiceMonitor is there only when asked for", async () => {
    assert.isEmpty((await chart.render()).objects.filter(({ kind }) => kind === "ServiceMonitor"))
    const labels = { release: "prometheus", "app.kubernetes.io/name": "kept as it was" }
    const monitor = only<IServiceMonitor>(
      await chart.render({ serviceMonitor: { enabled: true, labels } }),
      "ServiceMonitor"
    )
    assert.include(monitor.metadata!.labels, { release: "prometheus", "app.kubernetes.io/name": "netsy" })
    assert.deepStrictEqual(
      monitor.spec!.endpoints!.map(({ path, port }) => [port, path]),
      [["health", "/metrics"]]
    )
  })
})

describe("the chart refuses", () => {
  it("a clusterID that is not the config's, naming both", async () => {
    const said = await chart.refusal({ clusterID: "my-cluster", config: configFor("dev-cluster") })
    assert.include(said, 'clusterID is "my-cluster" and the config\'s cluster_id is "dev-cluster"')
    assert.include(await chart.refusal({ config: '{"Cluster_ID": "Netsy"}' }), 'the config\'s Cluster_ID is "Netsy"')
    assert.include(await chart.refusal({ config: '{"cluster_id": 7}' }), 'cluster_id is "7"')
    assert.include(await chart.refusal({ config: "{}" }), 'clusterID is "netsy" and the config has no cluster_id')
    assert.include(await chart.refusal({ config: '// {"cluster_id": "netsy"}\n{}' }), "has no cluster_id")
    assert.include(await chart.refusal({ config: '{"Error": "x"}' }), "has no cluster_id")
    await chart.render({ config: '\ufeff{"CLUSTER_ID": "netsy",}' })
  })

  it("a config that is no JSON with comments", async () => {
    for (const config of [
      "{",
      '{"cluster_id": "netsy"',
      "cluster_id: netsy",
      "[]",
      '"netsy"',
      '{"cluster_id": "netsy"} x'
    ])
      assert.include(await chart.refusal({ config }), "config is not JSON with comments", config)
  })

  it(`no config for its comments, commas and texts (NETSY_SEED=${seed})`, { timeout: 60_000 }, async () => {
    for (let i = 0; i < misleadingCount; i++) {
      const config = misleadingConfig("my-cluster", seed * 1000 + i)
      const rendered = await chart.render({ clusterID: "my-cluster", config })
      const kept = only<IConfigMap>(rendered, "ConfigMap").data!["config.jsonc"]!
      assert.strictEqual(kept, `${config.trim()}\n`, config)
      assert.include(
        await chart.refusal({ config }),
        'clusterID is "netsy" and the config\'s cluster_id is "my-cluster"'
      )
    }
  })

  it("names of pods that are too long or no names of nodes", async () => {
    const said = await chart.refusal({}, { name: "a-very-long-name-of-a-release" })
    assert.include(said, 'the last pod would be called "a-very-long-name-of-a-release-netsy-2", with 37 characters')
    await chart.render({ fullnameOverride: "x".repeat(30) })
    assert.include(await chart.refusal({ fullnameOverride: "x".repeat(30), replicas: 11 }), "with 33 characters")
    assert.include(await chart.refusal({ fullnameOverride: "my.netsy" }), '"my.netsy-2"')
    assert.include(await chart.refusal({ fullnameOverride: "my--netsy" }), "no --")
    assert.include(await chart.refusal({ clusterID: "a--b", config: configFor("a--b") }), 'clusterID is "a--b"')
  })

  it("variables that the chart itself decides", async () => {
    for (const name of ["NETSY_NODE_ID", "NETSY_CLUSTER_ID", "NETSY_TLS_CA_CERT", "NETSY_BIND_CLIENT"])
      assert.include(await chart.refusal({ extraEnv: [{ name, value: "x" }] }), `extraEnv names ${name}`)
  })
})
