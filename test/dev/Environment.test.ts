/** Ports, variables and processes of the development environment. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { devS3, environment, type Instance, netsyNode } from "../../src/programs/dev/instances.ts"
import { halt, lastLines, launch, pidOf, workerOf } from "../../src/programs/dev/processes.ts"

const temp = mkdtempSync(join(tmpdir(), "netsy-processes-"))
afterAll(() => rmSync(temp, { recursive: true, force: true }))

describe("a development node", () => {
  it("has etcd's neighbouring ports, ten more for each further node", () => {
    const ports = (k: number) => netsyNode(k, false).ports.map(({ port }) => port)
    assert.deepStrictEqual(ports(1), [2378, 2381, 8443, 8080])
    assert.deepStrictEqual(ports(3), [2398, 2401, 8463, 8100])
  })

  it("never gets the shell's bucket, credentials or identity, but gets its other settings", () => {
    const shell = {
      HOME: "/h",
      NETSY_DEBUG: "true",
      NETSY_STORAGE: "s3://real",
      NETSY_TLS_CA_CERT: "/real/ca.crt",
      AWS_PROFILE: "production",
      AWS_SESSION_TOKEN: "real",
      UNSET: undefined
    }
    const env = environment(shell, netsyNode(1, true))
    assert.strictEqual(env["HOME"], "/h")
    assert.strictEqual(env["NETSY_DEBUG"], "true")
    assert.strictEqual(env["NETSY_TLS_CA_CERT"], "./temp/certs/ca.crt")
    assert.strictEqual(env["AWS_ENDPOINT_URL"], "http://localhost:4566")
    assert.notProperty(env, "NETSY_STORAGE")
    assert.notProperty(env, "AWS_PROFILE")
    assert.notProperty(env, "AWS_SESSION_TOKEN")
    assert.notProperty(env, "UNSET")
    assert.notProperty(environment(shell, devS3([])), "AWS_PROFILE")
  })
})

const instance = (name: string, program: string): Instance => ({
  name,
  logFile: join(temp, `${name}.log`),
  pidFile: join(temp, `${name}.json`),
  ports: [],
  args: ["-e", program],
  env: {},
  readyUrl: ""
})

const untilLogged = (one: Instance, text: string) =>
  Effect.gen(function* () {
    while (!lastLines(one, 5).some((line) => line.startsWith(text))) yield* Effect.sleep(20)
  }).pipe(Effect.timeout("20 seconds"))

// Real processes and signals need the real clock.
describe("a process of the environment", () => {
  it.live("outlives its starter's handle, gets SIGTERM, may finish its work, and is then known to be gone", () =>
    Effect.gen(function* () {
      const one = instance(
        "polite",
        'process.on("SIGTERM",()=>setTimeout(()=>{console.log("done");process.exit()},200));setInterval(()=>{},1000);console.log("up")'
      )
      const pid = yield* launch(one, true)
      yield* untilLogged(one, "up")
      assert.strictEqual(pidOf(one), pid)
      assert.isTrue(yield* halt(one))
      assert.deepStrictEqual([...lastLines(one, 5)], ["up", "done"])
      assert.isUndefined(pidOf(one))
      assert.isFalse(yield* halt(one))
    })
  )

  it.live("keeps the former log beside a fresh one", () =>
    Effect.gen(function* () {
      const one = instance("logged", 'console.log("line")')
      yield* launch(one, true)
      yield* untilLogged(one, "line")
      yield* launch(one, true)
      yield* untilLogged(one, "line")
      assert.strictEqual(readFileSync(`${one.logFile}.old`, "utf8"), "line\n")
      assert.strictEqual(readFileSync(one.logFile, "utf8"), "line\n")
      yield* halt(one)
    })
  )

  it.live("under a watcher is shown with the pid of the program itself", () =>
    Effect.gen(function* () {
      const program = join(temp, "watched.mjs")
      writeFileSync(program, 'console.log("I am", process.pid);setInterval(()=>{},1000)')
      const one = { ...instance("watched", ""), args: ["--watch", "--watch-preserve-output", program] }
      const pid = yield* launch(one, true)
      yield* untilLogged(one, "I am")
      assert.deepStrictEqual([...lastLines(one, 1)], [`I am ${workerOf(pid)}`])
      assert.notStrictEqual(workerOf(pid), pid)
      yield* halt(one)
      assert.strictEqual(workerOf(pid), pid)
    })
  )

  it("is not mistaken for another process that got its pid later", () => {
    const one = instance("stale", "")
    writeFileSync(one.pidFile, JSON.stringify({ pid: process.pid, started: "1" }))
    assert.isUndefined(pidOf(one))
    writeFileSync(one.pidFile, "not json")
    assert.isUndefined(pidOf(one))
  })
})
