/** What tests with npm's `etcd3` share. */
import { readFileSync } from "node:fs"
import { Etcd3, type IKeyValue, type IOptions, type Watcher } from "etcd3"
import type { Daemon } from "../support/daemon.ts"

export const connect = (daemon: Daemon, options: Partial<IOptions> = {}): Etcd3 => {
  const { certificates } = daemon
  if (certificates === undefined) return new Etcd3({ hosts: `http://${daemon.endpoint}`, ...options })
  return new Etcd3({
    hosts: `https://${daemon.endpoint}`,
    credentials: {
      rootCertificate: readFileSync(certificates.ca),
      privateKey: readFileSync(certificates.key),
      certChain: readFileSync(certificates.cert)
    },
    ...options
  })
}

/** Collects events until there are `count`. */
export const events = (watcher: Watcher, count: number): Promise<ReadonlyArray<readonly [string, IKeyValue]>> =>
  new Promise((resolve, reject) => {
    const seen: Array<readonly [string, IKeyValue]> = []
    const take = (type: string) => (kv: IKeyValue) => {
      seen.push([type, kv])
      if (seen.length === count) resolve(seen)
    }
    watcher.on("put", take("put"))
    watcher.on("delete", take("delete"))
    watcher.on("error", reject)
    if (count === 0) resolve(seen)
  })

export const show = ([type, kv]: readonly [string, IKeyValue]): string =>
  `${type} ${kv.key.toString("latin1")}=${kv.value.toString("latin1")}@${kv.mod_revision}`

export const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => Promise.reject(new Error("it succeeded")),
    (error: unknown) => error as Error
  )
