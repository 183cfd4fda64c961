/** etcdctl's commands against one daemon, each a check of its exit code too. */
import { assert } from "@effect/vitest"
import type { Daemon } from "../support/daemon.ts"
import { etcdctl } from "../support/etcdctl.ts"

export interface Commands {
  /** Output of a command that succeeds. */
  readonly run: (...args: ReadonlyArray<string>) => Promise<string>
  /** What it says on standard error when it fails. */
  readonly fail: (...args: ReadonlyArray<string>) => Promise<string>
  /** The same with something on standard input. */
  readonly feed: (input: string, ...args: ReadonlyArray<string>) => Promise<string>
  /** The store's revision. */
  readonly revision: () => Promise<number>
}

/** `first` comes before each command's own words, e.g. `--user=name:password`. */
export const commands = (daemon: Daemon, first: ReadonlyArray<string> = []): Commands => {
  const feed = async (input: string, ...args: ReadonlyArray<string>): Promise<string> => {
    const { code, stderr, stdout } = await etcdctl(daemon, [...first, ...args], input)
    assert.strictEqual(code, 0, `etcdctl ${args.join(" ")}: ${stderr}`)
    return stdout
  }
  const run = (...args: ReadonlyArray<string>): Promise<string> => feed("", ...args)
  return {
    feed,
    run,
    fail: async (...args) => {
      const { code, stderr, stdout } = await etcdctl(daemon, [...first, ...args])
      assert.notStrictEqual(code, 0, `etcdctl ${args.join(" ")}: ${stdout}`)
      return stderr
    },
    revision: async () => {
      const answer = JSON.parse(await run("get", "no such key", "-w", "json")) as { header: { revision: number } }
      return answer.header.revision
    }
  }
}

/** The id in hexadecimal of a new lease. */
export const grant = async ({ run }: Commands, ttlSeconds: number): Promise<string> => {
  const granted = /^lease ([0-9a-f]+) granted with TTL\((\d+)s\)\n$/.exec(await run("lease", "grant", `${ttlSeconds}`))
  assert.isNotNull(granted)
  assert.strictEqual(Number(granted![2]), Math.max(2, ttlSeconds))
  return granted![1]!
}
