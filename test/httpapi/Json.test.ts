/** JSON ↔ protobuf without a socket: protobufjs is the model for messages, JSON.parse for what is JSON. */
import { assert, describe, it } from "@effect/vitest"
import { descriptorOnDisk, descriptorSource } from "../../scripts/dev/gatewayDescriptor.ts"
import { type MessageType, rpcs } from "../../src/core/json/descriptor.ts"
import { Documents } from "../../src/core/json/documents.ts"
import { fromProtobuf, JsonSteps } from "../../src/core/json/fromProtobuf.ts"
import { BadJson, JsonReader } from "../../src/core/json/reader.ts"
import { base64Fault, toProtobuf, wholeNumber } from "../../src/core/json/toProtobuf.ts"
import { methods } from "../../src/layers/clientapi/methods.ts"
import { routes } from "../../src/layers/httpapi/routes.ts"
import { messageType, randomMessage } from "../wire/reference.ts"
import { random } from "../wire/random.ts"
import { mutated, randomJson } from "./randomJson.ts"

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

const request = (rpc: string): MessageType => rpcs().get(rpc)!.request

/** What protobufjs reads in the bytes that come of the JSON. */
const read = (rpc: string, json: string): unknown => {
  const type = request(rpc)
  const model = messageType(type.name)
  return model.toObject(model.decode(toProtobuf(type, bytesOf(json))), { longs: String, enums: String, bytes: String })
}

const refusal = (rpc: string, json: string | Uint8Array): string => {
  try {
    toProtobuf(request(rpc), typeof json === "string" ? bytesOf(json) : json)
  } catch (error) {
    if (error instanceof BadJson) return error.message
    throw error
  }
  return "accepted"
}

const range = "/etcdserverpb.KV/Range"
const txn = "/etcdserverpb.KV/Txn"
const grant = "/etcdserverpb.Lease/LeaseGrant"
const watch = "/etcdserverpb.Watch/Watch"

describe("the gateway's descriptor", () => {
  it("is what the .proto files say (scripts/dev/gatewayDescriptor.ts writes it)", () => {
    assert.strictEqual(descriptorOnDisk(), descriptorSource())
  })

  it("knows every rpc, and every rpc but health and RangeStream has a path", () => {
    assert.deepStrictEqual([...rpcs().keys()].toSorted(), [...methods.keys()].toSorted())
    const without = [...methods.keys()].filter((method) => ![...routes.values()].includes(method))
    assert.deepStrictEqual(without, [
      "/etcdserverpb.KV/RangeStream",
      "/grpc.health.v1.Health/Check",
      "/grpc.health.v1.Health/Watch"
    ])
    assert.strictEqual(routes.get("/v3/kv/lease/timetolive"), "/etcdserverpb.Lease/LeaseTimeToLive")
    assert.strictEqual(routes.size, methods.size - without.length + 3)
  })
})

describe("messages in JSON", () => {
  it("every message reads the same as with protobufjs, and comes back as the same message", () => {
    const source = random(20)
    for (const { request: asked, response } of rpcs().values()) {
      for (const type of [asked, response]) {
        const model = messageType(type.name)
        for (let i = 0; i < 60; i++) {
          const bytes = model.encode(randomMessage(source, model)).finish()
          const expected = model.toObject(model.decode(bytes), { longs: String, enums: String, bytes: String })
          const text = fromProtobuf(type, bytes)
          assert.deepStrictEqual(JSON.parse(text), JSON.parse(JSON.stringify(expected)), type.name)
          const back = model.decode(toProtobuf(type, bytesOf(text)))
          assert.deepStrictEqual(
            model.toObject(back, { longs: String, enums: String, bytes: String }),
            expected,
            type.name
          )
        }
      }
    }
  })

  it("big answers come in pieces that make the whole", () => {
    const model = messageType("etcdserverpb.RangeResponse")
    const kvs = Array.from({ length: 500 }, (_, i) => ({ key: bytesOf(`k${i}`), value: new Uint8Array(1000).fill(i) }))
    const bytes = model.encode({ kvs, count: 500 }).finish()
    const steps = new JsonSteps(rpcs().get(range)!.response, bytes)
    const pieces: Array<string> = []
    while (!steps.done()) pieces.push(steps.step())
    assert.isAbove(pieces.length, 5)
    assert.isTrue(pieces.every((piece) => piece.length < 80_000))
    const { kvs: read } = JSON.parse(pieces.join("")) as { kvs: ReadonlyArray<{ key: string; value: string }> }
    assert.strictEqual(read.length, 500)
    assert.strictEqual(Buffer.from(read[499]!.value, "base64").length, 1000)
  })

  it("zero values are left out, also when the bytes hold them; empty messages and members of a oneof stay", () => {
    const { response } = rpcs().get("/etcdserverpb.Lease/LeaseKeepAlive")!
    // A header without fields, ID 7, and a TTL of 0 that was written.
    assert.strictEqual(fromProtobuf(response, Uint8Array.of(0x0a, 0, 0x10, 7, 0x18, 0)), '{"header":{},"ID":"7"}')
    const compare = '{"compare":[{"target":"VERSION","key":"YQ==","version":"0"}]}'
    assert.strictEqual(
      fromProtobuf(request(txn), toProtobuf(request(txn), bytesOf(compare))),
      compare.replace('"target":"VERSION",', "")
    )
  })

  it("a list in two parts is a fault of the encoder, not two members of one name", () => {
    const { response } = rpcs().get(range)!
    // kvs, count, kvs again.
    assert.throws(() => fromProtobuf(response, Uint8Array.of(0x12, 0, 0x20, 1, 0x12, 0)), /kvs comes in two parts/)
  })

  it("fields this version does not know are passed over", () => {
    const { response } = rpcs().get("/etcdserverpb.Lease/LeaseKeepAlive")!
    assert.strictEqual(fromProtobuf(response, Uint8Array.of(0x10, 7, 0xfa, 0x01, 2, 1, 1)), '{"ID":"7"}')
  })

  it("takes both spellings of names, nulls, unknown fields and an empty text", () => {
    assert.deepStrictEqual(read(range, '{"rangeEnd":"AA==","sort_order":2,"minModRevision":"5"}'), {
      range_end: "AA==",
      sort_order: "DESCEND",
      min_mod_revision: "5"
    })
    assert.deepStrictEqual(read(range, '{"key":null,"x":{"y":[1,"z",{}]},"__proto__":{"limit":3},"limit":4}'), {
      limit: "4"
    })
    for (const empty of ["", " \r\n\t", "{}", " { } "]) assert.deepStrictEqual(read(range, empty), {})
    assert.deepStrictEqual(read(watch, '{"create_request":{"filters":["NODELETE",0]}}'), {
      create_request: { filters: ["NODELETE", "NOPUT"] }
    })
  })

  it("looks at the first value only, as etcd's gateway does for calls with one request", () => {
    assert.deepStrictEqual(read(range, '{"limit":1} and what follows'), { limit: "1" })
  })

  it("keeps every digit of 64-bit numbers, as numbers and as strings", () => {
    for (const [text, value] of [
      ["9223372036854775807", "9223372036854775807"],
      ['"-9223372036854775808"', "-9223372036854775808"],
      ["7587881234567890123", "7587881234567890123"],
      ["-1", "-1"],
      ["1e3", "1000"],
      ['"12.50e2"', "1250"],
      ["9.007199254740993e15", "9007199254740993"],
      ["100e-2", "1"]
    ]) {
      assert.deepStrictEqual(read(grant, `{"ID":${text}}`), { ID: value }, text)
    }
    assert.deepStrictEqual(read(grant, '{"ID":-0.0e99999999999}'), {})
    assert.deepStrictEqual(read("/etcdserverpb.Cluster/MemberRemove", '{"ID":18446744073709551615}'), {
      ID: "18446744073709551615"
    })
  })

  it("takes base64 of both alphabets, padded or not, broken into lines or not", () => {
    const bytes = Uint8Array.of(0xfb, 0xff, 0xfe, 0x01)
    const standard = Buffer.from(bytes).toString("base64")
    const urlSafe = standard.replaceAll("+", "-").replaceAll("/", "_")
    const forms = [standard, urlSafe, standard.replace(/=+$/, ""), urlSafe.replace(/=+$/, ""), `${standard}\\n`]
    for (const form of forms) assert.deepStrictEqual(read(range, `{"key":"${form}"}`), { key: standard }, form)
  })

  it("says what is wrong and where", () => {
    for (const [json, reason] of [
      ["[]", "character 1: etcdserverpb.RangeRequest must be an object"],
      ['{"key":"Zm9', "character 8: a string without an end"],
      ['{"key":"Zm9*"}', 'character 8: RangeRequest.key is not base64: character 4 is "*"'],
      ['{"key":"Zm-/"}', 'character 8: RangeRequest.key is not base64: character 4 is "/"'],
      ['{"key":"Zm9vY"}', "character 8: RangeRequest.key is not base64: it has 5 characters"],
      ['{"key":"Zm9vYg="}', "character 8: RangeRequest.key is not base64: it has 7 characters"],
      ['{"key":"Z=9v"}', 'character 8: RangeRequest.key is not base64: character 2 is "="'],
      ['{"key":5}', "character 8: RangeRequest.key must be a string, not a number"],
      ['{"key":"\\ud800"}', "character 8: a string with half a surrogate pair"],
      ['{"limit":"abc"}', "character 10: RangeRequest.limit is not a number"],
      ['{"limit":" 1"}', "character 10: RangeRequest.limit is not a number"],
      ['{"limit":1.5}', "character 10: RangeRequest.limit is not a whole number"],
      ['{"limit":9223372036854775808}', "character 10: RangeRequest.limit does not fit into int64"],
      ['{"limit":1e999999999999999999999}', "character 10: RangeRequest.limit does not fit into int64"],
      ['{"limit":true}', "character 10: RangeRequest.limit must be a string, not true"],
      ['{"sort_order":"UP"}', 'character 15: RangeRequest.sort_order is "UP", which is none of NONE, ASCEND, DESCEND'],
      ['{"sort_order":2147483648}', "character 15: RangeRequest.sort_order does not fit into int32"],
      ['{"serializable":"true"}', "character 17: RangeRequest.serializable must be true or false, not string"],
      ['{"limit":1,"limit":2}', "character 20: RangeRequest.limit is given twice"],
      ['{"range_end":"","rangeEnd":""}', "character 28: RangeRequest.range_end is given twice"],
      ['{"limit":1,}', 'character 12: unexpected "}"'],
      ['{"limit":01}', 'character 11: unexpected "1"'],
      ["{", "character 2: unexpected end"]
    ] as const) {
      assert.strictEqual(refusal(range, json), `JSON at ${reason}`, json)
    }
    assert.strictEqual(refusal(range, Uint8Array.of(0x7b, 0xff, 0x7d)), "JSON at character 1: the text is not UTF-8")
    assert.include(
      refusal(txn, '{"success":[{"request_put":{},"request_range":{}}]}'),
      "another one of request is given"
    )
    assert.include(refusal(txn, '{"success":[null]}'), "TxnRequest.success has null as an element")
    assert.include(refusal(txn, '{"success":{}}'), "TxnRequest.success must be an array")
  })

  it("values inside each other have an end, known and unknown ones", () => {
    const nested = (depth: number): string =>
      depth === 0 ? "{}" : `{"success":[{"request_txn":${nested(depth - 1)}}]}`
    assert.strictEqual(refusal(txn, nested(100)), "accepted")
    assert.include(refusal(txn, nested(120)), "values inside each other")
    const unknown = `{"x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`
    assert.include(refusal(txn, unknown), "values inside each other")
  })

  it("numbers and base64 of any length are judged in no time", () => {
    const long = "9".repeat(1_000_000)
    const zeros = "0".repeat(1_000_000)
    const began = performance.now()
    assert.include(refusal(grant, `{"ID":${long}}`), "does not fit")
    assert.include(refusal(grant, `{"ID":1${zeros}e-1000001}`), "not a whole number")
    assert.deepStrictEqual(read(grant, `{"ID":1${zeros}e-1000000}`), { ID: "1" })
    assert.include(refusal(range, `{"key":"${"A".repeat(1_000_000)}=A"}`), "not base64")
    assert.include(refusal(range, `{"key":"${"=".repeat(1_000_000)}"}`), "not base64")
    assert.include(refusal(range, `{"key":"${"\\\\".repeat(500_000)}`), "without an end")
    assert.isBelow(performance.now() - began, 3_000)
  })
})

describe("wholeNumber", () => {
  it("agrees with exact arithmetic", () => {
    const source = random(7)
    for (let i = 0; i < 5_000; i++) {
      const digits = String(source.int(1_000_000))
      const places = source.int(12)
      const exponent = source.int(24) - 12
      const scaled = `${digits.slice(0, -places || undefined) || "0"}${places > 0 ? `.${digits.slice(-places).padStart(places, "0")}` : ""}`
      const text = `${source.chance(50) ? "-" : ""}${scaled}e${exponent}`
      const sign = text.startsWith("-") ? -1n : 1n
      const power = BigInt(exponent + 24 - places)
      const numerator = BigInt(digits) * 10n ** power
      const expected = numerator % 10n ** 24n === 0n ? (sign * numerator) / 10n ** 24n : undefined
      if (expected !== undefined && (expected > 10n ** 20n || expected < -(10n ** 20n))) continue
      assert.strictEqual(wholeNumber(text), expected, text)
    }
  })
})

describe("base64Fault", () => {
  it("finds a fault exactly where decoding and encoding lose something", () => {
    const source = random(11)
    const letters = "AZaz09+/-_=*\u00e4 "
    for (let i = 0; i < 20_000; i++) {
      const text = Array.from({ length: source.int(9) }, () => letters[source.int(letters.length)]!).join("")
      const bare = text.replace(/={0,2}$/, "")
      const right =
        (/^[A-Za-z0-9+/]*$/.test(bare) || /^[A-Za-z0-9_-]*$/.test(bare)) &&
        bare.length % 4 !== 1 &&
        (bare === text || text.length % 4 === 0)
      assert.strictEqual(base64Fault(text) === undefined, right, text)
      if (right) assert.strictEqual(Buffer.from(text, "base64").length, Math.floor((bare.length * 3) / 4), text)
    }
  })
})

describe("JsonReader", () => {
  it("accepts what JSON.parse accepts and nothing else", () => {
    const source = random(3)
    let accepted = 0
    for (let i = 0; i < 20_000; i++) {
      const text = mutated(source, randomJson(source), 3)
      let right = true
      try {
        JSON.parse(text)
      } catch {
        right = false
      }
      // Half surrogates are JSON to JSON.parse, but no text.
      if (right && /\\u[dD][89a-fA-F]/.test(text)) continue
      const reader = new JsonReader(text)
      let ours = false
      try {
        reader.skip()
        ours = reader.done()
      } catch (error) {
        assert.instanceOf(error, BadJson)
      }
      assert.strictEqual(ours, right, text)
      if (right) accepted++
    }
    assert.isAbove(accepted, 2_000)
  })
})

describe("Documents", () => {
  it("cuts the same objects out of the bytes however they come in", () => {
    const source = random(5)
    for (let i = 0; i < 300; i++) {
      const objects = Array.from({ length: source.int(6) }, () =>
        JSON.stringify({ a: JSON.parse(randomJson(source)) as unknown })
      )
      const bytes = bytesOf(objects.map((text) => text + " \n".repeat(source.int(3))).join(""))
      const documents = new Documents(1 << 20)
      const found: Array<string> = []
      for (let at = 0; at < bytes.length;) {
        const end = at + 1 + source.int(20)
        const fault = documents.push(bytes.subarray(at, end), (one) => found.push(new TextDecoder().decode(one)))
        assert.isUndefined(fault)
        at = end
      }
      assert.deepStrictEqual(found, objects)
      assert.isTrue(documents.isBetween())
    }
  })

  it("refuses what is no object, and objects that are too large, in one piece or in many", () => {
    const nothing = (): void => {}
    assert.include(new Documents(10).push(bytesOf(' "x"'), nothing), "must begin with")
    assert.include(new Documents(10).push(bytesOf('{"a":"12345"}'), nothing), "larger than 10 bytes")
    const documents = new Documents(10)
    assert.isUndefined(documents.push(bytesOf('{"a":"12'), nothing))
    assert.isFalse(documents.isBetween())
    assert.include(
      documents.push(bytesOf("34"), nothing) ?? documents.push(bytesOf("5"), nothing),
      "larger than 10 bytes"
    )
  })
})
