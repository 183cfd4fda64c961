import { createHash, generateKeyPairSync, sign, X509Certificate } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { pemOf, selfSigned } from "../../src/core/identity/selfSigned.ts"

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })

const make = (change: Partial<Parameters<typeof selfSigned>[0]> = {}): X509Certificate =>
  new X509Certificate(
    pemOf(
      "CERTIFICATE",
      selfSigned({
        publicKey: publicKey.export({ type: "spki", format: "der" }),
        serial: Uint8Array.of(0xff, 2, 3),
        organization: "etcd",
        notBeforeMillis: Date.UTC(2026, 0, 1),
        notAfterMillis: Date.UTC(2060, 5, 30, 12, 30, 15),
        dnsNames: ["localhost", "*.example.com"],
        addresses: [Uint8Array.of(127, 0, 0, 1), new Uint8Array(16)],
        sign: (bytes) => sign("sha256", bytes, privateKey),
        ...change
      })
    )
  )

describe("a self-signed certificate", () => {
  it("says what it was told, and its own key has signed it", () => {
    const made = make()
    assert.isTrue(made.verify(publicKey) && made.ca && made.checkPrivateKey(privateKey))
    assert.deepStrictEqual([made.subject, made.issuer, made.serialNumber], ["O=etcd", "O=etcd", "7F0203"])
    assert.strictEqual(
      made.subjectAltName,
      "DNS:localhost, DNS:*.example.com, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:0"
    )
    assert.strictEqual(made.checkHost("a.example.com"), "*.example.com")
    assert.strictEqual(made.checkIP("127.0.0.1"), "127.0.0.1")
    assert.deepStrictEqual(made.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"])
    // The first year has two digits in the file, the second four.
    assert.deepStrictEqual(
      [made.validFromDate.toISOString(), made.validToDate.toISOString()],
      ["2026-01-01T00:00:00.000Z", "2060-06-30T12:30:15.000Z"]
    )
  })

  it.prop(
    "can be read whatever the names and numbers are",
    [Schema.Array(Schema.String), Schema.String],
    ([words, organization]) => {
      const digest = createHash("sha256").update(words.join()).digest()
      const dnsNames = words.map((word) => word.replace(/[^a-z0-9.]/gi, "") || "x")
      const made = make({
        dnsNames,
        serial: digest.subarray(0, 1 + (digest[0]! % 20)),
        organization: organization || "o"
      })
      assert.isTrue(made.verify(publicKey))
      assert.strictEqual(made.subjectAltName?.split(", ").length, dnsNames.length + 2)
    },
    { arbitrary: { runs: 50, seed: "certificates" } }
  )
})
