/**
 * The whole life of a node on a bucket: a first start, writes, snapshots, the cleanup behind them, a stop, a start without
 * its disk, `netsy verify` and `netsy recover`. For tests that give it less and less permission.
 */
import { execFile } from "node:child_process"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { etcdctl } from "../../support/etcdctl.ts"
import { type Daemon, startDaemon } from "../../support/daemon.ts"

const netsy = join(import.meta.dirname, "../../../bin/netsy")
const writes = 12
const limitMillis = 40_000

export interface LifeOptions {
  readonly storage: string
  readonly env: Readonly<Record<string, string>>
  /** Whether chunks and snapshots were deleted so far. */
  readonly hasDeleted: () => boolean
}

/** The bucket's answer to who may not, as the node repeats it. */
const refusal = /^.*(?:HTTP 403|AccessDenied).*$/m

class Failed extends Error {}

const command = (options: LifeOptions, ...args: ReadonlyArray<string>) =>
  new Promise<{ readonly code: unknown; readonly output: string }>((resolve) =>
    execFile(
      netsy,
      [...args, "--storage", options.storage],
      { env: { PATH: process.env["PATH"], ...options.env }, timeout: limitMillis },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : error.code, output: `${stdout}${stderr}` })
    )
  )

const live = async (daemon: Daemon, options: LifeOptions): Promise<void> => {
  const stopAtRefusal = (): void => {
    const found = refusal.exec(daemon.logs())
    if (found !== null) throw new Failed(found[0])
  }
  const succeed = async (...args: ReadonlyArray<string>): Promise<string> => {
    const { code, stderr, stdout } = await etcdctl(daemon, args)
    stopAtRefusal()
    if (code !== 0) throw new Failed(`etcdctl ${args.join(" ")}: ${stderr}`)
    return stdout
  }
  for (let i = 0; i < writes; i++) await succeed("put", `key-${i}`, `value-${i}`)
  for (const deadline = Date.now() + limitMillis; !options.hasDeleted(); await sleep(50)) {
    stopAtRefusal()
    if (Date.now() > deadline) throw new Failed(`nothing was cleaned up:\n${daemon.logs()}`)
  }
  const code = await daemon.stop()
  stopAtRefusal()
  if (code !== 0) throw new Failed(`ended with ${code}:\n${daemon.logs()}`)
  rmSync(join(daemon.directory, "data"), { recursive: true })
  await daemon.start()
  const found = (await succeed("get", "key-", "--prefix", "--keys-only")).match(/^key-/gm)?.length
  if (found !== writes) throw new Failed(`${found} of ${writes} keys came back`)
  for (const [args, codes] of [
    [["verify", "--bucket-only"], [0]],
    // There is nobody to recover from: it has to find that out in the bucket.
    [
      ["recover", "node-9", "--yes"],
      [0, 1]
    ]
  ] as const) {
    const { code, output } = await command(options, ...args)
    const said = refusal.exec(output)
    if (said !== null) throw new Failed(said[0])
    if (!(codes as ReadonlyArray<unknown>).includes(code)) throw new Failed(`netsy ${args.join(" ")}: ${output}`)
  }
}

/** Undefined: it lived well. Otherwise what did not go. */
export const life = async (options: LifeOptions): Promise<string | undefined> => {
  const env = {
    NETSY_SNAPSHOT_THRESHOLD_RECORDS: "5",
    NETSY_SNAPSHOT_KEEP: "1",
    NETSY_SNAPSHOT_HISTORY: "0s",
    NETSY_SNAPSHOT_CLEANUP_BATCH_INTERVAL: "10ms",
    ...options.env
  }
  let daemon: Daemon | undefined
  try {
    daemon = await startDaemon({ program: "netsy", storage: options.storage, env })
    await live(daemon, options)
    return undefined
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return refusal.exec(text)?.[0] ?? text
  } finally {
    await daemon?.release()
  }
}
