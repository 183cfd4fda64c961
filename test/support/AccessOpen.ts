/** `Access` without users: everybody may do everything. */
import { Layer } from "effect"
import { errors } from "../../src/core/wire/errors.ts"
import { Access } from "../../src/services/Access.ts"

const allowed = (): undefined => undefined

export const layer: Layer.Layer<Access> = Layer.succeed(
  Access,
  Access.of({
    enabled: () => false,
    revision: () => 1,
    identify: (_context, _use, refuse) => refuse(errors.authNotEnabled),
    range: allowed,
    put: allowed,
    deleteRange: allowed,
    txn: allowed,
    compact: allowed,
    watch: allowed,
    writeLease: allowed,
    readLease: allowed,
    user: allowed,
    root: allowed
  })
)
