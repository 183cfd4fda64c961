/** The cluster's alarms (etcd-api.md 2.8): entries of the log, so that every node and every restart knows of them. */
import { Context } from "effect"
import type { Alarms as List } from "../core/alarm/alarms.ts"
import type { AlarmMember } from "../core/wire/codec/maintenance.ts"
import type { Reply } from "./Kv.ts"

export class Alarms extends Context.Service<
  Alarms,
  {
    /** Active ones at this moment, as this node knows them. */
    readonly active: () => List
    /** Linearizable: those of one type, or all for NONE. */
    readonly list: (type: number, reply: Reply<List>) => void
    /** The alarm when it is active afterwards; nothing for type NONE. */
    readonly activate: (alarm: AlarmMember, reply: Reply<List>) => void
    /** The alarm when it was active before. */
    readonly deactivate: (alarm: AlarmMember, reply: Reply<List>) => void
  }
>()("netsy/services/Alarms") {}
