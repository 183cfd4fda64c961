/** What nodes ask of each other: full gRPC paths (proto/netsy/cluster.proto). */
export const peerMethods = {
  /** HeartbeatRequest → ClusterState. Answered by the Elector only. */
  heartbeat: "/netsy.Elector/SendHeartbeat",
  /** LeaveRequest → Empty. A node leaves for good or stops; to the Elector. */
  leave: "/netsy.Elector/DeregisterNode",
  /** HandOverRequest → Empty. The Primary is about to resign and names who should follow; to the Elector. */
  handOver: "/netsy.Elector/HandOver",
  /** ClusterState → Empty. */
  pushClusterState: "/netsy.Node/PushClusterState",
  /** Empty → NodeReport. */
  getNodeState: "/netsy.Node/GetNodeState",
  /** FenceRequest → FenceAnswer. */
  fence: "/netsy.Node/Fence",
  /** TokenRequest → TokenAnswer: whose simple token is it? */
  tokenHolder: "/netsy.Node/TokenHolder",
  /** Stream: ReplicaMessage → PrimaryMessage. */
  follow: "/netsy.Primary/Follow",
  /** ReadIndexRequest → ReadIndexAnswer. */
  readIndex: "/netsy.Primary/ReadIndex",
  /** ForwardRequest → ForwardAnswer: a unary method of the client API. */
  forward: "/netsy.Primary/Forward",
  /** KeepAliveRequest → KeepAliveAnswer: many leases at once. */
  keepAlive: "/netsy.Primary/KeepAlive"
} as const
