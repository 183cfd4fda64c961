/**
 * How tokens are made, in one text as etcd's `--auth-token` has it: `simple`, or `jwt` with its options after commas
 * (`jwt,pub-key=PATH,priv-key=PATH,sign-method=RS256,ttl=10m`). Paths are returned as they are written.
 */
import { millisOfNanos, parseDuration } from "./duration.ts"
import type { TokenSettings } from "../../services/Settings.ts"

export type AuthTokenResult =
  | { readonly ok: true; readonly tokens: TokenSettings }
  | { readonly ok: false; readonly reason: string }

const signMethods = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "EdDSA"]
]

export const authTokenForms = "simple, or jwt,sign-method=RS256,pub-key=PATH,priv-key=PATH,ttl=5m"

const jwtTtlDefaultSeconds = 300

const refused = (reason: string): AuthTokenResult => ({ ok: false, reason })

export const parseAuthToken = (text: string, simpleTtlSeconds: number): AuthTokenResult => {
  const [kind = "", ...pairs] = text.split(",")
  if (kind !== "simple" && kind !== "jwt") return refused(`${JSON.stringify(kind)} is neither simple nor jwt`)
  const options = new Map<string, string>()
  for (const pair of pairs) {
    const equals = pair.indexOf("=")
    const name = equals < 0 ? pair : pair.slice(0, equals)
    if (equals < 0) return refused(`${JSON.stringify(pair)} is not of the form option=value`)
    if (options.has(name)) return refused(`${name} is given twice`)
    options.set(name, pair.slice(equals + 1))
  }
  // etcd ignores options of the simple kind too.
  if (kind === "simple") return { ok: true, tokens: { kind, ttlSeconds: simpleTtlSeconds } }

  const signMethod = options.get("sign-method") ?? ""
  if (!signMethods.includes(signMethod)) {
    return refused(`sign-method ${JSON.stringify(signMethod)} is none of ${signMethods.join(", ")}`)
  }
  const ttl = options.get("ttl")
  const parsed = ttl === undefined ? undefined : parseDuration(ttl)
  if (parsed !== undefined && (!parsed.ok || parsed.nanos <= 0n)) {
    return refused(`ttl ${JSON.stringify(ttl)} is not a duration greater than 0`)
  }
  const publicKeyFile = options.get("pub-key") || undefined
  const privateKeyFile = options.get("priv-key") || undefined
  if (publicKeyFile === undefined && privateKeyFile === undefined)
    return refused("neither pub-key nor priv-key is given")
  if (signMethod.startsWith("HS") && privateKeyFile === undefined) {
    return refused(`priv-key is missing: ${signMethod} signs and checks with the same key`)
  }
  if (`${publicKeyFile}${privateKeyFile}`.includes("\0")) return refused("a path with a zero byte")
  return {
    ok: true,
    tokens: {
      kind,
      publicKeyFile,
      privateKeyFile,
      signMethod,
      ttlSeconds: parsed?.ok === true ? millisOfNanos(parsed.nanos) / 1_000 : jwtTtlDefaultSeconds
    }
  }
}

/** The same with absolute paths. */
export const withPaths = (tokens: TokenSettings, absolute: (path: string) => string): TokenSettings =>
  tokens.kind === "simple"
    ? tokens
    : {
        ...tokens,
        publicKeyFile: tokens.publicKeyFile === undefined ? undefined : absolute(tokens.publicKeyFile),
        privateKeyFile: tokens.privateKeyFile === undefined ? undefined : absolute(tokens.privateKeyFile)
      }
