/** TLS 1.2 suites: Go's name → OpenSSL's. Those of TLS 1.3 cannot be chosen, in Go as here. */

const suites: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: "ECDHE-RSA-AES128-GCM-SHA256",
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: "ECDHE-RSA-AES256-GCM-SHA384",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: "ECDHE-RSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-RSA-CHACHA20-POLY1305",
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: "ECDHE-ECDSA-AES128-SHA256",
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: "ECDHE-RSA-AES128-SHA256",
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: "ECDHE-ECDSA-AES128-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: "ECDHE-ECDSA-AES256-SHA",
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: "ECDHE-RSA-AES128-SHA",
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: "ECDHE-RSA-AES256-SHA",
  TLS_RSA_WITH_AES_128_GCM_SHA256: "AES128-GCM-SHA256",
  TLS_RSA_WITH_AES_256_GCM_SHA384: "AES256-GCM-SHA384",
  TLS_RSA_WITH_AES_128_CBC_SHA256: "AES128-SHA256",
  TLS_RSA_WITH_AES_128_CBC_SHA: "AES128-SHA",
  TLS_RSA_WITH_AES_256_CBC_SHA: "AES256-SHA"
}

const ofTls13: ReadonlyArray<string> = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256"
]

/** Known to Go, and to no server that should be reached today: RC4, 3DES. */
const withdrawn: ReadonlyArray<string> = [
  "TLS_RSA_WITH_RC4_128_SHA",
  "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
  "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
  "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
  "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"
]

export type SuitesResult =
  | { readonly ok: true; readonly openssl: ReadonlyArray<string>; readonly warnings: ReadonlyArray<string> }
  | { readonly ok: false; readonly reason: string }

export const parseCipherSuites = (names: ReadonlyArray<string>): SuitesResult => {
  const openssl: Array<string> = []
  const warnings: Array<string> = []
  for (const name of names) {
    if (Object.hasOwn(suites, name)) openssl.push(suites[name]!)
    else if (ofTls13.includes(name)) warnings.push(`--cipher-suites: ${name} is always on, with TLS 1.3`)
    else if (withdrawn.includes(name)) warnings.push(`--cipher-suites: ${name} is broken and stays off`)
    else return { ok: false, reason: `unexpected TLS cipher suite ${JSON.stringify(name.slice(0, 80))}` }
  }
  if (names.length > 0 && openssl.length === 0 && !names.some((name) => ofTls13.includes(name))) {
    return { ok: false, reason: "none of the suites can be used" }
  }
  return { ok: true, openssl: [...new Set(openssl)], warnings }
}
