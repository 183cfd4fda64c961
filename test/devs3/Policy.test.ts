/** IAM policies in dev-s3: what the file does not allow is refused, on the very object, prefix and key. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { bucketArn, objectArn, parsePolicy, permits } from "../../src/programs/dev-s3/policy.ts"
import { devS3 } from "../objectstore/support.ts"

const policyOf = (...statements: ReadonlyArray<object>) =>
  parsePolicy(JSON.stringify({ Version: "2012-10-17", Statement: statements }))

const below = {
  Effect: "Allow",
  Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
  Resource: "arn:aws:s3:::bucket/netsy/*"
}
const listing = (operator: string) => ({
  Effect: "Allow",
  Action: "s3:ListBucket",
  Resource: "arn:aws:s3:::bucket",
  Condition: { [operator]: { "s3:prefix": "netsy/*" } }
})

describe("an IAM policy", () => {
  it("allows what a statement names, with wildcards, and nothing else", () => {
    const policy = policyOf(below, { Effect: "Allow", Action: "S3:List*", Resource: ["arn:aws:s3:::buck?t"] })
    assert.isTrue(permits(policy, "s3:GetObject", objectArn("bucket", "netsy/a/b")))
    assert.isFalse(permits(policy, "s3:GetObject", objectArn("bucket", "other/a")))
    assert.isFalse(permits(policy, "s3:GetObject", objectArn("bucket2", "netsy/a")))
    assert.isFalse(permits(policy, "s3:GetObjectAcl", objectArn("bucket", "netsy/a")))
    assert.isTrue(permits(policy, "s3:ListBucket", bucketArn("bucket")))
    assert.isFalse(permits(policy, "s3:ListBucket", bucketArn("buckeet")))
    assert.isFalse(
      permits(policyOf(below, { ...below, Effect: "Deny" }), "s3:GetObject", objectArn("bucket", "netsy/a"))
    )
  })

  it("holds conditions, and only IfExists lets a request without the key pass", () => {
    const allowed = (operator: string, prefix?: string): boolean =>
      permits(policyOf(listing(operator)), "s3:ListBucket", bucketArn("bucket"), { "s3:prefix": prefix })
    assert.isTrue(allowed("StringLike", "netsy/"))
    assert.isTrue(allowed("StringLike", "netsy/chunks/"))
    assert.isFalse(allowed("StringLike", "other/"))
    assert.isFalse(allowed("StringLike"))
    assert.isTrue(allowed("StringLikeIfExists"))
    assert.isFalse(allowed("StringLikeIfExists", "other/"))
    assert.isFalse(allowed("StringEquals", "netsy/chunks/"))
    assert.isTrue(allowed("StringEquals", "netsy/*"))
  })

  it("is refused where it says something that is not understood", () => {
    for (const [statement, words] of [
      [{ ...below, NotAction: "s3:*" }, "Statement[0].NotAction"],
      [{ ...below, Effect: "allow" }, "Statement[0].Effect"],
      [{ ...below, Resource: [], Action: 1 }, "Statement[0].Action"],
      [{ ...below, Condition: { Bool: { "aws:SecureTransport": "true" } } }, "Statement[0].Condition.Bool"]
    ] as const) {
      assert.throws(() => policyOf(statement), words)
    }
    assert.throws(() => parsePolicy('{"Version":"2008-10-17","Statement":[]}'), "2012-10-17")
  })

  it.live("decides in dev-s3 by object and prefix, and each key of DeleteObjects for itself", () =>
    Effect.gen(function* () {
      const server = yield* devS3()
      const ask = (method: string, path: string, body?: string, headers: Record<string, string> = {}) =>
        Effect.promise(async () => {
          const answer = await fetch(`${server.url}/bucket${path}`, {
            method,
            headers,
            ...(body === undefined ? {} : { body })
          })
          return { status: answer.status, text: await answer.text() }
        })
      yield* ask("PUT", "/other/kept", "kept")
      server.faults.policy = policyOf(below, listing("StringLike"))
      assert.strictEqual((yield* ask("PUT", "/netsy/a", "a")).status, 200)
      assert.strictEqual((yield* ask("PUT", "/other/a", "a")).status, 403)
      assert.strictEqual((yield* ask("GET", "/netsy/a")).text, "a")
      assert.strictEqual((yield* ask("GET", "/other/kept")).status, 403)
      // Who may list only with a prefix is not told that an object is missing.
      assert.strictEqual((yield* ask("GET", "/netsy/missing")).status, 403)
      assert.strictEqual((yield* ask("GET", "?list-type=2&prefix=netsy/")).status, 200)
      assert.strictEqual((yield* ask("GET", "?list-type=2&prefix=other/")).status, 403)
      assert.strictEqual((yield* ask("GET", "?list-type=2")).status, 403)
      const both = "<Delete><Object><Key>netsy/a</Key></Object><Object><Key>other/kept</Key></Object></Delete>"
      const deleted = yield* ask("POST", "?delete", both)
      assert.include(deleted.text, "<Deleted><Key>netsy/a</Key></Deleted>")
      assert.match(deleted.text, /<Error><Key>other\/kept<\/Key><Code>AccessDenied<\/Code>/)
      server.faults.policy = policyOf(below, listing("StringLikeIfExists"))
      assert.strictEqual((yield* ask("GET", "/netsy/a")).status, 404)
      // To compare is to read.
      server.faults.policy = policyOf({ ...below, Action: "s3:PutObject" })
      assert.strictEqual((yield* ask("PUT", "/netsy/b", "b", { "if-none-match": "*" })).status, 200)
      assert.strictEqual((yield* ask("PUT", "/netsy/b", "c", { "if-match": "x" })).status, 403)
      server.faults.policy = undefined
      assert.strictEqual((yield* ask("GET", "/other/kept")).text, "kept")
    })
  )

  it.live("asks for the key of what S3 encrypts with it", () =>
    Effect.gen(function* () {
      const server = yield* devS3()
      const headers = {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:eu-west-1:1:key/2"
      }
      const put = Effect.promise(() => fetch(`${server.url}/bucket/a`, { method: "PUT", headers, body: "a" }))
      const get = Effect.promise(() => fetch(`${server.url}/bucket/a`))
      const objects = { Effect: "Allow", Action: "s3:*", Resource: "*" }
      const key = (action: string) => ({ Effect: "Allow", Action: action, Resource: "arn:aws:kms:eu-west-1:1:key/2" })
      server.faults.policy = policyOf(objects)
      assert.strictEqual((yield* put).status, 403)
      server.faults.policy = policyOf(objects, key("kms:GenerateDataKey"))
      assert.strictEqual((yield* put).status, 200)
      assert.strictEqual((yield* get).status, 403)
      server.faults.policy = policyOf(objects, key("kms:Decrypt"))
      assert.strictEqual((yield* get).status, 200)
    })
  )
})
