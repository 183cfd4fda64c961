/** `Passwords` as bcrypt texts, which etcd reads and writes too, at the cost that the settings say. */
import bcrypt from "bcrypt"
import { Effect, Layer } from "effect"
import { Code, errors, etcdError } from "../core/wire/errors.ts"
import type { Reply } from "../services/Kv.ts"
import { Passwords } from "../services/Passwords.ts"
import { Settings } from "../services/Settings.ts"

/** One less than the threads that Node has for such work: files and name look-ups are not kept waiting by log-ins. */
const hashesTogetherMax = 3
const hashesWaitingMax = 64
/** What bcrypt looks at. */
const passwordBytesMax = 72

const tooLong = etcdError(Code.Unknown, "bcrypt: password length exceeds 72 bytes")

type Job = (free: () => void) => void

export const layer: Layer.Layer<Passwords, never, Settings> = Layer.effect(
  Passwords,
  Effect.gen(function* () {
    const { bcryptCost } = (yield* Settings).auth
    const waiting: Array<Job> = []
    let running = 0

    const free = (): void => {
      running--
      const next = waiting.shift()
      if (next !== undefined) start(next)
    }
    const start = (job: Job): void => {
      running++
      job(free)
    }
    /** Runs `work` when it is its turn; the next one begins before the answer is told. */
    const inTurn = <A>(reply: Reply<A>, work: (done: (error: Error | undefined, value: A) => void) => void): void => {
      const job: Job = (leave) =>
        work((error, value) => {
          leave()
          if (error === undefined) reply.succeed(value)
          else reply.fail(etcdError(Code.Internal, `netsy: bcrypt: ${error.message}`))
        })
      if (running < hashesTogetherMax) start(job)
      else if (waiting.length < hashesWaitingMax) waiting.push(job)
      else reply.fail(errors.tooManyRequests)
    }

    return Passwords.of({
      hash: (password, reply) => {
        const bytes = Buffer.from(password)
        if (bytes.length > passwordBytesMax) return reply.fail(tooLong)
        inTurn<Uint8Array>(reply, (done) =>
          // The letter that etcd writes too.
          bcrypt.genSalt(bcryptCost, "a", (saltError, salt) => {
            if (saltError instanceof Error) return done(saltError, bytes)
            bcrypt.hash(bytes, salt, (error, hash) => done(error ?? undefined, Buffer.from(hash ?? "")))
          })
        )
      },
      matches: (password, hash, reply) => {
        const bytes = Buffer.from(password).subarray(0, passwordBytesMax)
        inTurn<boolean>(reply, (done) =>
          bcrypt.compare(bytes, Buffer.from(hash).toString("latin1"), (error, same) =>
            done(error ?? undefined, same === true)
          )
        )
      }
    })
  })
)
