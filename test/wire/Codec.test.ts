/** Our hand-written codecs against protobufjs and proto/etcd: the same bytes for the same message, both ways. */
import { assert, describe, it } from "@effect/vitest"
import * as auth from "../../src/core/wire/codec/auth.ts"
import * as cluster from "../../src/core/wire/codec/cluster.ts"
import * as common from "../../src/core/wire/codec/common.ts"
import * as election from "../../src/core/wire/codec/election.ts"
import * as health from "../../src/core/wire/codec/health.ts"
import * as kv from "../../src/core/wire/codec/kv.ts"
import * as lease from "../../src/core/wire/codec/lease.ts"
import * as lock from "../../src/core/wire/codec/lock.ts"
import * as maintenance from "../../src/core/wire/codec/maintenance.ts"
import type { Message } from "../../src/core/wire/codec/message.ts"
import { RangeSteps } from "../../src/core/wire/codec/rangeSteps.ts"
import * as txn from "../../src/core/wire/codec/txn.ts"
import * as watch from "../../src/core/wire/codec/watch.ts"
import type { TxnRequest } from "../../src/core/wire/messages.ts"
import { MalformedMessage, maxDepth, Writer } from "../../src/core/wire/protobuf.ts"
import { random } from "./random.ts"
import { messageType, ours, randomMessage } from "./reference.ts"

interface Codec {
  readonly type: string
  readonly encode: (message: never) => Uint8Array
  readonly decode: (bytes: Uint8Array) => unknown
}

const codec = <A>(type: string, encode: (message: A) => Uint8Array, decode: (bytes: Uint8Array) => A): Codec => ({
  type,
  encode,
  decode
})

/** Everything that a module describes by its fields. */
const described = (packageName: string, module: object): ReadonlyArray<Codec> =>
  Object.values(module as Record<string, Message<never>>).map(({ name, encode, decode }) =>
    codec(`${packageName}.${name}`, encode, decode)
  )

const authpb = /\.(Permission|UserAddOptions|User|Role)$/

const codecs: ReadonlyArray<Codec> = [
  codec("etcdserverpb.RangeRequest", kv.encodeRangeRequest, kv.decodeRangeRequest),
  codec("etcdserverpb.RangeResponse", kv.encodeRangeResponse, kv.decodeRangeResponse),
  codec("etcdserverpb.PutRequest", kv.encodePutRequest, kv.decodePutRequest),
  codec("etcdserverpb.PutResponse", kv.encodePutResponse, kv.decodePutResponse),
  codec("etcdserverpb.DeleteRangeRequest", kv.encodeDeleteRangeRequest, kv.decodeDeleteRangeRequest),
  codec("etcdserverpb.DeleteRangeResponse", kv.encodeDeleteRangeResponse, kv.decodeDeleteRangeResponse),
  codec("etcdserverpb.CompactionRequest", kv.encodeCompactionRequest, kv.decodeCompactionRequest),
  codec("etcdserverpb.CompactionResponse", common.encodeHeaderResponse, common.decodeHeaderResponse),
  codec("etcdserverpb.TxnRequest", txn.encodeTxnRequest, txn.decodeTxnRequest),
  codec("etcdserverpb.TxnResponse", txn.encodeTxnResponse, txn.decodeTxnResponse),
  codec("etcdserverpb.WatchRequest", watch.encodeWatchRequest, watch.decodeWatchRequest),
  codec("etcdserverpb.WatchResponse", watch.encodeWatchResponse, watch.decodeWatchResponse),
  ...described("etcdserverpb", lease),
  ...described("etcdserverpb", cluster),
  ...described("etcdserverpb", maintenance),
  ...described("etcdserverpb", auth).map(({ type, ...rest }) => ({
    ...rest,
    type: authpb.test(type) ? type.replace("etcdserverpb", "authpb") : type
  })),
  ...described("v3lockpb", lock),
  ...described("v3electionpb", election),
  ...described("grpc.health.v1", health)
]

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

/** Runs the decoder; anything but a result or MalformedMessage inside the input is an error of the decoder. */
const decodesOrRefuses = (decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void => {
  try {
    decode(bytes)
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error
    assert.isAtLeast(error.offset, 0)
    assert.isAtMost(error.offset, bytes.length)
  }
}

describe("codecs", () => {
  for (const { type, encode, decode } of codecs) {
    it(`${type}: protobufjs and we write the same bytes and read the same values`, () => {
      const reference = messageType(type)
      for (let seed = 1; seed <= 150; seed++) {
        const message = randomMessage(random(seed), reference)
        const bytes = reference.encode(message).finish()
        const decoded = decode(bytes)
        assert.deepStrictEqual(decoded, ours(reference, message), `seed ${seed}`)
        assert.strictEqual(hex(encode(decoded as never)), hex(bytes), `seed ${seed}`)
      }
    })

    it(`${type}: garbage, cuts and flipped bits are read or refused with an offset inside the input`, () => {
      const reference = messageType(type)
      for (let seed = 1; seed <= 100; seed++) {
        const source = random(seed)
        decodesOrRefuses(decode, source.bytes(source.int(60)))
        const bytes = reference.encode(randomMessage(source, reference)).finish()
        decodesOrRefuses(decode, bytes.subarray(0, source.int(bytes.length + 1)))
        const flipped = Uint8Array.from(bytes)
        for (let i = 0; i < 3 && flipped.length > 0; i++) {
          const at = source.int(flipped.length)
          flipped[at] = flipped[at]! ^ (1 << source.int(8))
        }
        decodesOrRefuses(decode, flipped)
      }
    })

    it(`${type}: unknown fields are passed over`, () => {
      const reference = messageType(type)
      const writer = new Writer()
      writer.tag(500, 0)
      writer.varint64(-1n)
      writer.tag(501, 1)
      writer.raw(new Uint8Array(8))
      writer.bytesField(502, new Uint8Array(300))
      writer.tag(503, 5)
      writer.raw(new Uint8Array(4))
      const message = randomMessage(random(7), reference)
      const bytes = reference.encode(message).finish()
      const decoded = decode(Buffer.concat([writer.finish(), bytes, writer.finish()]))
      assert.deepStrictEqual(decoded, ours(reference, message))
    })

    const field = messageType(type).fieldsArray[0]
    if (field === undefined) continue
    it(`${type}: a known field with another wire type is refused`, () => {
      for (const wireType of [0, 1, 2, 3, 4, 5, 6, 7]) {
        const packable = field.type === "bytes" || field.type === "string" || "fields" in (field.resolvedType ?? {})
        if (wireType === (packable ? 2 : 0)) continue
        const writer = new Writer()
        writer.tag(field.id, wireType)
        writer.raw(new Uint8Array(16))
        assert.throws(() => decode(writer.finish()), MalformedMessage)
      }
    })
  }

  it("a range response in steps has the same bytes, and no step does more than its share", () => {
    const reference = messageType("etcdserverpb.RangeResponse")
    for (let seed = 1; seed <= 50; seed++) {
      const message = kv.decodeRangeResponse(reference.encode(randomMessage(random(seed), reference)).finish())
      const bytes = new RangeSteps(message).step()
      assert.strictEqual(hex(bytes!), hex(kv.encodeRangeResponse(message)), `seed ${seed}`)
    }
    const one = { key: random(1).bytes(10), createRevision: 1, modRevision: 2, version: 3, lease: 0n }
    for (const [count, valueBytes, stepsMin] of [
      [10_000, 10, 9],
      [100, 100_000, 10]
    ] as const) {
      const kvs = Array.from({ length: count }, () => ({ ...one, value: new Uint8Array(valueBytes) }))
      const message = { header: undefined, kvs, more: true, count: count + 1 }
      const encoder = new RangeSteps(message)
      let steps = 1
      let bytes = encoder.step()
      for (; bytes === undefined; steps++) bytes = encoder.step()
      assert.isTrue(Buffer.from(bytes).equals(kv.encodeRangeResponse(message)))
      assert.isAtLeast(steps, stepsMin)
    }
  })

  it("byte fields of a Buffer are plain Uint8Array views", () => {
    const { key } = kv.decodePutRequest(Buffer.from([10, 2, 7, 8]))
    assert.deepStrictEqual(key, Uint8Array.of(7, 8))
    assert.strictEqual(key.constructor, Uint8Array)
  })

  it("a revision or limit beyond 2^53 becomes the largest safe integer, and −2^63 the smallest", () => {
    const writer = new Writer()
    writer.tag(3, 0)
    writer.varint64(-(2n ** 63n))
    writer.tag(4, 0)
    writer.varint64(2n ** 53n)
    const request = kv.decodeRangeRequest(writer.finish())
    assert.strictEqual(request.limit, Number.MIN_SAFE_INTEGER)
    assert.strictEqual(request.revision, Number.MAX_SAFE_INTEGER)
  })

  it("filters are read packed and one by one", () => {
    const filters = (bytes: ReadonlyArray<number>): ReadonlyArray<number> => {
      const request = watch.decodeWatchRequest(Uint8Array.of(10, bytes.length, ...bytes))
      return request.kind === "create" ? request.create.filters : []
    }
    assert.deepStrictEqual(filters([42, 2, 0, 1]), [0, 1])
    assert.deepStrictEqual(filters([40, 0, 40, 1]), [0, 1])
  })

  const nestedTxn = (levels: number): TxnRequest => {
    let request: TxnRequest = { compare: [], success: [], failure: [] }
    for (let i = 0; i < levels; i++) request = { compare: [], success: [{ kind: "txn", txn: request }], failure: [] }
    return request
  }

  it("a hundred Txns inside each other are read", () => {
    const request = nestedTxn(100)
    assert.deepStrictEqual(txn.decodeTxnRequest(txn.encodeTxnRequest(request)), request)
  })

  it("deeper nesting is refused, however deep", () => {
    for (const levels of [maxDepth / 2 + 1, 20_000]) {
      let bytes: Uint8Array = new Uint8Array(0)
      for (let i = 0; i < levels; i++) {
        const writer = new Writer()
        const op = writer.open(2)
        writer.bytesElement(4, bytes)
        writer.close(op)
        bytes = writer.finish()
      }
      assert.throws(() => txn.decodeTxnRequest(bytes), /inside each other/)
    }
  })

  it("a string that is not UTF-8 is refused", () => {
    assert.throws(() => health.HealthCheckRequest.decode(Uint8Array.of(10, 2, 0xc3, 0x28)), /not UTF-8/)
  })
})
