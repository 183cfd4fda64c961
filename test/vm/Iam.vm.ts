/** What deploy/iam grants is enough for the whole life of a node, and nothing in it can be left out. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { actionsIn, gcsPermissions, onGcs, onS3, policyOf } from "./support/permissions.ts"

const timeout = 200_000
const prefixed = "s3://my-netsy-bucket/netsy"

describe("the permissions of a node", () => {
  for (const [file, storage] of [
    ["s3-policy.json", "s3://my-netsy-bucket"],
    ["s3-policy-prefix.json", prefixed]
  ] as const) {
    it.live(
      `${file} is enough on S3`,
      () =>
        Effect.gen(function* () {
          assert.isUndefined(yield* onS3(policyOf([file]), storage))
        }),
      timeout
    )

    for (const action of actionsIn(file)) {
      it.live(
        `${file} without ${action} is not`,
        () =>
          Effect.gen(function* () {
            const failed = yield* onS3(policyOf([file], action), storage)
            assert.include(failed, action)
          }),
        timeout
      )
    }
  }

  it.live(
    "s3-policy-prefix.json gives nothing outside of its prefix",
    () =>
      Effect.gen(function* () {
        const failed = yield* onS3(policyOf(["s3-policy-prefix.json"]), "s3://my-netsy-bucket/other")
        assert.include(failed, "HTTP 403 AccessDenied")
      }),
    timeout
  )

  const withKey = ["s3-policy-prefix.json", "kms-policy.json"]
  it.live(
    "kms-policy.json is enough for objects under one's own key",
    () =>
      Effect.gen(function* () {
        assert.isUndefined(yield* onS3(policyOf(withKey), prefixed, true))
      }),
    timeout
  )

  for (const action of actionsIn("kms-policy.json")) {
    it.live(
      `kms-policy.json without ${action} is not`,
      () =>
        Effect.gen(function* () {
          assert.include(yield* onS3(policyOf(withKey, action), prefixed, true), action)
        }),
      timeout
    )
  }

  it.live(
    "gcs-role.yaml is enough on Google Cloud Storage",
    () =>
      Effect.gen(function* () {
        assert.isUndefined(yield* onGcs(gcsPermissions))
      }),
    timeout
  )

  for (const permission of gcsPermissions) {
    it.live(
      `gcs-role.yaml without ${permission} is not`,
      () =>
        Effect.gen(function* () {
          const failed = yield* onGcs(gcsPermissions.filter((one) => one !== permission))
          assert.include(failed, "HTTP 403")
        }),
      timeout
    )
  }
})
