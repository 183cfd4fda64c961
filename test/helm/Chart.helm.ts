/** The same renderings by a real helm, for machines that have one: `make test-helm`. */
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import {
  chartFolder,
  ChartRenderer,
  type KubernetesObject,
  parseDocuments,
  type Release,
  type Values
} from "./chart.ts"
import { laidOver, matrix, misleadingConfig, randomValues, releases } from "./combinations.ts"

const seed = Number(process.env["NETSY_SEED"] ?? 1)
const randomCount = 60
const kubeVersion = ["--kube-version", "1.30.0"]

let chart: ChartRenderer
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "netsy-real-helm-"))
  chart = await ChartRenderer.start()
}, 300_000)
afterAll(() => {
  chart?.close()
  rmSync(folder, { recursive: true, force: true })
})

const helm = async (...args: ReadonlyArray<string>): Promise<string> =>
  (await promisify(execFile)("helm", [...args], { maxBuffer: 1 << 24 })).stdout

const valuesFile = (values: Values): string => {
  const file = join(folder, "values.json")
  // Helm reads it as YAML, to which these end a line.
  const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
  writeFileSync(file, JSON.stringify(values).replaceAll(/[\u0085\u2028\u2029]/g, escaped))
  return file
}

const template = (values: Values, { name = "netsy", namespace = "default" }: Release): Promise<string> =>
  helm("template", name, chartFolder, "--namespace", namespace, ...kubeVersion, "-f", valuesFile(values))

const refusal = (values: Values): Promise<string> =>
  template(values, {}).then(
    () => assert.fail(`helm rendered ${JSON.stringify(values)}`),
    (error: { readonly stderr: string }) => error.stderr
  )

const sorted = (objects: ReadonlyArray<KubernetesObject>): ReadonlyArray<KubernetesObject> =>
  [...objects].sort((a, b) => (`${a.kind} ${a.metadata.name}` < `${b.kind} ${b.metadata.name}` ? -1 : 1))

describe("a real helm", { timeout: 600_000 }, () => {
  it(`renders what this project's renderer does (NETSY_SEED=${seed})`, async () => {
    const random = Array.from({ length: randomCount }, (_, i) => randomValues(seed * 1000 + i))
    for (const [i, values] of [...matrix, ...random].entries()) {
      const release = releases[i % releases.length]!
      const config = misleadingConfig((values["clusterID"] as string | undefined) ?? "netsy", i)
      const all = i % 2 === 0 ? values : laidOver(values, { config })
      const [ours, theirs] = [await chart.render(all, release), parseDocuments(await template(all, release))]
      assert.deepStrictEqual(sorted(theirs), sorted(ours.objects), JSON.stringify(all))
    }
  })

  it("finds nothing to complain about", async () => {
    for (const values of [{}, ...matrix.slice(-4)]) {
      const said = await helm("lint", "--strict", chartFolder, ...kubeVersion, "-f", valuesFile(values))
      assert.include(said, "0 chart(s) failed")
    }
  })

  it("takes the documented command lines", async () => {
    const lines: ReadonlyArray<ReadonlyArray<string>> = [
      ["--set", "clusterID=my-cluster"],
      ["--set", "clients[0].name=kube-apiserver"],
      ["--set", "extraEnv[0].name=NETSY_STORAGE_BUCKET_NAME", "--set", "extraEnv[0].value=my-bucket"],
      ["--set", "persistence.enabled=true", "--set", "persistence.size=1Gi", "--set", "persistence.storageClass=gp3"]
    ]
    for (const line of lines)
      assert.include(await helm("template", "netsy", chartFolder, ...kubeVersion, ...line), "kind: StatefulSet")
  })

  it("refuses what the schema and the checks refuse", async () => {
    assert.include(await refusal({ replica: 3 }), "additional properties 'replica' not allowed")
    assert.include(await refusal({ clusterID: "A" }), "clusterID")
    const said = await refusal({ clusterID: "my-cluster", config: '{"cluster_id": "dev-cluster"}' })
    assert.include(said, 'clusterID is "my-cluster" and the config\'s cluster_id is "dev-cluster"')
  })
})
