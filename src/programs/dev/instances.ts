/** What the development environment consists of: names, ports, files and variables of dev-s3 and of each node. Pure. */

export interface Instance {
  /** As in `make logs NAME=…`, pid files and messages. */
  readonly name: string
  readonly logFile: string
  readonly pidFile: string
  readonly ports: ReadonlyArray<{ readonly name: string; readonly port: number }>
  /** Node's arguments, relative to the clone's folder. */
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  /** Answers 200 when the instance does its work. */
  readonly readyUrl: string
}

export const bucket = "netsy-dev"
export const s3Port = 4566

/** Ports of node k are those of node 1 plus 10 · (k − 1). */
const portStep = 10
const nodeArgs = ["--disable-warning=ExperimentalWarning"]

/** The bucket's stand-in. `extraArgs` reach the program: faults and latencies, for instance. */
export const devS3 = (extraArgs: ReadonlyArray<string>): Instance => ({
  name: "dev-s3",
  logFile: "temp/logs/dev-s3.log",
  pidFile: "temp/run/dev-s3.json",
  ports: [{ name: "S3", port: s3Port }],
  args: [
    ...nodeArgs,
    "src/programs/dev-s3.ts",
    "--addr",
    // It accepts any credentials, so it must not be reachable from other machines.
    `127.0.0.1:${s3Port}`,
    "--dir",
    "temp/dev-s3",
    "--bucket",
    bucket,
    ...extraArgs
  ],
  env: {},
  readyUrl: `http://127.0.0.1:${s3Port}/`
})

/** Node `k` ≥ 1. With `watch` Node restarts it, gracefully, when a source file changes. */
export const netsyNode = (k: number, watch: boolean): Instance => {
  const port = (base: number): number => base + portStep * (k - 1)
  const ports = [
    { name: "client", port: port(2378) },
    { name: "peer", port: port(2381) },
    { name: "election", port: port(8443) },
    { name: "health", port: port(8080) }
  ]
  const nodeId = `dev-node-${k}`
  const addresses = ports.flatMap(({ name, port }) => [
    [`NETSY_BIND_${name.toUpperCase()}`, `127.0.0.1:${port}`],
    ...(name === "health" ? [] : [[`NETSY_ADVERTISE_${name.toUpperCase()}`, `127.0.0.1:${port}`]])
  ])
  return {
    name: `netsy-${k}`,
    logFile: `temp/logs/netsy-${k}.log`,
    pidFile: `temp/run/netsy-${k}.json`,
    ports,
    args: [...(watch ? ["--watch", "--watch-preserve-output"] : []), ...nodeArgs, "src/programs/netsy.ts"],
    env: {
      NETSY_CONFIG: "./examples/config.jsonc",
      NETSY_NODE_ID: nodeId,
      NETSY_DATA_DIR: `./temp/data-${k}`,
      ...Object.fromEntries(addresses),
      NETSY_TLS_CA_CERT: "./temp/certs/ca.crt",
      NETSY_TLS_SERVER_CERT: `./temp/certs/${nodeId}/server.crt`,
      NETSY_TLS_SERVER_KEY: `./temp/certs/${nodeId}/server.key`,
      NETSY_TLS_CLIENT_CERT: `./temp/certs/${nodeId}/peer.crt`,
      NETSY_TLS_CLIENT_KEY: `./temp/certs/${nodeId}/peer.key`,
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      AWS_REGION: "us-east-1",
      AWS_ENDPOINT_URL: `http://localhost:${s3Port}`,
      AWS_S3_USE_PATH_STYLE: "true"
    },
    readyUrl: `http://127.0.0.1:${port(8080)}/readyz`
  }
}

/** Variables of the caller's shell that would lead a development node away from dev-s3. */
const foreign =
  /^AWS_|^GOOGLE_APPLICATION_CREDENTIALS$|^NETSY_(STORAGE|CONFIG|NODE_ID|BIND|ADVERTISE|TLS|COUNT|DEV_WATCH|CERTS_DIR)/

/** The shell's variables (NETSY_DEBUG and other settings go through) below the instance's own. */
export const environment = (
  shell: Readonly<Record<string, string | undefined>>,
  instance: Instance
): Record<string, string> => {
  const kept = Object.entries(shell).filter(
    (pair): pair is [string, string] => pair[1] !== undefined && !foreign.test(pair[0])
  )
  return { ...Object.fromEntries(kept), ...instance.env }
}
