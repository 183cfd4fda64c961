/**
 * The calls of kube-apiserver, in both of its generations at once: a few seconds in `make test`, a minute in
 * `make test-kube`. Nothing may fail, and what watches, lists and leases show must be what was written.
 */
import { assert, describe, it } from "@effect/vitest"
import { isEtcd, startDaemon } from "../support/daemon.ts"
import { startDevS3Process } from "./devS3.ts"
import { type KubeReport, kubeRun } from "./kubeRun.ts"

const seconds = Number(process.env["NETSY_KUBE_SECONDS"] ?? "4")
const writesPerSecond = Number(process.env["NETSY_KUBE_RATE"] ?? "500")
const seed = Number(process.env["NETSY_SEED"] ?? "1")
const latency = "28ms,80ms"
const isLong = seconds >= 30
const timeout = (seconds + 120) * 1000

const options = {
  seconds,
  writesPerSecond,
  seed,
  eventTtl: isLong ? { seconds: 20, reuseSeconds: 1 } : { seconds: 2, reuseSeconds: 1 },
  compactionMillis: isLong ? 10_000 : 1000,
  compactsSeenOnly: !isLong
}
const progress = { NETSY_WATCH_PROGRESS_INTERVAL: isLong ? "5s" : "1s" }
const settings = `NETSY_KUBE_SECONDS=${seconds} NETSY_KUBE_RATE=${writesPerSecond} NETSY_SEED=${seed}`
const repeat = `${isEtcd ? "NETSY_TEST_TARGET=etcd " : ""}${settings} make test-kube`

const check = (target: string, report: KubeReport): void => {
  const rate = `${report.writes} writes, ${report.writesPerSecond.toFixed(0)}/s`
  process.stdout.write(`\n${target}: ${rate}, ${report.expiredLeases} leases\n${report.table}\nrepeat: ${repeat}\n`)
  assert.deepStrictEqual(report.violations, [], `repeat: ${repeat}`)
  const { figures } = report
  // Everything was really there to be judged.
  for (const name of ["create", "update", "delete", "conflict", "compact", "compactor's turn lost", "lease grant"]) {
    assert.isAbove(figures.of(name), 0, name)
  }
  assert.isAbove(figures.of("cache compared with a list"), 0)
  if (!isEtcd) {
    assert.isAbove(figures.of("progress on request"), 0)
    assert.isAbove(figures.of("list, RangeStream"), 0)
    assert.strictEqual(figures.of("RangeStream is unimplemented"), 0)
    assert.isAtMost(figures.of("consistent read past the cache") * 20, figures.of("wait for the watch cache"))
  }
  if (!isLong) return
  assert.strictEqual(figures.of("410 Gone"), 0)
  assert.isAtLeast(report.writesPerSecond, writesPerSecond * 0.95)
}

describe("kube-apiserver, up to 1.31 and from 1.32 on, at one store", () => {
  it(`works on ${isEtcd ? "etcd" : "a directory"}`, { timeout }, async () => {
    const daemon = await startDaemon(isEtcd ? {} : { env: progress })
    try {
      check(isEtcd ? "etcd" : "directory", await kubeRun({ ...options, endpoint: daemon.endpoint }))
    } finally {
      await daemon.release()
    }
  })

  if (isEtcd) return
  it(`works on a bucket that needs ${latency} for a request`, { timeout }, async () => {
    const s3 = await startDevS3Process(latency, seed)
    try {
      const daemon = await startDaemon({ storage: s3.storage, env: { ...s3.env, ...progress } })
      try {
        check(`dev-s3 with ${latency}`, await kubeRun({ ...options, endpoint: daemon.endpoint }))
      } finally {
        await daemon.release()
      }
    } finally {
      await s3.release()
    }
  })
})
