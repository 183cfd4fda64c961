/** The files of deploy/iam, as they are and with one permission less. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { parse } from "yaml"
import { type Policy, parsePolicy } from "../../../src/programs/dev-s3/policy.ts"
import { devS3, gcsEmulator } from "../../objectstore/support.ts"
import { life } from "./life.ts"
import { deploy } from "./nstance.ts"

interface Statement {
  readonly Action: string | ReadonlyArray<string>
}

const actionsOf = ({ Action }: Statement): ReadonlyArray<string> => (typeof Action === "string" ? [Action] : Action)

const statements = (file: string): ReadonlyArray<Statement> =>
  (JSON.parse(readFileSync(join(deploy, "iam", file), "utf8")) as { readonly Statement: ReadonlyArray<Statement> })
    .Statement

export const actionsIn = (...files: ReadonlyArray<string>): ReadonlyArray<string> =>
  files.flatMap(statements).flatMap(actionsOf)

/** What the files allow together, as if all were attached to one role. */
export const policyOf = (files: ReadonlyArray<string>, without?: string): Policy => {
  const left = files.flatMap(statements).map((one) => ({ ...one, Action: actionsOf(one).filter((a) => a !== without) }))
  return parsePolicy(JSON.stringify({ Version: "2012-10-17", Statement: left.filter((one) => one.Action.length > 0) }))
}

const kmsKey = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"

export const onS3 = (policy: Policy, storage: string, encrypted = false) =>
  Effect.gen(function* () {
    const server = yield* devS3({ bucket: "my-netsy-bucket" })
    server.faults.policy = policy
    const env = {
      AWS_ENDPOINT_URL: server.url,
      AWS_S3_USE_PATH_STYLE: "true",
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      ...(encrypted ? { NETSY_STORAGE_ENCRYPTION: "customer-managed", NETSY_STORAGE_KMS_KEY_ID: kmsKey } : {})
    }
    const hasDeleted = (): boolean =>
      (server.counts.get("DeleteObjects") ?? 0) + (server.counts.get("DeleteObject") ?? 0) > 0
    return yield* Effect.promise(() => life({ storage, env, hasDeleted }))
  })

export const gcsPermissions: ReadonlyArray<string> = (
  parse(readFileSync(join(deploy, "iam/gcs-role.yaml"), "utf8")) as {
    readonly includedPermissions: ReadonlyArray<string>
  }
).includedPermissions

/** Google Cloud Storage's permission for each of its methods: replacing an object takes both create and delete. */
export const onGcs = (permissions: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const server = yield* gcsEmulator({ bucket: "my-netsy-bucket" })
    const may = (name: string): boolean => permissions.includes(`storage.objects.${name}`)
    let deleted = 0
    server.fault = ({ name, operation }) => {
      const exists = server.objects.has(name)
      const writes = may("create") && (!exists || may("delete"))
      const allowed = {
        get: may("get") && (exists || may("list")),
        head: may("get") && (exists || may("list")),
        put: writes,
        copy: may("get") && writes,
        delete: may("delete"),
        list: may("list"),
        other: false
      }[operation]
      if (operation === "delete" && allowed) deleted++
      return allowed ? undefined : { status: 403, reason: "forbidden", message: `may not ${operation} ${name}` }
    }
    const env = { STORAGE_EMULATOR_HOST: server.url, NETSY_REPLICATION_STORE_LEASE: "4s" }
    return yield* Effect.promise(() =>
      life({ storage: "gs://my-netsy-bucket/netsy", env, hasDeleted: () => deleted > 0 })
    )
  })
