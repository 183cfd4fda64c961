/**
 * Certificates of this node and the check of others (netsy-1x.md 13): contexts for servers, reloaded when the files
 * change without dropping connections, and roles by URI SAN `netsy://{cluster_id}/{role}/{name}`.
 */
import type { PeerCertificate, SecureContext, SecureContextOptions } from "node:tls"
import { Context, type Effect, Schema } from "effect"

/** A certificate file is missing, unreadable, does not fit its key, is out of date, or names somebody else. */
export class CertificateInvalid extends Schema.TaggedError<CertificateInvalid>()("CertificateInvalid", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `certificate ${this.path}: ${this.reason}`
  }
}

export type Role = "client" | "peer"

export type IdentityCheck =
  | {
      readonly ok: true
      readonly role: Role
      /** Undefined in `netsy etcd`, whose certificates have no such name. */
      readonly name: string | undefined
    }
  | { readonly ok: false; readonly reason: string }

export class Identity extends Context.Service<
  Identity,
  {
    /** False with `--insecure`: no TLS anywhere. In `netsy etcd` each address says whether it is secure. */
    readonly secure: boolean
    /** The newest server context (certificate, key, CA). Changes when the files do. Only when `secure`. */
    readonly serverContext: (role?: Role) => SecureContext
    readonly serverOptions: (role?: Role) => SecureContextOptions
    /** Whoever connects in this role needs a certificate of the CA. Only when `secure`. */
    readonly asksCertificate: (role: Role) => boolean
    /** Options for dialling peers (client certificate, CA). Only when `secure`. */
    readonly clientOptions: () => SecureContextOptions
    /** Whether the holder of a verified certificate is let in: by its first netsy URI SAN, or by what etcd's flags say. */
    readonly check: (certificate: PeerCertificate, wanted: Role) => IdentityCheck
    /** Reads and checks the files now (start-up checks of 13.3). */
    readonly verify: Effect.Effect<void, CertificateInvalid>
  }
>()("netsy/services/Identity") {}
