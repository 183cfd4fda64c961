/** Hashes of passwords: slow on purpose, off the main thread, few at a time. */
import { Context } from "effect"
import type { Reply } from "./Kv.ts"

export class Passwords extends Context.Service<
  Passwords,
  {
    readonly hash: (password: string, reply: Reply<Uint8Array>) => void
    /** A text that is no hash fits no password. */
    readonly matches: (password: string, hash: Uint8Array, reply: Reply<boolean>) => void
  }
>()("netsy/services/Passwords") {}
