// Compacted topics followed into a service's own tables.
export { replicaOffsetsSql, sameOffsets, type Offsets, type ReplicaOptions } from './follow'
export { replicaOffsets } from './offsets'
export { TemplatesReplica, templatesReplicaSql, type TemplateQuestion } from './templates'
export { UsersReplica, usersReplicaSql, type UserName, type UsersReplicaOptions } from './users'
export { WorkspacesReplica, workspacesReplicaSql, type WorkspaceSettings } from './workspaces'
