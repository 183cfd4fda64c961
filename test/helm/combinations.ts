/** Values as users give them: each switch on and off, and random ones from everything the chart knows, by seed. */
import { dice } from "../quorum/dice.ts"
import type { Values } from "./chart.ts"

const switches: ReadonlyArray<readonly [Values, Values]> = [
  [{}, { persistence: { enabled: true, size: "20Gi", storageClass: "gp3" } }],
  [{}, { serviceMonitor: { enabled: true, labels: { release: "prometheus" } } }],
  [{}, { serviceAccount: { create: false, name: "own" } }],
  [{}, { podDisruptionBudget: { enabled: false } }],
  [{}, { clients: [{ name: "kube-apiserver" }, { name: "backup", commonName: "root" }] }],
  [{}, { tls: { issuerRef: { name: "corporate", kind: "ClusterIssuer" } } }],
  [{}, { clusterID: "my-cluster", replicas: 5 }]
]

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const laidOver = (base: Values, over: Values): Values => {
  const out: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const before = out[key]
    out[key] = isObject(before) && isObject(value) ? laidOver(before, value) : value
  }
  return out
}

/** Every combination of the switches. */
export const matrix: ReadonlyArray<Values> = Array.from({ length: 2 ** switches.length }, (_, bits) =>
  switches.reduce<Values>((values, pair, i) => laidOver(values, pair[(bits >> i) & 1]!), {})
)

/** What stands for a key in random values. */
const choices: Readonly<Record<string, ReadonlyArray<unknown>>> = {
  replicas: [0, 1, 3, 5, 7, 12],
  clusterID: ["a", "my-cluster", "a1-b2-c3", "x".repeat(32)],
  image: [
    { tag: "2.0.1" },
    { repository: "example.org:5000/netsy", tag: `sha256:${"0a".repeat(32)}`, pullPolicy: "Always" },
    { tag: "v1_2.3-rc.1" }
  ],
  imagePullSecrets: [[{ name: "registry" }]],
  fullnameOverride: ["etcd", "k8s-store"],
  nameOverride: ["store"],
  clusterDomain: ["k8s.example.org"],
  tls: [
    { duration: "24h", renewBefore: "8h" },
    { issuerRef: { name: "corporate" } },
    { issuerRef: { name: "vault", kind: "ClusterIssuer", group: "example.org" } }
  ],
  clients: [[{ name: "kube-apiserver" }], [{ name: "a" }, { name: "b", commonName: "root" }]],
  persistence: [
    { enabled: true },
    { enabled: true, size: "100Gi", storageClass: "-" },
    { enabled: true, storageClass: "fast" }
  ],
  resources: [{ requests: { cpu: "500m", memory: "512Mi" }, limits: { memory: "2Gi" } }],
  serviceAccount: [
    { create: false },
    { create: false, name: "shared" },
    { name: "netsy-irsa", annotations: { "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/netsy" } },
    { annotations: { "iam.gke.io/gcp-service-account": "netsy@project.iam.gserviceaccount.com" } }
  ],
  extraEnv: [
    [{ name: "NETSY_DEBUG", value: "true" }],
    [
      { name: "AWS_ACCESS_KEY_ID", valueFrom: { secretKeyRef: { name: "aws-credentials", key: "access-key-id" } } },
      { name: "AWS_DEFAULT_REGION", value: "us-east-1" }
    ]
  ],
  extraEnvFrom: [[{ secretRef: { name: "aws" } }]],
  extraVolumes: [[{ name: "gcp", secret: { secretName: "gcp-key" } }]],
  extraVolumeMounts: [[{ name: "gcp", mountPath: "/etc/gcp", readOnly: true }]],
  podAnnotations: [{ "iam.amazonaws.com/role": "arn:aws:iam::123456789012:role/netsy" }, { "checksum/config": "mine" }],
  podLabels: [{ team: "storage" }, { "app.kubernetes.io/name": "other", tier: "data" }],
  nodeSelector: [{ "kubernetes.io/arch": "arm64" }],
  tolerations: [[{ key: "dedicated", operator: "Equal", value: "netsy", effect: "NoSchedule" }]],
  affinity: [
    {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "x" } } }
        ]
      }
    }
  ],
  priorityClassName: ["system-cluster-critical"],
  topologySpreadConstraints: [
    [],
    [
      {
        maxSkew: 1,
        topologyKey: "kubernetes.io/hostname",
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: { matchExpressions: [{ key: "team", operator: "Exists" }] }
      }
    ]
  ],
  podDisruptionBudget: [{ enabled: false }, { maxUnavailable: "30%" }],
  terminationGracePeriodSeconds: [40, 300],
  minReadySeconds: [0, 60],
  podSecurityContext: [{ runAsUser: 1000680000, fsGroup: 1000680000 }, { fsGroup: null }, {}],
  securityContext: [{ capabilities: { add: ["SYS_NICE"] } }],
  startupProbe: [{ failureThreshold: 300 }],
  livenessProbe: [{ initialDelaySeconds: 30 }],
  readinessProbe: [{ periodSeconds: 1, successThreshold: 2 }],
  service: [{ annotations: { "external-dns.alpha.kubernetes.io/hostname": "netsy.example.org" } }],
  serviceMonitor: [{ enabled: true }, { enabled: true, interval: "1m", labels: { release: "p" } }],
  global: [{ imageRegistry: "example.org" }]
}

export const randomKeys: ReadonlyArray<string> = Object.keys(choices)

/** About a third of all keys, each as one of its choices. */
export const randomValues = (seed: number): Values => {
  const below = dice(seed)
  return Object.fromEntries(
    Object.entries(choices)
      .filter(() => below(3) === 0)
      .map(([key, values]) => [key, values[below(values.length)]])
  )
}

export const releases: ReadonlyArray<{ readonly name: string; readonly namespace: string }> = [
  { name: "netsy", namespace: "default" },
  { name: "prod", namespace: "kube-system" },
  { name: "my-netsy-2", namespace: "storage" }
]

const gaps = [
  "",
  " ",
  "\n",
  "\r\n",
  "\t",
  ' // "cluster_id": "comment", }\n',
  '/* "cluster_id": "block" } " */',
  "/**/"
]
const texts = [
  "// no comment",
  "/* none",
  "*/",
  ",}",
  ", ]",
  'a "quote" \\',
  "\\\\",
  "`{ }`",
  "ü\u2028",
  "\u2029 \u0085"
]

/** A cluster file with comments, commas and texts that mislead; `clusterId` stands where it counts. */
export const misleadingConfig = (clusterId: string, seed: number): string => {
  const below = dice(seed)
  const gap = (): string => gaps[below(gaps.length)]!
  const text = (): string => JSON.stringify(texts[below(texts.length)])
  const comma = (): string => (below(2) === 0 ? "" : `,${gap()}`)
  const list = (): string => `[${gap()}${text()}${gap()},${text()}${comma()}]`
  const object = (): string => `{${gap()}"cluster_id"${gap()}:${text()}${gap()}${comma()}}`
  const fields = [
    `"cluster_id"${gap()}:${gap()}${JSON.stringify(clusterId)}`,
    `"a"${gap()}:${list()}`,
    `"b":${object()}`,
    `${text()}:${gap()}${text()}`
  ]
  const turned = fields.splice(below(fields.length)).concat(fields)
  return `${gap()}{${gap()}${turned.join(`${gap()},${gap()}`)}${gap()}${comma()}}${gap()}`
}
