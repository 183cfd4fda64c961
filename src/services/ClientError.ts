/**
 * What a call of the `Client` can fail with: one class for each of etcd's codes, with etcd's own text as the message.
 * The tags never change; the text is for people, and for whoever compares it with etcd's.
 */
import { Schema } from "effect"
import { Code, type EtcdError, errors } from "../core/wire/errors.ts"

const text = { message: Schema.String }

/** The caller has given up. */
export class EtcdCanceled extends Schema.TaggedError<EtcdCanceled>()("EtcdCanceled", text) {}
/** What etcd's own recipes (locks, elections) answer when something did not go as planned. */
export class EtcdUnknown extends Schema.TaggedError<EtcdUnknown>()("EtcdUnknown", text) {}
/** The request makes no sense: an empty key, too many operations, too large, a key twice in a transaction. */
export class EtcdInvalidArgument extends Schema.TaggedError<EtcdInvalidArgument>()("EtcdInvalidArgument", text) {}
/** The time that the caller had set has run out. A write may have been done all the same. */
export class EtcdDeadlineExceeded extends Schema.TaggedError<EtcdDeadlineExceeded>()("EtcdDeadlineExceeded", text) {}
/** No such lease, or member. A key that is not there is no error. */
export class EtcdNotFound extends Schema.TaggedError<EtcdNotFound>()("EtcdNotFound", text) {}
/** The user, or the one that the certificate names, may not do this with these keys. */
export class EtcdPermissionDenied extends Schema.TaggedError<EtcdPermissionDenied>()("EtcdPermissionDenied", text) {}
/** Too many requests at once (try again), or no space left under the quota. */
export class EtcdResourceExhausted extends Schema.TaggedError<EtcdResourceExhausted>()("EtcdResourceExhausted", text) {}
/** The lease exists already, the user does not, … */
export class EtcdFailedPrecondition extends Schema.TaggedError<EtcdFailedPrecondition>()(
  "EtcdFailedPrecondition",
  text
) {}
/** A revision that lies in the future, or a time to live that is too long. */
export class EtcdOutOfRange extends Schema.TaggedError<EtcdOutOfRange>()("EtcdOutOfRange", text) {}
/** The revision asked for has been compacted away; what is left begins at `compactRevision`. */
export class EtcdCompacted extends Schema.TaggedError<EtcdCompacted>()("EtcdCompacted", {
  ...text,
  compactRevision: Schema.Int
}) {}
/** A call that this store does not have. */
export class EtcdUnimplemented extends Schema.TaggedError<EtcdUnimplemented>()("EtcdUnimplemented", text) {}
/** Something in the node went wrong; its log says more. */
export class EtcdInternal extends Schema.TaggedError<EtcdInternal>()("EtcdInternal", text) {}
/**
 * No Primary, a request that took too long, a node that stops: try again. A write that ends like this may have been done
 * all the same.
 */
export class EtcdUnavailable extends Schema.TaggedError<EtcdUnavailable>()("EtcdUnavailable", text) {}
/** What is stored is damaged; the node's log says where. */
export class EtcdDataLoss extends Schema.TaggedError<EtcdDataLoss>()("EtcdDataLoss", text) {}
/** Authentication is on and the token is no longer good. */
export class EtcdUnauthenticated extends Schema.TaggedError<EtcdUnauthenticated>()("EtcdUnauthenticated", text) {}

/** Everything a call can fail with; tell them apart by `_tag`, as with `Effect.catchTag`. */
export type ClientError =
  | EtcdCanceled
  | EtcdUnknown
  | EtcdInvalidArgument
  | EtcdDeadlineExceeded
  | EtcdNotFound
  | EtcdPermissionDenied
  | EtcdResourceExhausted
  | EtcdFailedPrecondition
  | EtcdOutOfRange
  | EtcdCompacted
  | EtcdUnimplemented
  | EtcdInternal
  | EtcdUnavailable
  | EtcdDataLoss
  | EtcdUnauthenticated

/** The lease ran out or was revoked: what was done under it may be somebody else's by now. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", { id: Schema.BigInt }) {
  override get message() {
    return `lease ${this.id.toString(16)} is lost: it ran out or was revoked`
  }
}

const classes: Readonly<Record<number, new (facts: { readonly message: string }) => ClientError>> = {
  [Code.Canceled]: EtcdCanceled,
  [Code.Unknown]: EtcdUnknown,
  [Code.InvalidArgument]: EtcdInvalidArgument,
  [Code.DeadlineExceeded]: EtcdDeadlineExceeded,
  [Code.NotFound]: EtcdNotFound,
  [Code.PermissionDenied]: EtcdPermissionDenied,
  [Code.ResourceExhausted]: EtcdResourceExhausted,
  [Code.FailedPrecondition]: EtcdFailedPrecondition,
  [Code.OutOfRange]: EtcdOutOfRange,
  [Code.Unimplemented]: EtcdUnimplemented,
  [Code.Internal]: EtcdInternal,
  [Code.Unavailable]: EtcdUnavailable,
  [Code.DataLoss]: EtcdDataLoss,
  [Code.Unauthenticated]: EtcdUnauthenticated
}

/** `floor`: the compaction revision of the moment, for the one error that names it. @internal */
export const clientError = ({ code, message }: EtcdError, floor: number): ClientError => {
  if (message === errors.compacted.message) return new EtcdCompacted({ message, compactRevision: floor })
  const Class = classes[code] ?? EtcdUnknown
  return new Class({ message })
}
