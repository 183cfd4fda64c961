/**
 * Keep-alives on their way to whoever answers them: this node's `Leases` when it is the Active Primary, else the Primary,
 * to which all streams of this node send together, one call at a time. To renew a lease twice does no harm: what is not
 * answered is asked again, of the next Primary if need be.
 */
import type { LeaseKeepAliveResponse } from "../../core/wire/codec/lease.ts"
import { type Code, type EtcdError, errors, etcdError, isEtcdError } from "../../core/wire/errors.ts"
import type { ResponseHeader } from "../../core/wire/messages.ts"
import { decodeKeepAliveAnswer, encodeKeepAliveRequest } from "../../core/wire/peer/forward.ts"
import type { KeepAliveAnswer, NodeInfo } from "../../core/wire/peer/messages.ts"
import { peerMethods } from "../../core/wire/peer/methods.ts"
import { MalformedMessage } from "../../core/wire/protobuf.ts"
import type { Leases } from "../../services/Leases.ts"
import type { PeerError } from "../../services/PeerNetwork.ts"
import { addressOf, answerMillis, Avoided, isUntouched, requestMillis, type Surroundings } from "./surroundings.ts"

/** Leases in one call, and of one stream that wait for their answers. */
export const leasesMax = 4_096

/** In the order of the request, or why the stream ends. */
export type Renewed = (answers: ReadonlyArray<LeaseKeepAliveResponse> | EtcdError) => void

export interface KeepAliveRelayOptions extends Surroundings {
  readonly leases: Leases["Service"]
  /** This node's header. */
  readonly header: (revision: number) => ResponseHeader
}

interface Job {
  readonly ids: ReadonlyArray<bigint>
  readonly sinceMillis: number
  readonly renewed: Renewed
  over: boolean
  /** Gives up what this node's `Leases` was asked. */
  cancel: (() => void) | undefined
}

interface Flight {
  readonly to: string
  readonly jobs: ReadonlyArray<Job>
  cancel: () => void
}

/** Asks this node's `Leases`; returns how to give it up. */
export const renewHere = (leases: Leases["Service"], ids: ReadonlyArray<bigint>, renewed: Renewed): (() => void) => {
  const answers: Array<LeaseKeepAliveResponse> = []
  const stream = leases.keepAlives({
    send: (answer) => {
      answers.push(answer)
      return true
    },
    ended: (error) => renewed(error ?? answers)
  })
  for (const id of ids) stream.renew(id)
  stream.end(undefined)
  return stream.close
}

export class KeepAliveRelay {
  readonly #options: KeepAliveRelayOptions
  readonly #avoided = new Avoided()
  /** Not sent, in order. */
  #waiting = new Set<Job>()
  readonly #here = new Set<Job>()
  #flight: Flight | undefined
  #going = false

  constructor(options: KeepAliveRelayOptions) {
    this.#options = options
  }

  get isIdle(): boolean {
    return this.#waiting.size === 0
  }

  /** At most `leasesMax` ids. Returns how to give it up. */
  renew(ids: ReadonlyArray<bigint>, renewed: Renewed): () => void {
    const job: Job = { ids, sinceMillis: this.#options.now(), renewed, over: false, cancel: undefined }
    this.#waiting.add(job)
    this.#options.wake()
    this.#go()
    return () => {
      job.over = true
      job.cancel?.()
      this.#waiting.delete(job)
      this.#here.delete(job)
    }
  }

  /** Role or view have changed. */
  changed(): void {
    const { isActive, primary } = this.#options
    this.#avoided.clear()
    const active = isActive()
    if (!active) {
      for (const job of this.#here) job.cancel?.()
      this.#putBack([...this.#here])
      this.#here.clear()
    }
    const to = active ? "" : primary()?.name.nodeId
    if (this.#flight !== undefined && to !== undefined && this.#flight.to !== to) {
      const { cancel, jobs } = this.#flight
      this.#flight = undefined
      cancel()
      this.#putBack(jobs)
    }
    this.#go()
  }

  tick(): void {
    const now = this.#options.now()
    for (const job of this.#waiting) {
      // While a call is under way the Primary is there, and its answer decides.
      if (this.#flight === undefined && now - job.sinceMillis >= requestMillis) this.#settle(job, errors.noLeader)
    }
    this.#go()
  }

  /** The node stops. */
  stop(): void {
    this.#flight?.cancel()
    const jobs = [...(this.#flight?.jobs ?? []), ...this.#waiting]
    this.#flight = undefined
    for (const job of jobs) this.#settle(job, errors.serverStopped)
  }

  #go(): void {
    if (this.#going) return
    this.#going = true
    const { isActive, now, primary } = this.#options
    for (;;) {
      const [job] = this.#waiting
      if (job === undefined) break
      if (isActive()) {
        this.#runHere(job)
        continue
      }
      const to = primary()
      if (this.#flight !== undefined || to === undefined || this.#avoided.has(to.name.nodeId, now())) break
      this.#send(to)
    }
    this.#going = false
  }

  #runHere(job: Job): void {
    this.#waiting.delete(job)
    this.#here.add(job)
    const cancel = renewHere(this.#options.leases, job.ids, (answers) => {
      if (job.over || !this.#here.delete(job)) return
      if (isEtcdError(answers) && !this.#options.isActive()) {
        this.#putBack([job])
        this.#go()
      } else this.#settle(job, answers)
    })
    if (this.#here.has(job)) job.cancel = cancel
  }

  #send(to: NodeInfo): void {
    const jobs: Array<Job> = []
    const ids: Array<bigint> = []
    for (const job of this.#waiting) {
      if (jobs.length > 0 && ids.length + job.ids.length > leasesMax) break
      this.#waiting.delete(job)
      jobs.push(job)
      for (const id of job.ids) ids.push(id)
    }
    const flight: Flight = { to: to.name.nodeId, jobs, cancel: () => {} }
    this.#flight = flight
    const landed = (): boolean => {
      if (this.#flight !== flight) return false
      this.#flight = undefined
      return true
    }
    flight.cancel = this.#options.network.call(
      addressOf(to),
      peerMethods.keepAlive,
      encodeKeepAliveRequest({ leases: ids }),
      answerMillis,
      {
        succeed: (bytes) => {
          if (landed()) this.#answered(flight, bytes, ids.length)
        },
        fail: (error) => {
          if (landed()) this.#failed(flight, error)
        }
      }
    )
  }

  #answered({ jobs }: Flight, bytes: Uint8Array, count: number): void {
    const answer = decodedAnswer(bytes)
    if (answer === undefined || answer.ttls.length !== count) {
      for (const job of jobs) this.#settle(job, errors.requestTimedOut)
    } else {
      const { revision, term, ttls } = answer
      const header = { ...this.#options.header(revision), raftTerm: term }
      let at = 0
      for (const job of jobs) {
        const from = at
        at += job.ids.length
        this.#settle(
          job,
          job.ids.map((id, i) => ({ header, id, ttl: ttls[from + i]! }))
        )
      }
    }
    this.#go()
  }

  #failed({ jobs, to }: Flight, error: PeerError): void {
    if (isUntouched(error) || error._tag === "PeerUnreachable") {
      this.#avoided.add(to, this.#options.now())
      this.#putBack(jobs)
    } else for (const job of jobs) this.#settle(job, etcdError(error.code as Code, error.reason))
    this.#go()
  }

  /** In front of what came later. */
  #putBack(jobs: ReadonlyArray<Job>): void {
    for (const job of jobs) job.cancel = undefined
    this.#waiting = new Set([...jobs.filter((job) => !job.over), ...this.#waiting])
    this.#options.wake()
  }

  #settle(job: Job, answers: ReadonlyArray<LeaseKeepAliveResponse> | EtcdError): void {
    this.#waiting.delete(job)
    if (job.over) return
    job.over = true
    job.renewed(answers)
  }
}

const decodedAnswer = (bytes: Uint8Array): KeepAliveAnswer | undefined => {
  try {
    return decodeKeepAliveAnswer(bytes)
  } catch (error) {
    if (error instanceof MalformedMessage) return undefined
    throw error
  }
}
