/** `/version`, `/health`, `/livez`, `/readyz` and `/metrics` as etcd answers them (etcd-api.md 5.1). */
// Deadlines of the network are the machine's, not the program's.
// @effect-diagnostics globalTimers:off
import { clearTimeout, setTimeout } from "node:timers"
import {
  alarmReason,
  type CheckName,
  type CheckResult,
  checksAnswer,
  healthBody,
  livezChecks,
  readyzChecks
} from "../../core/health/etcdChecks.ts"
import { etcdCatalog } from "../../core/metrics/etcdCatalog.ts"
import { etcdClusterVersion, etcdStorageVersion, etcdVersion } from "../../core/version.ts"
import { errors } from "../../core/wire/errors.ts"
import { AlarmType } from "../../core/wire/messages.ts"
import type { HttpRequest, HttpResponse } from "../../services/HttpApi.ts"
import type { Kv } from "../../services/Kv.ts"
import type { Metrics } from "../../services/Metrics.ts"
import type { NodeStatus } from "../../services/NodeStatus.ts"
import { closing, json, send, sendText } from "./answers.ts"

/** As long as etcd gives a request. */
const readMillisMax = 7_000

export interface ProbesOptions {
  readonly kv: Kv["Service"]
  readonly status: NodeStatus["Service"]
  readonly metrics: Metrics["Service"]
  readonly alarms: () => ReadonlyArray<{ readonly alarm: number }>
  readonly healthChecked: (ok: boolean) => void
  readonly broken: (path: string, cause: unknown) => void
}

type Probe = (query: URLSearchParams, response: HttpResponse) => void

export interface Probes {
  /** Undefined: no such path. */
  readonly find: (path: string) => ((request: HttpRequest, response: HttpResponse) => void) | undefined
}

const versionBody = JSON.stringify({
  etcdserver: etcdVersion,
  etcdcluster: etcdClusterVersion,
  storage: etcdStorageVersion
})

const queryOf = (request: HttpRequest): URLSearchParams => {
  const url = request.url ?? ""
  const at = url.indexOf("?")
  return new URLSearchParams(at === -1 ? "" : url.slice(at + 1))
}

const excludedIn = (query: URLSearchParams): ReadonlySet<string> => new Set(query.getAll("exclude"))

export const makeProbes = (options: ProbesOptions): Probes => {
  const { alarms, kv, metrics, status } = options

  /** Undefined: this node can confirm what it knows. */
  const linearizableRead = (use: (failure: string | undefined) => void): void => {
    let open = true
    const finish = (failure: string | undefined): void => {
      if (!open) return
      open = false
      clearTimeout(timer)
      use(failure)
    }
    const timer = setTimeout(() => finish(errors.requestTimedOut.message), readMillisMax)
    kv.barrier({ succeed: () => finish(undefined), fail: ({ message }) => finish(message) })
  }

  const check = (name: CheckName, use: (result: CheckResult) => void): void => {
    switch (name) {
      case "data_corruption": {
        const corrupt = alarms().some(({ alarm }) => alarm === AlarmType.Corrupt)
        return use({ name, failure: corrupt ? "alarm activated: CORRUPT" : undefined })
      }
      case "linearizable_read":
        return linearizableRead((failure) => use({ name, failure }))
      // Whoever answers here has loaded its state, and every node of a Netsy cluster votes.
      case "serializable_read":
      case "non_learner":
        return use({ name, failure: undefined })
    }
  }

  const checkGauge = metrics.gauge(etcdCatalog.healthCheck)
  const checkCounter = metrics.counter(etcdCatalog.healthChecks)
  const recorded = (type: string, { failure, name }: CheckResult): void => {
    checkGauge.set(failure === undefined ? 1 : 0, { type, name })
    checkCounter.inc({ type, name, status: failure === undefined ? "success" : "error" })
  }

  const checks =
    (type: "livez" | "readyz", names: ReadonlyArray<CheckName>): Probe =>
    (query, response) => {
      const excluded = excludedIn(query)
      const wanted = names.filter((name) => !excluded.has(name))
      const results: Array<CheckResult> = []
      const finish = (): void => {
        const { body, ok } = checksAnswer(results, query.has("verbose"))
        sendText(response, ok ? 200 : 503, body)
      }
      const next = (): void => {
        const name = wanted[results.length]
        if (name === undefined) return finish()
        check(name, (result) => {
          recorded(type, result)
          results.push(result)
          next()
        })
      }
      next()
    }

  const health: Probe = (query, response) => {
    const serializable = query.get("serializable") === "true"
    const answer = (reason: string): void => {
      options.healthChecked(reason === "")
      sendText(response, reason === "" ? 200 : 503, healthBody(reason) + (reason === "" ? "" : "\n"))
    }
    const alarm = alarmReason(alarms(), excludedIn(query))
    if (alarm !== undefined) return answer(alarm)
    if (serializable) return answer("")
    if (status.leaderMemberId() === 0n) return answer("RAFT NO LEADER")
    linearizableRead((failure) => answer(failure === undefined ? "" : `RANGE ERROR:${failure}`))
  }

  const renderMetrics: Probe = (_query, response) => {
    const type = { "content-type": "text/plain; version=0.0.4; charset=utf-8" }
    metrics.render().then(
      (body) => send(response, 200, type, body),
      (cause: unknown) => {
        options.broken("/metrics", cause)
        sendText(response, 500, "internal error\n")
      }
    )
  }

  const probes = new Map<string, Probe>([
    ["/version", (_query, response) => send(response, 200, json, versionBody)],
    ["/health", health],
    ["/metrics", renderMetrics],
    ["/livez", checks("livez", livezChecks)],
    ["/readyz", checks("readyz", readyzChecks)],
    ...livezChecks.map((name): [string, Probe] => [`/livez/${name}`, checks("livez", [name])]),
    ...readyzChecks.map((name): [string, Probe] => [`/readyz/${name}`, checks("readyz", [name])])
  ])

  return {
    find: (path) => {
      const probe = probes.get(path)
      if (probe === undefined) return undefined
      return (request, response) => {
        if (request.method === "GET") return probe(queryOf(request), response)
        sendText(response, 405, "Method Not Allowed\n", { allow: "GET", ...closing(request) })
      }
    }
  }
}
