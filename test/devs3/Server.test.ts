/** dev-s3 as clients see it: through the AWS SDK, and byte by byte over HTTP. */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { request as httpRequest } from "node:http"
import { connect } from "node:net"
import { join } from "node:path"
import { Readable } from "node:stream"
import { crc32 } from "node:zlib"
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
  UploadPartCommand,
  UploadPartCopyCommand
} from "@aws-sdk/client-s3"
import { AssumeRoleCommand, AssumeRoleWithWebIdentityCommand, STSClient } from "@aws-sdk/client-sts"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { type DevS3, startDevS3 } from "../../src/programs/dev-s3/server.ts"
import { devS3 } from "../objectstore/support.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const Bucket = "bucket"

const clientOf = (server: DevS3): S3Client =>
  new S3Client({
    endpoint: server.url,
    region: "us-east-1",
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: "x", secretAccessKey: "y" }
  })

const test = (sentence: string, body: (client: S3Client, server: DevS3) => Promise<void>): void => {
  it.live(sentence, () =>
    Effect.flatMap(devS3(), (server) => {
      const client = clientOf(server)
      return Effect.promise(() => body(client, server)).pipe(Effect.ensuring(Effect.sync(() => client.destroy())))
    })
  )
}

const codeOf = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "success",
    (error: { name: string; $metadata: { httpStatusCode: number } }) =>
      `${error.$metadata?.httpStatusCode} ${error.name}`
  )

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | Array<string> | undefined>>
  readonly body: Buffer
}

const raw = (
  server: DevS3,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string | Uint8Array
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const request = httpRequest({ port: server.port, host: "127.0.0.1", method, path, headers }, (response) => {
      const pieces: Array<Buffer> = []
      response.on("data", (piece: Buffer) => pieces.push(piece))
      response.once("end", () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(pieces) })
      )
      response.once("error", reject)
    })
    request.once("error", reject)
    request.end(body)
  })

const bodyOf = async (client: S3Client, Key: string, Range?: string): Promise<string> => {
  const answer = await client.send(new GetObjectCommand({ Bucket, Key, ...(Range === undefined ? {} : { Range }) }))
  return answer.Body!.transformToString()
}

describe("dev-s3", () => {
  test("objects keep headers, metadata, storage class and encryption", async (client) => {
    const put = await client.send(
      new PutObjectCommand({
        Bucket,
        Key: "a/b c.txt",
        Body: "hello",
        ContentType: "text/plain",
        Metadata: { colour: "blue" },
        StorageClass: "STANDARD_IA",
        ServerSideEncryption: "aws:kms",
        SSEKMSKeyId: "key-1"
      })
    )
    assert.strictEqual(put.ETag, `"${createHash("md5").update("hello").digest("hex")}"`)
    assert.strictEqual(put.SSEKMSKeyId, "key-1")
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: "a/b c.txt" }))
    assert.strictEqual(head.ContentType, "text/plain")
    assert.deepStrictEqual(head.Metadata, { colour: "blue" })
    assert.strictEqual(head.StorageClass, "STANDARD_IA")
    assert.strictEqual(head.ServerSideEncryption, "aws:kms")
    assert.strictEqual(head.ContentLength, 5)
    assert.strictEqual(head.ETag, put.ETag)
  })

  test("ranges: 206 with Content-Range, suffixes, and 416 beyond the end", async (client, server) => {
    await client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "0123456789" }))
    assert.strictEqual(await bodyOf(client, "k", "bytes=2-4"), "234")
    assert.strictEqual(await bodyOf(client, "k", "bytes=7-"), "789")
    assert.strictEqual(await bodyOf(client, "k", "bytes=-3"), "789")
    assert.strictEqual(await bodyOf(client, "k", "bytes=8-100"), "89")
    const part = await raw(server, "GET", "/bucket/k", { range: "bytes=1-1" })
    assert.strictEqual(part.status, 206)
    assert.strictEqual(part.headers["content-range"], "bytes 1-1/10")
    assert.strictEqual(
      await codeOf(client.send(new GetObjectCommand({ Bucket, Key: "k", Range: "bytes=10-" }))),
      "416 InvalidRange"
    )
    assert.strictEqual((await raw(server, "GET", "/bucket/k", { range: "nonsense" })).status, 200)
  })

  test("conditional writes answer 412, 404 and 200 as S3 does", async (client) => {
    const put = (input: Partial<PutObjectCommandInput>) =>
      codeOf(client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x", ...input })))
    assert.strictEqual(await put({ IfMatch: '"abc"' }), "404 NoSuchKey")
    assert.strictEqual(await put({ IfNoneMatch: "*" }), "success")
    assert.strictEqual(await put({ IfNoneMatch: "*" }), "412 PreconditionFailed")
    assert.strictEqual(await put({ IfMatch: '"abc"' }), "412 PreconditionFailed")
    const { ETag } = await client.send(new HeadObjectCommand({ Bucket, Key: "k" }))
    assert.strictEqual(await put({ IfMatch: ETag!, Body: "y" }), "success")
    assert.strictEqual(await put({ IfMatch: ETag!, Body: "z" }), "412 PreconditionFailed")
    assert.strictEqual(await bodyOf(client, "k"), "y")
  })

  test("a delete that succeeds while a conditional write is under way makes it 409", async (client, server) => {
    const { ETag } = await client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }))
    const slow = httpRequest({
      port: server.port,
      host: "127.0.0.1",
      method: "PUT",
      path: "/bucket/k",
      headers: { "content-length": "2", "if-match": ETag! }
    })
    const status = new Promise<number>((resolve) =>
      slow.once("response", (answer) => resolve(answer.resume().statusCode!))
    )
    slow.write("a")
    // The head has arrived when another request on the same server was answered behind it.
    while ((server.counts.get("HeadObject") ?? 0) === 0)
      await codeOf(client.send(new HeadObjectCommand({ Bucket, Key: "k" })))
    await raw(server, "DELETE", "/bucket/k")
    slow.end("b")
    assert.strictEqual(await status, 409)
    assert.strictEqual(await codeOf(client.send(new HeadObjectCommand({ Bucket, Key: "k" }))), "404 NotFound")
  })

  test("conditional reads answer 304 and 412", async (client, server) => {
    const { ETag } = await client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }))
    assert.strictEqual((await raw(server, "GET", "/bucket/k", { "if-none-match": ETag! })).status, 304)
    assert.strictEqual((await raw(server, "GET", "/bucket/k", { "if-none-match": '"other"' })).status, 200)
    assert.strictEqual((await raw(server, "GET", "/bucket/k", { "if-match": '"other"' })).status, 412)
    const future = new Date(Date.now() + 100_000).toUTCString()
    assert.strictEqual((await raw(server, "GET", "/bucket/k", { "if-modified-since": future })).status, 304)
  })

  test("every checksum algorithm is verified, in headers and in trailers of chunked bodies", async (client) => {
    for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"] as const) {
      const body = Buffer.alloc(200_000, ChecksumAlgorithm)
      await client.send(new PutObjectCommand({ Bucket, Key: "whole", Body: body, ChecksumAlgorithm }))
      const Body = Readable.from([body.subarray(0, 70_000), body.subarray(70_000)])
      await client.send(
        new PutObjectCommand({ Bucket, Key: "stream", Body, ContentLength: body.length, ChecksumAlgorithm })
      )
      const got = await client.send(new GetObjectCommand({ Bucket, Key: "stream" }))
      assert.isTrue(Buffer.from(await got.Body!.transformToByteArray()).equals(body), ChecksumAlgorithm)
    }
  })

  test("a body that does not fit its checksum, digest, hash or length leaves nothing", async (_, server) => {
    const put = async (headers: Record<string, string>, body: string): Promise<string> => {
      const answer = await raw(server, "PUT", "/bucket/bad", headers, body)
      return `${answer.status} ${/<Code>(\w+)/.exec(answer.body.toString())?.[1]}`
    }
    const wrong = Buffer.alloc(4).toString("base64")
    assert.strictEqual(await put({ "x-amz-checksum-crc32": wrong }, "hello"), "400 BadDigest")
    assert.strictEqual(await put({ "content-md5": Buffer.alloc(16).toString("base64") }, "hello"), "400 BadDigest")
    assert.strictEqual(await put({ "content-md5": "?" }, "hello"), "400 InvalidDigest")
    assert.strictEqual(await put({ "x-amz-content-sha256": "0".repeat(64) }, "hello"), "400 XAmzContentSHA256Mismatch")
    const chunked = {
      "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
      "x-amz-trailer": "x-amz-checksum-crc32"
    }
    const good = Buffer.alloc(4)
    good.writeUInt32BE(crc32("hello"))
    const body = (sum: string) => `5\r\nhello\r\n0\r\nx-amz-checksum-crc32:${sum}\r\n\r\n`
    assert.strictEqual(await put(chunked, body(wrong)), "400 BadDigest")
    assert.strictEqual(await put(chunked, "5\r\nhello\r\n0\r\n\r\n"), "400 InvalidRequest")
    assert.strictEqual(await put(chunked, "5\r\nhel"), "400 IncompleteBody")
    assert.strictEqual(
      await put({ ...chunked, "x-amz-decoded-content-length": "6" }, body(good.toString("base64"))),
      "400 IncompleteBody"
    )
    assert.strictEqual((await raw(server, "GET", "/bucket/bad")).status, 404)
    const signed = {
      "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      "content-encoding": "aws-chunked,gzip"
    }
    assert.strictEqual(
      (await raw(server, "PUT", "/bucket/ok", signed, "5;chunk-signature=0\r\nhello\r\n0;chunk-signature=0\r\n\r\n"))
        .status,
      200
    )
    const got = await raw(server, "GET", "/bucket/ok")
    assert.strictEqual(got.body.toString(), "hello")
    assert.strictEqual(got.headers["content-encoding"], "gzip")
  })

  test("listing: pages, delimiter, start-after, both versions, url encoding", async (client, server) => {
    const keys = ["a/1", "a/2", "b c", "d/1", "d/2", "e\u0001", "f"]
    for (const Key of keys) await client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }))
    const all = await client.send(new ListObjectsV2Command({ Bucket, EncodingType: "url" }))
    assert.deepStrictEqual(
      all.Contents!.map(({ Key }) => decodeURIComponent(Key!)),
      keys
    )
    const top = await client.send(new ListObjectsV2Command({ Bucket, Delimiter: "/", MaxKeys: 2 }))
    assert.deepStrictEqual(
      [top.CommonPrefixes!.map(({ Prefix }) => Prefix), top.Contents!.map(({ Key }) => Key)],
      [["a/"], ["b c"]]
    )
    assert.strictEqual(top.KeyCount, 2)
    const rest = await client.send(
      new ListObjectsV2Command({
        Bucket,
        Delimiter: "/",
        ContinuationToken: top.NextContinuationToken!,
        EncodingType: "url"
      })
    )
    assert.deepStrictEqual(
      rest.CommonPrefixes!.map(({ Prefix }) => Prefix),
      ["d/"]
    )
    assert.isFalse(rest.IsTruncated)
    const after = await client.send(new ListObjectsV2Command({ Bucket, StartAfter: "d/1", Prefix: "d" }))
    assert.deepStrictEqual(
      after.Contents!.map(({ Key }) => Key),
      ["d/2"]
    )
    const old = await client.send(new ListObjectsCommand({ Bucket, MaxKeys: 3 }))
    assert.deepStrictEqual([old.Contents!.length, old.IsTruncated, old.NextMarker], [3, true, "b c"])
    const older = await client.send(new ListObjectsCommand({ Bucket, Marker: "d/2", Prefix: "f" }))
    assert.deepStrictEqual(
      older.Contents!.map(({ Key }) => Key),
      ["f"]
    )
    assert.strictEqual((await raw(server, "GET", "/bucket?list-type=2&continuation-token=%21")).status, 400)
    assert.strictEqual((await raw(server, "GET", "/bucket?list-type=2&max-keys=x")).status, 400)
  })

  test("DeleteObjects deletes up to 1000, quietly or not", async (client, server) => {
    for (const Key of ["a", "b&c"]) await client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }))
    const Objects = [{ Key: "a" }, { Key: "missing" }]
    const loud = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))
    assert.deepStrictEqual(
      loud.Deleted!.map(({ Key }) => Key),
      ["a", "missing"]
    )
    const quiet = await client.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "b&c" }], Quiet: true } })
    )
    assert.isUndefined(quiet.Deleted)
    assert.strictEqual((await client.send(new ListObjectsV2Command({ Bucket }))).KeyCount, 0)
    const many = `<Delete>${"<Object><Key>k</Key></Object>".repeat(1001)}</Delete>`
    for (const body of [many, "<Delete/>", "not xml", "<Other/>"]) {
      assert.strictEqual((await raw(server, "POST", "/bucket?delete", {}, body)).status, 400)
    }
  })

  test("copies keep or replace what belongs to the object", async (client) => {
    await client.send(
      new PutObjectCommand({ Bucket, Key: "a&b", Body: "x", ContentType: "text/x", Metadata: { m: "1" } })
    )
    const CopySource = `${Bucket}/${encodeURIComponent("a&b")}`
    await client.send(new CopyObjectCommand({ Bucket, Key: "kept", CopySource }))
    const kept = await client.send(new HeadObjectCommand({ Bucket, Key: "kept" }))
    assert.deepStrictEqual([kept.ContentType, kept.Metadata], ["text/x", { m: "1" }])
    await client.send(
      new CopyObjectCommand({ Bucket, Key: "replaced", CopySource, MetadataDirective: "REPLACE", Metadata: { n: "2" } })
    )
    const replaced = await client.send(new HeadObjectCommand({ Bucket, Key: "replaced" }))
    assert.deepStrictEqual(replaced.Metadata, { n: "2" })
    assert.strictEqual(
      await codeOf(client.send(new CopyObjectCommand({ Bucket, Key: "a&b", CopySource }))),
      "400 InvalidRequest"
    )
    const missing = new CopyObjectCommand({ Bucket, Key: "c", CopySource: `${Bucket}/missing` })
    assert.strictEqual(await codeOf(client.send(missing)), "404 NoSuchKey")
  })

  test("multipart uploads: parts in order, conditions, ETag with the number of parts, copies of ranges, abort", async (client) => {
    const Key = "big"
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key, ContentType: "text/big" }))
    const first = Buffer.alloc(5 << 20, "a")
    const part = async (PartNumber: number, Body: Buffer | string) => ({
      PartNumber,
      ETag: (await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }))).ETag!
    })
    await part(1, "replaced later")
    const parts = [await part(1, first), await part(2, "tail")]
    const listed = await client.send(new ListPartsCommand({ Bucket, Key, UploadId }))
    assert.deepStrictEqual(
      listed.Parts!.map(({ PartNumber, Size }) => [PartNumber, Size]),
      [
        [1, first.length],
        [2, 4]
      ]
    )
    assert.strictEqual((await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads!.length, 1)
    const complete = (Parts: typeof parts, IfNoneMatch?: string) =>
      client.send(
        new CompleteMultipartUploadCommand({
          Bucket,
          Key,
          UploadId,
          MultipartUpload: { Parts },
          ...(IfNoneMatch === undefined ? {} : { IfNoneMatch })
        })
      )
    assert.strictEqual(await codeOf(complete(parts.toReversed())), "400 InvalidPartOrder")
    assert.strictEqual(await codeOf(complete([{ PartNumber: 3, ETag: '"x"' }])), "400 InvalidPart")
    await client.send(new PutObjectCommand({ Bucket, Key, Body: "in the way" }))
    assert.strictEqual(await codeOf(complete(parts, "*")), "412 PreconditionFailed")
    const done = await complete(parts)
    const md5s = Buffer.concat([first, Buffer.from("tail")].map((each) => createHash("md5").update(each).digest()))
    assert.strictEqual(done.ETag, `"${createHash("md5").update(md5s).digest("hex")}-2"`)
    const got = await client.send(new GetObjectCommand({ Bucket, Key, Range: `bytes=${first.length - 1}-` }))
    assert.strictEqual(await got.Body!.transformToString(), "atail")
    assert.strictEqual(got.ContentType, "text/big")
    assert.strictEqual(await codeOf(complete(parts)), "404 NoSuchUpload")

    const second = (await client.send(new CreateMultipartUploadCommand({ Bucket, Key: "copy" }))).UploadId
    const copy = new UploadPartCopyCommand({
      Bucket,
      Key: "copy",
      UploadId: second,
      PartNumber: 1,
      CopySource: `${Bucket}/${Key}`,
      CopySourceRange: `bytes=${first.length}-${first.length + 1}`
    })
    const { CopyPartResult } = await client.send(copy)
    const Parts = [{ PartNumber: 1, ETag: CopyPartResult!.ETag! }]
    await client.send(
      new CompleteMultipartUploadCommand({ Bucket, Key: "copy", UploadId: second, MultipartUpload: { Parts } })
    )
    assert.strictEqual(await bodyOf(client, "copy"), "ta")
    const third = (await client.send(new CreateMultipartUploadCommand({ Bucket, Key: "gone" }))).UploadId
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key: "gone", UploadId: third }))
    assert.strictEqual((await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads, undefined)
  })

  test("buckets: create, list, head, location, delete", async (client) => {
    await client.send(
      new CreateBucketCommand({ Bucket: "second", CreateBucketConfiguration: { LocationConstraint: "eu-west-1" } })
    )
    assert.deepStrictEqual(
      (await client.send(new ListBucketsCommand({}))).Buckets!.map(({ Name }) => Name),
      ["bucket", "second"]
    )
    assert.strictEqual(
      await codeOf(client.send(new CreateBucketCommand({ Bucket: "second" }))),
      "409 BucketAlreadyOwnedByYou"
    )
    await client.send(new HeadBucketCommand({ Bucket: "second" }))
    await client.send(new GetBucketLocationCommand({ Bucket: "second" }))
    await client.send(new PutObjectCommand({ Bucket: "second", Key: "k", Body: "x" }))
    assert.strictEqual(await codeOf(client.send(new DeleteBucketCommand({ Bucket: "second" }))), "409 BucketNotEmpty")
    await client.send(new DeleteObjectsCommand({ Bucket: "second", Delete: { Objects: [{ Key: "k" }] } }))
    await client.send(new DeleteBucketCommand({ Bucket: "second" }))
    assert.strictEqual(await codeOf(client.send(new HeadBucketCommand({ Bucket: "second" }))), "404 NotFound")
  })

  test("STS hands out roles", async (_, server) => {
    const sts = new STSClient({
      endpoint: server.url,
      region: "us-east-1",
      credentials: { accessKeyId: "x", secretAccessKey: "y" }
    })
    const RoleArn = "arn:aws:iam::123456789012:role/r"
    const assumed = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "netsy-session" }))
    assert.isAbove(assumed.Credentials!.Expiration!.getTime(), Date.now())
    const token = { RoleArn, RoleSessionName: "s1", WebIdentityToken: "t.t.t" }
    const web = await sts.send(new AssumeRoleWithWebIdentityCommand(token))
    assert.isString(web.Credentials!.SessionToken)
    assert.strictEqual(
      await codeOf(sts.send(new AssumeRoleCommand({ RoleArn: "x".repeat(20), RoleSessionName: "s1" }))),
      "400 ValidationError"
    )
    sts.destroy()
  })

  test("faults: fail has no effect, lose has, down refuses everything, deny refuses actions, all changeable", async (client, server) => {
    const put = (Key: string) => codeOf(client.send(new PutObjectCommand({ Bucket, Key, Body: "x" })))
    const exists = async (Key: string) => (await raw(server, "HEAD", `/bucket/${Key}`)).status === 200
    server.faults.fail = { put: 1 }
    assert.match(await put("failed"), /^50[03] /)
    server.faults.fail = {}
    assert.isFalse(await exists("failed"))
    server.faults.loseAnswer = { put: 1 }
    assert.match(await put("lost"), /^undefined /)
    server.faults.loseAnswer = {}
    assert.isTrue(await exists("lost"))
    server.faults.down = true
    assert.strictEqual(await put("k"), "503 ServiceUnavailable")
    assert.strictEqual((await raw(server, "GET", "/")).status, 503)
    server.faults.down = false
    server.faults.deny = ["s3:Put*"]
    assert.strictEqual(await put("k"), "403 AccessDenied")
    server.faults.deny = ["s3:ListBucket"]
    assert.strictEqual((await raw(server, "GET", "/bucket/missing")).status, 403)
    assert.strictEqual((await raw(server, "GET", "/bucket/lost")).status, 200)
    server.faults.deny = []
    server.faults.intercept = (call) => (call.key === "only-this" && call.group === "put" ? "fail" : undefined)
    assert.match(await put("only-this"), /^50[03] /)
    assert.strictEqual(await put("another"), "success")
  })

  test("latency delays the answer", async (_, server) => {
    server.faults.latency = { medianMillis: 60, p99Millis: 60 }
    const before = performance.now()
    await raw(server, "GET", "/")
    assert.isAtLeast(performance.now() - before, 55)
  })

  test("what is not there is 501 or 405, and never something else's answer", async (_, server) => {
    for (const path of [
      "/bucket?acl",
      "/bucket/k?tagging",
      "/bucket?policy",
      "/bucket/k?versionId=1",
      "/bucket?versions"
    ]) {
      assert.strictEqual((await raw(server, "GET", path)).status, 501, path)
    }
    assert.strictEqual((await raw(server, "PATCH", "/bucket/k")).status, 405)
    assert.strictEqual((await raw(server, "PUT", "/bucket/k", { "x-amz-storage-class": "FAST" }, "x")).status, 400)
    const error = await raw(server, "GET", "/bucket/k<&>")
    assert.strictEqual(error.status, 404)
    assert.match(error.body.toString(), /<Code>NoSuchKey<\/Code>.*<RequestId>[0-9A-F]{16}<\/RequestId>/)
  })

  test("garbage, broken requests and vanishing clients do not end it", async (client, server) => {
    const send = (text: string): Promise<void> =>
      new Promise((resolve) => {
        const socket = connect(server.port, "127.0.0.1", () => socket.end(text))
        socket.once("error", () => resolve())
        socket.once("close", () => resolve())
        socket.resume()
      })
    await send("\x00\x01\x02 garbage\r\n\r\n")
    await send("PUT /bucket/half HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this")
    await send("PUT /bucket/half HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n" + "y".repeat(2_000_000))
    await send("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n")
    await send("GET /bucket/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.strictEqual((await raw(server, "GET", "/%zz")).status, 400)
    assert.strictEqual((await raw(server, "POST", "/", {}, "a".repeat(300_000))).status, 400)
    assert.strictEqual((await raw(server, "PUT", `/bucket/${"k".repeat(1025)}`, {}, "x")).status, 400)
    assert.strictEqual((await client.send(new ListObjectsV2Command({ Bucket }))).KeyCount, 0)
  })
})

describe("dev-s3's folder", () => {
  const started = (
    dir: string,
    extra: Partial<Parameters<typeof startDevS3>[0]> = {}
  ): Effect.Effect<DevS3, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.promise(() => startDevS3({ dir, bucket: "bucket", ...extra })),
      (server) => Effect.promise(() => server.close())
    )

  it.live("objects are files of their names, and everything is there after a restart", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryFolder
      const odd = ["a", "a/b", "a/b/c", "x//y", "../up", ".dot", "tail/", "%41", "L".repeat(1000)]
      const before = yield* Effect.scoped(
        Effect.flatMap(started(dir, { fsync: true }), (server) =>
          Effect.promise(async () => {
            const client = clientOf(server)
            for (const Key of odd) {
              await raw(
                server,
                "PUT",
                `/bucket/${encodeURIComponent(Key)}`,
                { "x-amz-meta-key": encodeURIComponent(Key) },
                Key
              )
            }
            const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: "up" }))
            await client.send(new UploadPartCommand({ Bucket, Key: "up", UploadId, PartNumber: 1, Body: "part" }))
            return (await client.send(new ListObjectsV2Command({ Bucket }))).Contents
          })
        )
      )
      assert.strictEqual(before!.length, odd.length)
      assert.strictEqual(readFileSync(join(dir, "bucket/a/b/c"), "utf8"), "a/b/c")
      // Somebody puts a file there by hand.
      writeFileSync(join(dir, "bucket/by-hand.txt"), "hand made")
      const server = yield* started(dir)
      yield* Effect.promise(async () => {
        const client = clientOf(server)
        const after = (await client.send(new ListObjectsV2Command({ Bucket }))).Contents!
        assert.deepStrictEqual(
          after.filter(({ Key }) => Key !== "by-hand.txt"),
          before
        )
        for (const Key of odd) {
          const answer = await raw(server, "GET", `/bucket/${encodeURIComponent(Key)}`)
          assert.strictEqual(answer.body.toString(), Key)
          assert.strictEqual(answer.headers["x-amz-meta-key"], encodeURIComponent(Key))
        }
        const hand = await raw(server, "HEAD", "/bucket/by-hand.txt")
        assert.strictEqual(hand.headers["etag"], `"${createHash("md5").update("hand made").digest("hex")}"`)
        assert.strictEqual((await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads!.length, 1)
        for (const Key of odd) await raw(server, "DELETE", `/bucket/${encodeURIComponent(Key)}`)
        assert.deepStrictEqual(readdirSync(join(dir, "bucket")), ["by-hand.txt"])
        rmSync(join(dir, "bucket/by-hand.txt"))
        assert.strictEqual((await raw(server, "GET", "/bucket/by-hand.txt")).status, 404)
      })
    })
  )
})
