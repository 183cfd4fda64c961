/** dev-s3 as a process of its own, with the delays of a real bucket. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { freePorts } from "../support/daemon.ts"

const program = new URL("../../src/programs/dev-s3.ts", import.meta.url).pathname
const bucket = "netsy-kube"

export interface DevS3 {
  /** For `--storage`, and what the node needs besides. */
  readonly storage: string
  readonly env: Readonly<Record<string, string>>
  readonly release: () => Promise<void>
}

export const startDevS3Process = async (latency: string, seed: number): Promise<DevS3> => {
  const directory = mkdtempSync(join(tmpdir(), "netsy-kube-s3-"))
  const [port] = await freePorts(1)
  const args = ["--addr", `127.0.0.1:${port}`, "--dir", directory, "--bucket", bucket]
  const child: ChildProcess = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", program, ...args, "--latency", latency, "--seed", String(seed)],
    { stdio: ["ignore", "ignore", "inherit"] }
  )
  const kill = (): void => void child.kill("SIGKILL")
  process.on("exit", kill)
  const url = `http://127.0.0.1:${port}`
  for (const until = Date.now() + 20_000; ; await sleep(50)) {
    if (child.exitCode !== null) throw new Error(`dev-s3 ended with ${child.exitCode}`)
    const answers = await fetch(url).then(
      () => true,
      () => false
    )
    if (answers) break
    if (Date.now() > until) throw new Error("dev-s3 does not answer after 20 s")
  }
  return {
    storage: `s3://${bucket}/kube`,
    env: {
      AWS_ENDPOINT_URL: url,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      AWS_S3_USE_PATH_STYLE: "true"
    },
    release: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve))
      kill()
      await ended
      process.off("exit", kill)
      rmSync(directory, { recursive: true, force: true })
    }
  }
}
