/** The rendered objects held against typed models of their APIs: values at run time, and no unknown field by the compiler. */
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { Certificate } from "@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate"
import { Issuer } from "@kubernetes-models/cert-manager/cert-manager.io/v1/Issuer"
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor"
import { StatefulSet } from "kubernetes-models/apps/v1/StatefulSet"
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget"
import { ConfigMap } from "kubernetes-models/v1/ConfigMap"
import { Service } from "kubernetes-models/v1/Service"
import { ServiceAccount } from "kubernetes-models/v1/ServiceAccount"
import type { KubernetesObject } from "./chart.ts"

const root = new URL("../../", import.meta.url).pathname

interface Model {
  readonly module: string
  readonly make: (object: never) => { validate: () => void }
}

const models: Readonly<Record<string, Model>> = {
  "cert-manager.io/v1 Certificate": {
    module: "@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate",
    make: (object) => new Certificate(object)
  },
  "cert-manager.io/v1 Issuer": {
    module: "@kubernetes-models/cert-manager/cert-manager.io/v1/Issuer",
    make: (object) => new Issuer(object)
  },
  "monitoring.coreos.com/v1 ServiceMonitor": {
    module: "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor",
    make: (object) => new ServiceMonitor(object)
  },
  "apps/v1 StatefulSet": {
    module: "kubernetes-models/apps/v1/StatefulSet",
    make: (object) => new StatefulSet(object)
  },
  "policy/v1 PodDisruptionBudget": {
    module: "kubernetes-models/policy/v1/PodDisruptionBudget",
    make: (object) => new PodDisruptionBudget(object)
  },
  "v1 ConfigMap": { module: "kubernetes-models/v1/ConfigMap", make: (object) => new ConfigMap(object) },
  "v1 Service": { module: "kubernetes-models/v1/Service", make: (object) => new Service(object) },
  "v1 ServiceAccount": { module: "kubernetes-models/v1/ServiceAccount", make: (object) => new ServiceAccount(object) }
}

const modelOf = ({ apiVersion, kind }: KubernetesObject): Model => {
  const model = models[`${apiVersion} ${kind}`]
  if (model === undefined) throw new Error(`no model for ${apiVersion} ${kind}`)
  return model
}

/** What the models say against the objects. */
export const modelComplaints = (objects: ReadonlyArray<KubernetesObject>): ReadonlyArray<string> =>
  objects.flatMap((object) => {
    try {
      modelOf(object)
        .make(object as never)
        .validate()
      return []
    } catch (error) {
      return [`${object.kind} ${object.metadata.name}: ${(error as Error).message}`]
    }
  })

/** The objects as literals of their types: a field that the API does not know is an error of the compiler. */
export const typeComplaints = async (objects: ReadonlyArray<KubernetesObject>): Promise<string> => {
  // Below the project, so that the packages are found.
  const folder = mkdtempSync(join(root, "node_modules/.netsy-helm-"))
  try {
    const lines = objects.map((object, i) => {
      const { kind } = object
      const imported = `import type { I${kind} as T${i} } from "${modelOf(object).module}"`
      return `${imported}\nexport const o${i}: T${i} = ${JSON.stringify(object)}\n`
    })
    writeFileSync(join(folder, "objects.ts"), lines.join(""))
    const tsc = join(root, "node_modules/.bin/tsc")
    const flags = ["--ignoreConfig", "--noEmit", "--strict", "--skipLibCheck", "--types", "", "--module", "nodenext"]
    await promisify(execFile)(process.execPath, [tsc, ...flags, join(folder, "objects.ts")])
    return ""
  } catch (error) {
    return String((error as { readonly stdout?: string }).stdout ?? error)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
