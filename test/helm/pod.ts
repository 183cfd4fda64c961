/** A pod of the rendered StatefulSet as the kubelet and cert-manager's CSI driver would set it up: variables and files. */
import type { IStatefulSet } from "kubernetes-models/apps/v1/StatefulSet"
import type { IContainer } from "kubernetes-models/v1/Container"

export const containerOf = (set: IStatefulSet): IContainer => set.spec!.template.spec!.containers[0]!

/** The container's variables: fields of the pod, and `$(NAME)` of those before. */
export const environmentOf = (set: IStatefulSet, pod: string): Record<string, string> => {
  const env: Record<string, string> = {}
  for (const { name, value, valueFrom } of containerOf(set).env ?? []) {
    if (valueFrom?.fieldRef?.fieldPath === "metadata.name") env[name] = pod
    else if (value !== undefined)
      env[name] = value.replaceAll(/\$\(([A-Z_]+)\)/g, (whole, other) => env[other] ?? whole)
  }
  return env
}

export interface PodCertificate {
  /** Of the volume. */
  readonly name: string
  readonly commonName: string
  readonly uris: ReadonlyArray<string>
  readonly dnsNames: ReadonlyArray<string>
  readonly addresses: ReadonlyArray<string>
  readonly usages: ReadonlyArray<string>
  readonly group: string | undefined
  /** Absolute paths in the pod. */
  readonly certFile: string
  readonly keyFile: string
  readonly caFile: string
}

const mountOf = (set: IStatefulSet, volume: string): string =>
  containerOf(set).volumeMounts!.find(({ name }) => name === volume)!.mountPath

/** What the CSI driver makes for the pod, volume by volume. */
export const certificatesOf = (set: IStatefulSet, pod: string): ReadonlyArray<PodCertificate> =>
  (set.spec!.template.spec!.volumes ?? [])
    .filter(({ csi }) => csi?.driver === "csi.cert-manager.io")
    .map(({ csi, name }) => {
      const attribute = (key: string): string =>
        (csi!.volumeAttributes![`csi.cert-manager.io/${key}`] ?? "").replaceAll("${POD_NAME}", pod)
      const list = (key: string): ReadonlyArray<string> => (attribute(key) === "" ? [] : attribute(key).split(","))
      const path = (key: string): string => `${mountOf(set, name)}/${attribute(key)}`
      return {
        name,
        commonName: attribute("common-name"),
        uris: list("uri-sans"),
        dnsNames: list("dns-names"),
        addresses: list("ip-sans"),
        usages: list("key-usages"),
        group: attribute("fs-group") || undefined,
        certFile: path("certificate-file"),
        keyFile: path("privatekey-file"),
        caFile: path("ca-file")
      }
    })

export const certificateOf = (set: IStatefulSet, pod: string, file: string): PodCertificate => {
  const found = certificatesOf(set, pod).find(({ certFile }) => certFile === file)
  if (found === undefined) throw new Error(`no volume has the certificate ${file}`)
  return found
}

/** What a path in the container is; undefined: nothing mounted. */
export const fileAt = (
  set: IStatefulSet,
  path: string
): { readonly role: "cert" | "key" | "ca" | "config" | "data" } | undefined => {
  for (const { caFile, certFile, keyFile } of certificatesOf(set, "x")) {
    if (path === certFile) return { role: "cert" }
    if (path === keyFile) return { role: "key" }
    if (path === caFile) return { role: "ca" }
  }
  const mount = containerOf(set).volumeMounts!.find(({ mountPath }) => path.startsWith(`${mountPath}/`))
  if (mount?.name === "config" && path === `${mount.mountPath}/config.jsonc`) return { role: "config" }
  return mount?.name === "data" && mount.readOnly !== true ? { role: "data" } : undefined
}
