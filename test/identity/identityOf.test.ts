import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { identityOf } from "../../src/core/identity/identity.ts"
import { parseSubjectAltName } from "../../src/core/identity/subjectAltName.ts"

const reason = (names: string | undefined, wanted: "client" | "peer" = "client"): string => {
  const checked = identityOf(names, "c1", wanted)
  return checked.ok ? `accepted as ${checked.role} ${checked.name}` : checked.reason
}

describe("subject alternative names", () => {
  it("are split where Node splits them, quotes are honoured", () => {
    assert.deepStrictEqual(parseSubjectAltName("DNS:a.b, IP Address:0:0:0:0:0:0:0:1, URI:netsy://c/peer/n"), [
      { type: "DNS", value: "a.b" },
      { type: "IP Address", value: "0:0:0:0:0:0:0:1" },
      { type: "URI", value: "netsy://c/peer/n" }
    ])
    assert.deepStrictEqual(parseSubjectAltName('URI:"http://x/, URI:netsy://c1/client/admin", DNS:"a\\"b"'), [
      { type: "URI", value: "http://x/, URI:netsy://c1/client/admin" },
      { type: "DNS", value: 'a"b' }
    ])
    assert.deepStrictEqual(parseSubjectAltName(""), [])
    for (const text of ["x", "URI:a, ", 'URI:"a', 'URI:"a"b', 'URI:"\\q"', "URI:a,DNS:b", "1:a", 'URI:a"b']) {
      assert.isUndefined(parseSubjectAltName(text), text)
    }
  })

  it.prop(
    "no text crashes the reader or makes an identity out of a quoted name",
    [Schema.String],
    ([text]) => {
      parseSubjectAltName(text)
      assert.isFalse(
        identityOf(`URI:${JSON.stringify(`http://x/, URI:netsy://c1/client/a, ${text}`)}`, "c1", "client").ok
      )
      assert.isFalse(identityOf(`DNS:${JSON.stringify(text)}`, "c1", "client").ok)
    },
    { arbitrary: { runs: 300, seed: "names" } }
  )
})

describe("identities", () => {
  it("are read from the first netsy URI", () => {
    assert.strictEqual(
      reason("DNS:x, URI:https://x, URI:netsy://c1/client/kube-apiserver"),
      "accepted as client kube-apiserver"
    )
    assert.strictEqual(reason("URI:netsy://c1/peer/n-1", "peer"), "accepted as peer n-1")
    assert.strictEqual(reason("URI:NETSY://c1/client/any%20Name"), "accepted as client any Name")
    assert.strictEqual(reason("URI:netsy://c1/client/a, URI:netsy://c1/peer/b"), "accepted as client a")
  })

  it("are refused with a reason when the certificate says anything else", () => {
    const cases: ReadonlyArray<readonly [string | undefined, string, ("client" | "peer")?]> = [
      [undefined, "has no URI name netsy://c1/client/NAME"],
      ["DNS:netsy", "has no URI name"],
      ["URI:netsy://c2/client/a", 'for cluster "c2", this is c1'],
      ["URI:netsy://C1/client/a", 'for cluster "C1"'],
      ["URI:netsy://c1/admin/a", '"admin" is neither client nor peer'],
      ["URI:netsy://c1/peer/a", "role is peer; this port is for role client"],
      ["URI:netsy://c1/client/a", "role is client; this port is for role peer", "peer"],
      ["URI:netsy://c1/client/", "no valid name"],
      ["URI:netsy://c1/client/%zz", "no valid name"],
      ["URI:netsy://c1/client", "not of the form"],
      ["URI:netsy://c1/client/a/b", "not of the form"],
      ["URI:netsy://c1/client/a?x=1", "not of the form"],
      ["URI:netsy:c1", "not of the form"],
      ["URI:netsy://c1/peer/Not_Ok", "is not allowed", "peer"],
      ["URI:netsy://bad, URI:netsy://c1/client/a", "not of the form"],
      ["garbage", "cannot be read"]
    ]
    for (const [names, expected, wanted] of cases) assert.include(reason(names, wanted), expected, names)
  })
})
