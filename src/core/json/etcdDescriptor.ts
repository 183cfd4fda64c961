/** Made by scripts/dev/gatewayDescriptor.ts from proto/etcd: every rpc, message and enum of the etcd API. */
export const etcdDescriptor = `
rpc /etcdserverpb.KV/Range: etcdserverpb.RangeRequest etcdserverpb.RangeResponse
rpc /etcdserverpb.KV/RangeStream: etcdserverpb.RangeRequest etcdserverpb.RangeStreamResponse
rpc /etcdserverpb.KV/Put: etcdserverpb.PutRequest etcdserverpb.PutResponse
rpc /etcdserverpb.KV/DeleteRange: etcdserverpb.DeleteRangeRequest etcdserverpb.DeleteRangeResponse
rpc /etcdserverpb.KV/Txn: etcdserverpb.TxnRequest etcdserverpb.TxnResponse
rpc /etcdserverpb.KV/Compact: etcdserverpb.CompactionRequest etcdserverpb.CompactionResponse
rpc /etcdserverpb.Watch/Watch: etcdserverpb.WatchRequest etcdserverpb.WatchResponse
rpc /etcdserverpb.Lease/LeaseGrant: etcdserverpb.LeaseGrantRequest etcdserverpb.LeaseGrantResponse
rpc /etcdserverpb.Lease/LeaseRevoke: etcdserverpb.LeaseRevokeRequest etcdserverpb.LeaseRevokeResponse
rpc /etcdserverpb.Lease/LeaseKeepAlive: etcdserverpb.LeaseKeepAliveRequest etcdserverpb.LeaseKeepAliveResponse
rpc /etcdserverpb.Lease/LeaseTimeToLive: etcdserverpb.LeaseTimeToLiveRequest etcdserverpb.LeaseTimeToLiveResponse
rpc /etcdserverpb.Lease/LeaseLeases: etcdserverpb.LeaseLeasesRequest etcdserverpb.LeaseLeasesResponse
rpc /etcdserverpb.Cluster/MemberAdd: etcdserverpb.MemberAddRequest etcdserverpb.MemberAddResponse
rpc /etcdserverpb.Cluster/MemberRemove: etcdserverpb.MemberRemoveRequest etcdserverpb.MemberRemoveResponse
rpc /etcdserverpb.Cluster/MemberUpdate: etcdserverpb.MemberUpdateRequest etcdserverpb.MemberUpdateResponse
rpc /etcdserverpb.Cluster/MemberList: etcdserverpb.MemberListRequest etcdserverpb.MemberListResponse
rpc /etcdserverpb.Cluster/MemberPromote: etcdserverpb.MemberPromoteRequest etcdserverpb.MemberPromoteResponse
rpc /etcdserverpb.Maintenance/Alarm: etcdserverpb.AlarmRequest etcdserverpb.AlarmResponse
rpc /etcdserverpb.Maintenance/Status: etcdserverpb.StatusRequest etcdserverpb.StatusResponse
rpc /etcdserverpb.Maintenance/Defragment: etcdserverpb.DefragmentRequest etcdserverpb.DefragmentResponse
rpc /etcdserverpb.Maintenance/Hash: etcdserverpb.HashRequest etcdserverpb.HashResponse
rpc /etcdserverpb.Maintenance/HashKV: etcdserverpb.HashKVRequest etcdserverpb.HashKVResponse
rpc /etcdserverpb.Maintenance/Snapshot: etcdserverpb.SnapshotRequest etcdserverpb.SnapshotResponse
rpc /etcdserverpb.Maintenance/MoveLeader: etcdserverpb.MoveLeaderRequest etcdserverpb.MoveLeaderResponse
rpc /etcdserverpb.Maintenance/Downgrade: etcdserverpb.DowngradeRequest etcdserverpb.DowngradeResponse
rpc /etcdserverpb.Auth/AuthEnable: etcdserverpb.AuthEnableRequest etcdserverpb.AuthEnableResponse
rpc /etcdserverpb.Auth/AuthDisable: etcdserverpb.AuthDisableRequest etcdserverpb.AuthDisableResponse
rpc /etcdserverpb.Auth/AuthStatus: etcdserverpb.AuthStatusRequest etcdserverpb.AuthStatusResponse
rpc /etcdserverpb.Auth/Authenticate: etcdserverpb.AuthenticateRequest etcdserverpb.AuthenticateResponse
rpc /etcdserverpb.Auth/UserAdd: etcdserverpb.AuthUserAddRequest etcdserverpb.AuthUserAddResponse
rpc /etcdserverpb.Auth/UserGet: etcdserverpb.AuthUserGetRequest etcdserverpb.AuthUserGetResponse
rpc /etcdserverpb.Auth/UserList: etcdserverpb.AuthUserListRequest etcdserverpb.AuthUserListResponse
rpc /etcdserverpb.Auth/UserDelete: etcdserverpb.AuthUserDeleteRequest etcdserverpb.AuthUserDeleteResponse
rpc /etcdserverpb.Auth/UserChangePassword: etcdserverpb.AuthUserChangePasswordRequest etcdserverpb.AuthUserChangePasswordResponse
rpc /etcdserverpb.Auth/UserGrantRole: etcdserverpb.AuthUserGrantRoleRequest etcdserverpb.AuthUserGrantRoleResponse
rpc /etcdserverpb.Auth/UserRevokeRole: etcdserverpb.AuthUserRevokeRoleRequest etcdserverpb.AuthUserRevokeRoleResponse
rpc /etcdserverpb.Auth/RoleAdd: etcdserverpb.AuthRoleAddRequest etcdserverpb.AuthRoleAddResponse
rpc /etcdserverpb.Auth/RoleGet: etcdserverpb.AuthRoleGetRequest etcdserverpb.AuthRoleGetResponse
rpc /etcdserverpb.Auth/RoleList: etcdserverpb.AuthRoleListRequest etcdserverpb.AuthRoleListResponse
rpc /etcdserverpb.Auth/RoleDelete: etcdserverpb.AuthRoleDeleteRequest etcdserverpb.AuthRoleDeleteResponse
rpc /etcdserverpb.Auth/RoleGrantPermission: etcdserverpb.AuthRoleGrantPermissionRequest etcdserverpb.AuthRoleGrantPermissionResponse
rpc /etcdserverpb.Auth/RoleRevokePermission: etcdserverpb.AuthRoleRevokePermissionRequest etcdserverpb.AuthRoleRevokePermissionResponse
enum etcdserverpb.AlarmType: 0 NONE, 1 NOSPACE, 2 CORRUPT
message etcdserverpb.ResponseHeader: 1 uint64 cluster_id, 2 uint64 member_id, 3 int64 revision, 4 uint64 raft_term
message etcdserverpb.RangeRequest: 1 bytes key, 2 bytes range_end, 3 int64 limit, 4 int64 revision, 5 etcdserverpb.RangeRequest.SortOrder sort_order, 6 etcdserverpb.RangeRequest.SortTarget sort_target, 7 bool serializable, 8 bool keys_only, 9 bool count_only, 10 int64 min_mod_revision, 11 int64 max_mod_revision, 12 int64 min_create_revision, 13 int64 max_create_revision
enum etcdserverpb.RangeRequest.SortOrder: 0 NONE, 1 ASCEND, 2 DESCEND
enum etcdserverpb.RangeRequest.SortTarget: 0 KEY, 1 VERSION, 2 CREATE, 3 MOD, 4 VALUE
message etcdserverpb.RangeResponse: 1 etcdserverpb.ResponseHeader header, 2 mvccpb.KeyValue* kvs, 3 bool more, 4 int64 count
message etcdserverpb.PutRequest: 1 bytes key, 2 bytes value, 3 int64 lease, 4 bool prev_kv, 5 bool ignore_value, 6 bool ignore_lease
message etcdserverpb.PutResponse: 1 etcdserverpb.ResponseHeader header, 2 mvccpb.KeyValue prev_kv
message etcdserverpb.DeleteRangeRequest: 1 bytes key, 2 bytes range_end, 3 bool prev_kv
message etcdserverpb.DeleteRangeResponse: 1 etcdserverpb.ResponseHeader header, 2 int64 deleted, 3 mvccpb.KeyValue* prev_kvs
message etcdserverpb.RequestOp: 1 etcdserverpb.RangeRequest request_range|request, 2 etcdserverpb.PutRequest request_put|request, 3 etcdserverpb.DeleteRangeRequest request_delete_range|request, 4 etcdserverpb.TxnRequest request_txn|request
message etcdserverpb.ResponseOp: 1 etcdserverpb.RangeResponse response_range|response, 2 etcdserverpb.PutResponse response_put|response, 3 etcdserverpb.DeleteRangeResponse response_delete_range|response, 4 etcdserverpb.TxnResponse response_txn|response
message etcdserverpb.Compare: 1 etcdserverpb.Compare.CompareResult result, 2 etcdserverpb.Compare.CompareTarget target, 3 bytes key, 4 int64 version|target_union, 5 int64 create_revision|target_union, 6 int64 mod_revision|target_union, 7 bytes value|target_union, 8 int64 lease|target_union, 64 bytes range_end
enum etcdserverpb.Compare.CompareResult: 0 EQUAL, 1 GREATER, 2 LESS, 3 NOT_EQUAL
enum etcdserverpb.Compare.CompareTarget: 0 VERSION, 1 CREATE, 2 MOD, 3 VALUE, 4 LEASE
message etcdserverpb.TxnRequest: 1 etcdserverpb.Compare* compare, 2 etcdserverpb.RequestOp* success, 3 etcdserverpb.RequestOp* failure
message etcdserverpb.TxnResponse: 1 etcdserverpb.ResponseHeader header, 2 bool succeeded, 3 etcdserverpb.ResponseOp* responses
message etcdserverpb.CompactionRequest: 1 int64 revision, 2 bool physical
message etcdserverpb.CompactionResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.HashRequest:
message etcdserverpb.HashKVRequest: 1 int64 revision
message etcdserverpb.HashKVResponse: 1 etcdserverpb.ResponseHeader header, 2 uint32 hash, 3 int64 compact_revision, 4 int64 hash_revision
message etcdserverpb.HashResponse: 1 etcdserverpb.ResponseHeader header, 2 uint32 hash
message etcdserverpb.SnapshotRequest:
message etcdserverpb.SnapshotResponse: 1 etcdserverpb.ResponseHeader header, 2 uint64 remaining_bytes, 3 bytes blob, 4 string version
message etcdserverpb.WatchRequest: 1 etcdserverpb.WatchCreateRequest create_request|request_union, 2 etcdserverpb.WatchCancelRequest cancel_request|request_union, 3 etcdserverpb.WatchProgressRequest progress_request|request_union
message etcdserverpb.WatchCreateRequest: 1 bytes key, 2 bytes range_end, 3 int64 start_revision, 4 bool progress_notify, 5 etcdserverpb.WatchCreateRequest.FilterType* filters, 6 bool prev_kv, 7 int64 watch_id, 8 bool fragment
enum etcdserverpb.WatchCreateRequest.FilterType: 0 NOPUT, 1 NODELETE
message etcdserverpb.WatchCancelRequest: 1 int64 watch_id
message etcdserverpb.WatchProgressRequest:
message etcdserverpb.WatchResponse: 1 etcdserverpb.ResponseHeader header, 2 int64 watch_id, 3 bool created, 4 bool canceled, 5 int64 compact_revision, 6 string cancel_reason, 7 bool fragment, 11 mvccpb.Event* events
message etcdserverpb.LeaseGrantRequest: 1 int64 TTL, 2 int64 ID
message etcdserverpb.LeaseGrantResponse: 1 etcdserverpb.ResponseHeader header, 2 int64 ID, 3 int64 TTL, 4 string error
message etcdserverpb.LeaseRevokeRequest: 1 int64 ID
message etcdserverpb.LeaseRevokeResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.LeaseCheckpoint: 1 int64 ID, 2 int64 remaining_TTL
message etcdserverpb.LeaseCheckpointRequest: 1 etcdserverpb.LeaseCheckpoint* checkpoints
message etcdserverpb.LeaseCheckpointResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.LeaseKeepAliveRequest: 1 int64 ID
message etcdserverpb.LeaseKeepAliveResponse: 1 etcdserverpb.ResponseHeader header, 2 int64 ID, 3 int64 TTL
message etcdserverpb.LeaseTimeToLiveRequest: 1 int64 ID, 2 bool keys
message etcdserverpb.LeaseTimeToLiveResponse: 1 etcdserverpb.ResponseHeader header, 2 int64 ID, 3 int64 TTL, 4 int64 grantedTTL, 5 bytes* keys
message etcdserverpb.LeaseLeasesRequest:
message etcdserverpb.LeaseStatus: 1 int64 ID
message etcdserverpb.LeaseLeasesResponse: 1 etcdserverpb.ResponseHeader header, 2 etcdserverpb.LeaseStatus* leases
message etcdserverpb.Member: 1 uint64 ID, 2 string name, 3 string* peerURLs, 4 string* clientURLs, 5 bool isLearner
message etcdserverpb.MemberAddRequest: 1 string* peerURLs, 2 bool isLearner
message etcdserverpb.MemberAddResponse: 1 etcdserverpb.ResponseHeader header, 2 etcdserverpb.Member member, 3 etcdserverpb.Member* members
message etcdserverpb.MemberRemoveRequest: 1 uint64 ID
message etcdserverpb.MemberRemoveResponse: 1 etcdserverpb.ResponseHeader header, 2 etcdserverpb.Member* members
message etcdserverpb.MemberUpdateRequest: 1 uint64 ID, 2 string* peerURLs
message etcdserverpb.MemberUpdateResponse: 1 etcdserverpb.ResponseHeader header, 2 etcdserverpb.Member* members
message etcdserverpb.MemberListRequest: 1 bool linearizable
message etcdserverpb.MemberListResponse: 1 etcdserverpb.ResponseHeader header, 2 etcdserverpb.Member* members
message etcdserverpb.MemberPromoteRequest: 1 uint64 ID
message etcdserverpb.MemberPromoteResponse: 1 etcdserverpb.ResponseHeader header, 2 etcdserverpb.Member* members
message etcdserverpb.DefragmentRequest:
message etcdserverpb.DefragmentResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.MoveLeaderRequest: 1 uint64 targetID
message etcdserverpb.MoveLeaderResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.AlarmRequest: 1 etcdserverpb.AlarmRequest.AlarmAction action, 2 uint64 memberID, 3 etcdserverpb.AlarmType alarm
enum etcdserverpb.AlarmRequest.AlarmAction: 0 GET, 1 ACTIVATE, 2 DEACTIVATE
message etcdserverpb.AlarmMember: 1 uint64 memberID, 2 etcdserverpb.AlarmType alarm
message etcdserverpb.AlarmResponse: 1 etcdserverpb.ResponseHeader header, 2 etcdserverpb.AlarmMember* alarms
message etcdserverpb.DowngradeRequest: 1 etcdserverpb.DowngradeRequest.DowngradeAction action, 2 string version
enum etcdserverpb.DowngradeRequest.DowngradeAction: 0 VALIDATE, 1 ENABLE, 2 CANCEL
message etcdserverpb.DowngradeResponse: 1 etcdserverpb.ResponseHeader header, 2 string version
message etcdserverpb.DowngradeVersionTestRequest: 1 string ver
message etcdserverpb.StatusRequest:
message etcdserverpb.StatusResponse: 1 etcdserverpb.ResponseHeader header, 2 string version, 3 int64 dbSize, 4 uint64 leader, 5 uint64 raftIndex, 6 uint64 raftTerm, 7 uint64 raftAppliedIndex, 8 string* errors, 9 int64 dbSizeInUse, 10 bool isLearner, 11 string storageVersion, 12 int64 dbSizeQuota, 13 etcdserverpb.DowngradeInfo downgradeInfo
message etcdserverpb.DowngradeInfo: 1 bool enabled, 2 string targetVersion
message etcdserverpb.AuthEnableRequest:
message etcdserverpb.AuthDisableRequest:
message etcdserverpb.AuthStatusRequest:
message etcdserverpb.AuthenticateRequest: 1 string name, 2 string password
message etcdserverpb.AuthUserAddRequest: 1 string name, 2 string password, 3 authpb.UserAddOptions options, 4 string hashedPassword
message etcdserverpb.AuthUserGetRequest: 1 string name
message etcdserverpb.AuthUserDeleteRequest: 1 string name
message etcdserverpb.AuthUserChangePasswordRequest: 1 string name, 2 string password, 3 string hashedPassword
message etcdserverpb.AuthUserGrantRoleRequest: 1 string user, 2 string role
message etcdserverpb.AuthUserRevokeRoleRequest: 1 string name, 2 string role
message etcdserverpb.AuthRoleAddRequest: 1 string name
message etcdserverpb.AuthRoleGetRequest: 1 string role
message etcdserverpb.AuthUserListRequest:
message etcdserverpb.AuthRoleListRequest:
message etcdserverpb.AuthRoleDeleteRequest: 1 string role
message etcdserverpb.AuthRoleGrantPermissionRequest: 1 string name, 2 authpb.Permission perm
message etcdserverpb.AuthRoleRevokePermissionRequest: 1 string role, 2 bytes key, 3 bytes range_end
message etcdserverpb.AuthEnableResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.AuthDisableResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.AuthStatusResponse: 1 etcdserverpb.ResponseHeader header, 2 bool enabled, 3 uint64 authRevision
message etcdserverpb.AuthenticateResponse: 1 etcdserverpb.ResponseHeader header, 2 string token
message etcdserverpb.AuthUserAddResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.AuthUserGetResponse: 1 etcdserverpb.ResponseHeader header, 2 string* roles
message etcdserverpb.AuthUserDeleteResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.AuthUserChangePasswordResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.AuthUserGrantRoleResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.AuthUserRevokeRoleResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.AuthRoleAddResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.AuthRoleGetResponse: 1 etcdserverpb.ResponseHeader header, 2 authpb.Permission* perm
message etcdserverpb.AuthRoleListResponse: 1 etcdserverpb.ResponseHeader header, 2 string* roles
message etcdserverpb.AuthUserListResponse: 1 etcdserverpb.ResponseHeader header, 2 string* users
message etcdserverpb.AuthRoleDeleteResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.AuthRoleGrantPermissionResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.AuthRoleRevokePermissionResponse: 1 etcdserverpb.ResponseHeader header
message etcdserverpb.RangeStreamResponse: 1 etcdserverpb.RangeResponse range_response
message mvccpb.KeyValue: 1 bytes key, 2 int64 create_revision, 3 int64 mod_revision, 4 int64 version, 5 bytes value, 6 int64 lease
message mvccpb.Event: 1 mvccpb.Event.EventType type, 2 mvccpb.KeyValue kv, 3 mvccpb.KeyValue prev_kv
enum mvccpb.Event.EventType: 0 PUT, 1 DELETE
message authpb.UserAddOptions: 1 bool no_password
message authpb.User: 1 bytes name, 2 bytes password, 3 string* roles, 4 authpb.UserAddOptions options
message authpb.Permission: 1 authpb.Permission.Type permType, 2 bytes key, 3 bytes range_end
enum authpb.Permission.Type: 0 READ, 1 WRITE, 2 READWRITE
message authpb.Role: 1 bytes name, 2 authpb.Permission* keyPermission
rpc /grpc.health.v1.Health/Check: grpc.health.v1.HealthCheckRequest grpc.health.v1.HealthCheckResponse
rpc /grpc.health.v1.Health/Watch: grpc.health.v1.HealthCheckRequest grpc.health.v1.HealthCheckResponse
message grpc.health.v1.HealthCheckRequest: 1 string service
message grpc.health.v1.HealthCheckResponse: 1 grpc.health.v1.HealthCheckResponse.ServingStatus status
enum grpc.health.v1.HealthCheckResponse.ServingStatus: 0 UNKNOWN, 1 SERVING, 2 NOT_SERVING, 3 SERVICE_UNKNOWN
rpc /v3lockpb.Lock/Lock: v3lockpb.LockRequest v3lockpb.LockResponse
rpc /v3lockpb.Lock/Unlock: v3lockpb.UnlockRequest v3lockpb.UnlockResponse
message v3lockpb.LockRequest: 1 bytes name, 2 int64 lease
message v3lockpb.LockResponse: 1 etcdserverpb.ResponseHeader header, 2 bytes key
message v3lockpb.UnlockRequest: 1 bytes key
message v3lockpb.UnlockResponse: 1 etcdserverpb.ResponseHeader header
rpc /v3electionpb.Election/Campaign: v3electionpb.CampaignRequest v3electionpb.CampaignResponse
rpc /v3electionpb.Election/Proclaim: v3electionpb.ProclaimRequest v3electionpb.ProclaimResponse
rpc /v3electionpb.Election/Leader: v3electionpb.LeaderRequest v3electionpb.LeaderResponse
rpc /v3electionpb.Election/Observe: v3electionpb.LeaderRequest v3electionpb.LeaderResponse
rpc /v3electionpb.Election/Resign: v3electionpb.ResignRequest v3electionpb.ResignResponse
message v3electionpb.CampaignRequest: 1 bytes name, 2 int64 lease, 3 bytes value
message v3electionpb.CampaignResponse: 1 etcdserverpb.ResponseHeader header, 2 v3electionpb.LeaderKey leader
message v3electionpb.LeaderKey: 1 bytes name, 2 bytes key, 3 int64 rev, 4 int64 lease
message v3electionpb.LeaderRequest: 1 bytes name
message v3electionpb.LeaderResponse: 1 etcdserverpb.ResponseHeader header, 2 mvccpb.KeyValue kv
message v3electionpb.ResignRequest: 1 v3electionpb.LeaderKey leader
message v3electionpb.ResignResponse: 1 etcdserverpb.ResponseHeader header
message v3electionpb.ProclaimRequest: 1 v3electionpb.LeaderKey leader, 2 bytes value
message v3electionpb.ProclaimResponse: 1 etcdserverpb.ResponseHeader header
`
