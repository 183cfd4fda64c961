/** The open peer port. */
import { Context } from "effect"
import type { HttpRequest, HttpResponse } from "./HttpApi.ts"
import type { HostPort } from "./Settings.ts"

export class PeerListener extends Context.Service<
  PeerListener,
  {
    /** As bound: the real port where the settings say 0. */
    readonly address: HostPort
    /** Who answers plain HTTP/1 on the port: at most one; 404 before. */
    readonly handleHttp: (handler: (request: HttpRequest, response: HttpResponse) => void) => void
  }
>()("netsy/services/PeerListener") {}
