/** What must be true of every rendering, whatever the values: the parts of the chart fit together. */
import { isIdentifier } from "../../src/core/config/identifier.ts"
import type { IStatefulSet } from "kubernetes-models/apps/v1/StatefulSet"
import type { IPodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget"
import type { IService } from "kubernetes-models/v1/Service"
import { only, type Release, type Rendered } from "./chart.ts"
import { certificateOf, containerOf, environmentOf, fileAt } from "./pod.ts"

type Check = (message: string, isSo: boolean) => void

/** Labels that a selector asks for are on the pods. */
const selects = (
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>> | undefined
): boolean =>
  selector !== undefined &&
  Object.keys(selector).length > 0 &&
  Object.entries(selector).every(([key, value]) => labels?.[key] === value)

const checkPods = (set: IStatefulSet, check: Check): void => {
  const { podManagementPolicy, template, updateStrategy } = set.spec!
  const pod = template.spec!
  const container = containerOf(set)
  check("restarts look at /livez alone", container.livenessProbe?.httpGet?.path === "/livez")
  check("a slow start is no reason for a restart", container.startupProbe?.httpGet?.path === "/livez")
  check("readiness is /readyz", container.readinessProbe?.httpGet?.path === "/readyz")
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe])
    check("probes ask the health port", probe?.httpGet?.port === "health")
  check("pods start at the same time", podManagementPolicy === "Parallel")
  check("updates go one by one", updateStrategy?.type === "RollingUpdate")
  check("a stop has time", pod.terminationGracePeriodSeconds! >= 40)
  check("no token of the Kubernetes API", pod.automountServiceAccountToken === false)
  const volumes = new Set([
    ...(pod.volumes ?? []).map(({ name }) => name),
    ...(set.spec!.volumeClaimTemplates ?? []).map(({ metadata }) => metadata!.name!)
  ])
  for (const { name } of container.volumeMounts!) {
    const extra = name === "gcp"
    check(`the mounted volume ${name} exists`, extra || volumes.has(name))
  }
  const paths = container.volumeMounts!.map(({ mountPath }) => mountPath)
  for (const a of paths)
    for (const b of paths) check(`${b} is not mounted inside ${a}`, a === b || !b.startsWith(`${a}/`))
  const names = container.env!.map(({ name }) => name)
  check("no variable stands twice", new Set(names).size === names.length)
  for (const claim of set.spec!.volumeClaimTemplates ?? [])
    check("claims are the same for every version of the chart", claim.metadata!.labels?.["helm.sh/chart"] === undefined)
}

const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(":"))

const checkIdentity = (rendered: Rendered, set: IStatefulSet, namespace: string, check: Check): void => {
  const container = containerOf(set)
  const service = only<IService>(rendered, "Service")
  const replicas = set.spec!.replicas!
  const pods = replicas === 0 ? [] : [`${set.metadata!.name}-0`, `${set.metadata!.name}-${replicas - 1}`]
  const clusterId = rendered.values["clusterID"] as string
  const domain = rendered.values["clusterDomain"] as string
  for (const pod of pods) {
    const env = environmentOf(set, pod)
    check("the node is called as its pod", env["NETSY_NODE_ID"] === pod)
    check("the node's name follows the rule", isIdentifier(pod))
    const server = certificateOf(set, pod, env["NETSY_TLS_SERVER_CERT"]!)
    const client = certificateOf(set, pod, env["NETSY_TLS_CLIENT_CERT"]!)
    for (const [port, number] of [
      ["CLIENT", 2378],
      ["PEER", 2381],
      ["ELECTION", 8443]
    ] as const) {
      const advertised = env[`NETSY_ADVERTISE_${port}`]!
      const wanted = `${pod}.${service.metadata!.name}.${namespace}.svc.${domain}:${number}`
      check(`${advertised} is the pod's name under the headless service`, advertised === wanted)
      check("the server certificate covers it", server.dnsNames.includes(hostOf(advertised)))
    }
    for (const [port, number] of [
      ["CLIENT", 2378],
      ["PEER", 2381],
      ["ELECTION", 8443],
      ["HEALTH", 8080]
    ] as const) {
      const name = port.toLowerCase()
      check(`${name} binds ${number}`, env[`NETSY_BIND_${port}`] === `:${number}`)
      check(
        `the container has ${name}`,
        container.ports!.some((one) => one.name === name && one.containerPort === number)
      )
      check(
        `the service has ${name}`,
        service.spec!.ports!.some((one) => one.name === name && one.port === number)
      )
    }
    for (const one of [server, client]) {
      check("CN is the pod", one.commonName === pod)
      check("URI SAN is the peer", one.uris.join() === `netsy://${clusterId}/peer/${pod}`)
      check(
        "the group of the files is the pod's",
        one.group === set.spec!.template.spec!.securityContext?.fsGroup?.toString()
      )
    }
    check("the server's usages", server.usages.join() === "digital signature,key encipherment,server auth")
    check("the client's usages", client.usages.join() === "digital signature,client auth")
    check("the server's key is beside it", fileAt(set, env["NETSY_TLS_SERVER_KEY"]!)?.role === "key")
    check("the client's key is beside it", fileAt(set, env["NETSY_TLS_CLIENT_KEY"]!)?.role === "key")
    check("the CA is a file of a certificate volume", fileAt(set, env["NETSY_TLS_CA_CERT"]!)?.role === "ca")
    check("the cluster file is the ConfigMap's", fileAt(set, env["NETSY_CONFIG"]!)?.role === "config")
    check("the data directory is a volume", fileAt(set, `${env["NETSY_DATA_DIR"]}/x`)?.role === "data")
  }
  check("the service governs the pods", set.spec!.serviceName === service.metadata!.name)
  check("the service is headless", service.spec!.clusterIP === "None")
  check("names of starting pods resolve", service.spec!.publishNotReadyAddresses === true)
}

/** Names of the rules that are broken. */
export const brokenRules = (rendered: Rendered, { namespace = "default" }: Release = {}): ReadonlyArray<string> => {
  const broken: Array<string> = []
  const check: Check = (message, isSo) => {
    if (!isSo) broken.push(message)
  }
  const { objects, values } = rendered
  const set = only<IStatefulSet>(rendered, "StatefulSet")
  const labels = set.spec!.template.metadata!.labels
  check("the StatefulSet selects its pods", selects(set.spec!.selector.matchLabels, labels))
  check("the Service selects them", selects(only<IService>(rendered, "Service").spec!.selector, labels))
  const budgets = objects.filter(({ kind }) => kind === "PodDisruptionBudget") as ReadonlyArray<IPodDisruptionBudget>
  for (const { spec } of budgets) check("the budget selects them", selects(spec!.selector!.matchLabels, labels))
  const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
  check("no object stands twice", new Set(names).size === names.length)
  for (const { kind, metadata } of objects) {
    check(`${kind} has the chart's labels`, metadata.labels?.["helm.sh/chart"] !== undefined)
    for (const value of Object.values(metadata.labels ?? {}))
      check(`label ${value}`, /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/.test(value))
  }
  const issuers = objects.filter(({ kind }) => kind === "Issuer").map(({ metadata }) => metadata.name)
  const issuer = (values["tls"] as { readonly issuerRef: { readonly name: string } }).issuerRef.name
  const wanted = issuer === "" ? `${set.metadata!.name}-ca` : issuer
  check("the CA's issuers are there exactly when nobody else's is named", issuers.includes(wanted) === (issuer === ""))
  for (const { csi } of set.spec!.template.spec!.volumes ?? [])
    if (csi !== undefined)
      check("volumes name the issuer", csi.volumeAttributes!["csi.cert-manager.io/issuer-name"] === wanted)
  checkPods(set, check)
  checkIdentity(rendered, set, namespace, check)
  return broken
}
