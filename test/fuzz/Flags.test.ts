/**
 * Random and damaged command lines, variables and configuration files of etcd for a while: each is decided at once, no
 * decision throws, what is printed stays short, and nothing grows.
 * NETSY_FUZZ_SECONDS: how long (default 2). NETSY_SEED: where the seeds begin.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { decideEtcd } from "../../src/core/config/etcd/command.ts"
import { flagTable, variableOfFlag } from "../../src/core/config/etcd/flagTable.ts"
import { etcdInput } from "../config/etcdSetup.ts"
import { type Random, random } from "../wire/random.ts"

const millis = Number(process.env["NETSY_FUZZ_SECONDS"] ?? 2) * 1_000
const firstSeed = Number(process.env["NETSY_SEED"] ?? 1)

/** What one input may take on a slow machine. */
const inputMillisMax = 2_000
const printedMax = 200_000
const growthBytesMax = 64 << 20

const names = flagTable.map(({ name }) => name)

const texts: ReadonlyArray<string> = [
  ...["", "0", "-1", "1", "18446744073709551616", "0x", "1e9", "true", "maybe", "1h", "5", "9999999h", "default"],
  ...["http://127.0.0.1:2379", "https://[::1]:0", "unix://", "http://:2379,http://:2379", "http://a:1/x", "ftp://x"],
  ...["a=http://x:1,b=http://y:2", "=", "a=", "jwt,sign-method=RS256,pub-key=x", "jwt,,=", "simple,a=b", "revision"],
  ...["InitialCorruptCheck=true", "TLS_AES_128_GCM_SHA256", "TLS1.3", "stdout,default", "\u0000", "\uD800", "../../x"]
]

const noise = (source: Random): string => {
  const length = source.int(source.int(10) === 0 ? 5_000 : 20)
  return Array.from({ length }, () => String.fromCharCode(source.int(source.int(4) === 0 ? 0x10000 : 0x80))).join("")
}

const textOf = (source: Random): string => (source.int(4) === 0 ? noise(source) : texts[source.int(texts.length)]!)

const wordOf = (source: Random): string => {
  const dashes = "-".repeat(source.int(12) === 0 ? source.int(5) : 1 + source.int(2))
  const former = source.int(10) === 0 ? "experimental-" : ""
  const name = source.int(12) === 0 ? noise(source) : names[source.int(names.length)]!
  return `${dashes}${former}${name}${source.int(3) === 0 ? "" : `=${textOf(source)}`}`
}

const fileOf = (source: Random): string => {
  if (source.int(5) === 0) return noise(source)
  const entry = (): string => {
    const name = source.int(6) === 0 ? "client-transport-security" : names[source.int(names.length)]!
    const quoted = source.int(2) === 0 ? JSON.stringify(textOf(source)) : textOf(source)
    const nested = source.int(6) === 0 ? `{${names[source.int(names.length)]}: ${quoted}}` : quoted
    return `${name}: ${source.int(12) === 0 ? `[${nested}, ${nested}]` : nested}`
  }
  const lines = Array.from({ length: 1 + source.int(12) }, entry)
  const whole = `${lines.join("\n")}\n`
  if (source.int(3) > 0) return whole
  const at = source.int(whole.length)
  const damage = ["{", "[", "&a ", "*a", "- ", ": ", "\t", "!!x ", "---\n", '"', "'", "|", "\n  "][source.int(13)]!
  return whole.slice(0, at) + damage.repeat(1 + source.int(60)) + whole.slice(at + source.int(5))
}

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void
const heapBytes = (): number => {
  collect()
  return process.memoryUsage().heapUsed
}

const decideOne = (seed: number): string => {
  const source = random(seed)
  const argv = Array.from({ length: source.int(8) }, () => wordOf(source))
  const env = Object.fromEntries(
    Array.from({ length: source.int(5) }, () => {
      const name = source.int(8) === 0 ? `ETCD_${noise(source)}` : variableOfFlag(names[source.int(names.length)]!)
      return [name, textOf(source)]
    })
  )
  const files = { f: fileOf(source) }
  const setup =
    source.int(3) === 0 ? { argv: ["--config-file=f", ...argv.slice(0, 1)], env, files } : { argv, env, files }
  const started = performance.now()
  const decided = decideEtcd(etcdInput(setup))
  const took = performance.now() - started
  const told = `seed ${seed}: ${JSON.stringify(setup)}`
  assert.isBelow(took, inputMillisMax, told)
  if (decided.action === "run") {
    for (const warning of decided.warnings) assert.isBelow(warning.length, printedMax, told)
    return "run"
  }
  assert.include([0, 1, 2], decided.code, told)
  assert.isBelow(decided.stdout.length + decided.stderr.length, printedMax, told)
  assert.isNotEmpty(decided.stdout + decided.stderr, told)
  return `exit ${decided.code}`
}

describe("command lines of etcd, random and damaged", () => {
  it(
    "are decided at once, whatever they are, and nothing grows",
    () => {
      const outcomes = new Map<string, number>()
      const rounds = (until: number, from: number): number => {
        let seed = from
        while (performance.now() < until) {
          const outcome = decideOne(seed++)
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        }
        return seed
      }
      const start = performance.now()
      const warmed = rounds(start + millis / 4, firstSeed)
      const before = heapBytes()
      let next = rounds(start + millis, warmed)
      assert.isBelow(heapBytes() - before, growthBytesMax)
      // Each way out is taken: the inputs are neither all nonsense nor all good. A busy machine gets through fewer of them.
      const waysOut = ["run", "exit 0", "exit 1", "exit 2"]
      const isMissing = (outcome: string): boolean => !outcomes.has(outcome)
      const latest = performance.now() + 20_000
      while (waysOut.some(isMissing) && performance.now() < latest) next = rounds(performance.now() + 100, next)
      assert.deepStrictEqual(waysOut.filter(isMissing), [])
    },
    millis + 30_000
  )
})
