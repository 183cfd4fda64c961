/** The version of this program; a test compares it with package.json. */
export const version = "0.1.0"

/** The etcd whose behaviour is ours, as bare semantic versions: clients parse them. */
export const etcdVersion = "3.7.1"
export const etcdClusterVersion = "3.7.0"
export const etcdStorageVersion = "3.7.0"
