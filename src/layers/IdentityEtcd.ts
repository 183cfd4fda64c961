/**
 * `Identity` as etcd's flags say it: certificates for the client port and for the peer port, each with its own CA. A
 * certificate is asked for where there is a CA; whom it lets in is said by names in it. Files are followed.
 */
import { X509Certificate } from "node:crypto"
import { isIP } from "node:net"
import type { PeerCertificate } from "node:tls"
import { Clock, Effect, Layer, type Scope } from "effect"
import { assert, InvariantViolation } from "../core/assert.ts"
import { type CertificateInvalid, Identity, type IdentityCheck, type Role } from "../services/Identity.ts"
import { Log } from "../services/Log.ts"
import { type EtcdSettings, type EtcdTlsSettings, Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { isSameSide, type LoadedSide, loadSide, pathsOf, readSide } from "./IdentityEtcd/load.ts"
import { ownPair } from "./IdentityEtcd/ownPair.ts"
import { type Reloaded, reloading } from "./internal/certificateReload.ts"

const pollMillis = 2_000

export interface IdentityEtcdOptions {
  /** Default 2,000. */
  readonly intervalMillis?: number
}

const refused = (reason: string): IdentityCheck => ({ ok: false, reason })

const lastCommonName = (certificate: PeerCertificate): string => {
  const name: unknown = certificate.subject?.CN
  return String((Array.isArray(name) ? name.at(-1) : name) ?? "")
}

/** A name that is no name is covered by nobody. */
const covers = (certificate: X509Certificate, host: string): boolean => {
  try {
    const found = isIP(host) === 0 ? certificate.checkHost(host, { subject: "never" }) : certificate.checkIP(host)
    return found !== undefined
  } catch {
    return false
  }
}

/** With an empty list whoever the CA has signed is let in. */
const isAllowed = (tls: EtcdTlsSettings, certificate: PeerCertificate): string | undefined => {
  const { allowedCommonNames, allowedHostnames } = tls
  if (allowedCommonNames.length > 0 && !allowedCommonNames.includes(lastCommonName(certificate))) {
    return `the common name ${JSON.stringify(lastCommonName(certificate).slice(0, 80))} is not among those let in`
  }
  if (allowedHostnames.length === 0) return undefined
  const parsed = new X509Certificate(certificate.raw)
  return allowedHostnames.some((host) => covers(parsed, host))
    ? undefined
    : "the certificate covers none of the host names let in"
}

const side = (
  etcd: EtcdSettings,
  dataDir: string,
  role: Role,
  intervalMillis: number
): Effect.Effect<Reloaded<LoadedSide> | undefined, CertificateInvalid, Log | Supervisor | Scope.Scope> =>
  Effect.gen(function* () {
    const tls = role === "client" ? etcd.clientTls : etcd.peerTls
    if (tls === undefined) return undefined
    const listen =
      role === "client" ? [...etcd.listenClient, ...etcd.listenClientHttp, ...etcd.listenMetrics] : etcd.listenPeer
    const clock = yield* Clock.Clock
    const made =
      tls.files ??
      (yield* ownPair({
        directory: `${dataDir}/fixtures/${role}`,
        hosts: listen.map(({ address }) => address.host),
        years: etcd.selfSignedYears,
        nowMillis: clock.currentTimeMillisUnsafe()
      }))
    const paths = pathsOf(tls, made)
    return yield* reloading({
      log: yield* Log,
      supervisor: yield* Supervisor,
      intervalMillis,
      read: readSide(paths),
      isSame: isSameSide,
      load: (files, nowMillis) => loadSide(etcd, paths, files, nowMillis),
      path: paths.cert,
      expiry: ({ expires }) => expires
    })
  })

export const layer = (
  options: IdentityEtcdOptions = {}
): Layer.Layer<Identity, CertificateInvalid, Settings | Log | Supervisor> =>
  Layer.effect(
    Identity,
    Effect.gen(function* () {
      const { dataDir, etcd } = yield* Settings
      assert(etcd !== undefined, "IdentityEtcd is for netsy etcd")
      const interval = options.intervalMillis ?? pollMillis
      const sides = {
        client: yield* side(etcd, dataDir, "client", interval),
        peer: yield* side(etcd, dataDir, "peer", interval)
      }
      const tlsOf = (role: Role): EtcdTlsSettings => {
        const tls = role === "client" ? etcd.clientTls : etcd.peerTls
        if (tls === undefined) throw new InvariantViolation(`TLS was asked for on a ${role} port without`)
        return tls
      }
      const loaded = (role: Role = "client"): LoadedSide => {
        tlsOf(role)
        return sides[role]!.current()
      }
      return Identity.of({
        secure: etcd.clientTls !== undefined || etcd.peerTls !== undefined,
        serverContext: (role) => loaded(role).serverContext,
        serverOptions: (role) => loaded(role).serverOptions,
        clientOptions: () => loaded("peer").clientOptions,
        asksCertificate: (role) => tlsOf(role).clientCertAuth,
        check: (certificate, role) => {
          const reason = isAllowed(tlsOf(role), certificate)
          return reason === undefined ? { ok: true, role, name: undefined } : refused(reason)
        },
        verify: Effect.all([sides.client?.verify ?? Effect.void, sides.peer?.verify ?? Effect.void], { discard: true })
      })
    })
  )
