/** etcd's errors: gRPC code and exact text (reference etcd-api.md 2.11). Values, not exceptions: clients compare the text. */

/** gRPC status codes that etcd uses. */
export const Code = {
  Ok: 0,
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16
} as const
export type Code = (typeof Code)[keyof typeof Code]

export interface EtcdError {
  readonly _tag: "EtcdError"
  readonly code: Code
  readonly message: string
}

export const etcdError = (code: Code, message: string): EtcdError => ({ _tag: "EtcdError", code, message })

export const isEtcdError = (value: unknown): value is EtcdError =>
  typeof value === "object" && value !== null && (value as { _tag?: unknown })._tag === "EtcdError"

export const errors = {
  emptyKey: etcdError(Code.InvalidArgument, "etcdserver: key is not provided"),
  keyNotFound: etcdError(Code.InvalidArgument, "etcdserver: key not found"),
  valueProvided: etcdError(Code.InvalidArgument, "etcdserver: value is provided"),
  leaseProvided: etcdError(Code.InvalidArgument, "etcdserver: lease is provided"),
  tooManyOps: etcdError(Code.InvalidArgument, "etcdserver: too many operations in txn request"),
  duplicateKey: etcdError(Code.InvalidArgument, "etcdserver: duplicate key given in txn request"),
  invalidSortOption: etcdError(Code.InvalidArgument, "etcdserver: invalid sort option"),
  requestTooLarge: etcdError(Code.InvalidArgument, "etcdserver: request is too large"),
  userEmpty: etcdError(Code.InvalidArgument, "etcdserver: user name is empty"),
  roleEmpty: etcdError(Code.InvalidArgument, "etcdserver: role name is empty"),
  authFailed: etcdError(Code.InvalidArgument, "etcdserver: authentication failed, invalid user ID or password"),
  permissionNotGiven: etcdError(Code.InvalidArgument, "etcdserver: permission not given"),
  invalidAuthManagement: etcdError(Code.InvalidArgument, "etcdserver: invalid auth management"),
  authOldRevision: etcdError(Code.InvalidArgument, "etcdserver: revision of auth store is old"),
  wrongDowngradeVersion: etcdError(Code.InvalidArgument, "etcdserver: wrong downgrade target version format"),
  invalidDowngradeVersion: etcdError(Code.InvalidArgument, "etcdserver: invalid downgrade target version"),
  badMemberUrls: etcdError(Code.InvalidArgument, "etcdserver: given member URLs are invalid"),
  leaseNotFound: etcdError(Code.NotFound, "etcdserver: requested lease not found"),
  memberNotFound: etcdError(Code.NotFound, "etcdserver: member not found"),
  permissionDenied: etcdError(Code.PermissionDenied, "etcdserver: permission denied"),
  leaseExists: etcdError(Code.FailedPrecondition, "etcdserver: lease already exists"),
  rootUserNotFound: etcdError(Code.FailedPrecondition, "etcdserver: root user does not exist"),
  rootRoleNotGranted: etcdError(Code.FailedPrecondition, "etcdserver: root user does not have root role"),
  userExists: etcdError(Code.FailedPrecondition, "etcdserver: user name already exists"),
  userNotFound: etcdError(Code.FailedPrecondition, "etcdserver: user name not found"),
  roleExists: etcdError(Code.FailedPrecondition, "etcdserver: role name already exists"),
  roleNotFound: etcdError(Code.FailedPrecondition, "etcdserver: role name not found"),
  roleNotGranted: etcdError(Code.FailedPrecondition, "etcdserver: role is not granted to the user"),
  permissionNotGranted: etcdError(Code.FailedPrecondition, "etcdserver: permission is not granted to the role"),
  authNotEnabled: etcdError(Code.FailedPrecondition, "etcdserver: authentication is not enabled"),
  badLeaderTransferee: etcdError(Code.FailedPrecondition, "etcdserver: bad leader transferee"),
  memberNotLearner: etcdError(Code.FailedPrecondition, "etcdserver: can only promote a learner member"),
  noInflightDowngrade: etcdError(Code.FailedPrecondition, "etcdserver: no inflight downgrade job"),
  noSpace: etcdError(Code.ResourceExhausted, "etcdserver: mvcc: database space exceeded"),
  tooManyRequests: etcdError(Code.ResourceExhausted, "etcdserver: too many requests"),
  compacted: etcdError(Code.OutOfRange, "etcdserver: mvcc: required revision has been compacted"),
  futureRevision: etcdError(Code.OutOfRange, "etcdserver: mvcc: required revision is a future revision"),
  leaseTtlTooLarge: etcdError(Code.OutOfRange, "etcdserver: too large lease TTL"),
  noLeader: etcdError(Code.Unavailable, "etcdserver: no leader"),
  leaderChanged: etcdError(Code.Unavailable, "etcdserver: leader changed"),
  serverStopped: etcdError(Code.Unavailable, "etcdserver: server stopped"),
  requestTimedOut: etcdError(Code.Unavailable, "etcdserver: request timed out"),
  leaderTransferTimedOut: etcdError(Code.Unavailable, "etcdserver: request timed out, leader transfer took too long"),
  unhealthy: etcdError(Code.Unavailable, "etcdserver: unhealthy cluster"),
  unhealthyCluster: etcdError(Code.Unavailable, "etcdserver: unhealthy cluster"),
  watchCanceled: etcdError(Code.Canceled, "etcdserver: watch canceled"),
  /** Its caller has gone: nobody reads the answer. */
  requestCanceled: etcdError(Code.Canceled, "etcdserver: request canceled"),
  notLeader: etcdError(Code.FailedPrecondition, "etcdserver: not leader"),
  corrupt: etcdError(Code.DataLoss, "etcdserver: corrupt cluster"),
  invalidAuthToken: etcdError(Code.Unauthenticated, "etcdserver: invalid auth token")
} as const

const codeNames = new Map(Object.entries(Code).map(([name, code]): [Code, string] => [code, name]))

/** As Go prints a status; some answers of etcd carry it. */
export const statusText = ({ code, message }: EtcdError): string =>
  `rpc error: code = ${codeNames.get(code)} desc = ${message}`
