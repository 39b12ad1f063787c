export { fileStorage, type FileStorageOptions } from './storages/file/index.js';
export { fromEnvironment, type EnvironmentSettings } from './storages/file/environment.js';
export { withSnapshots, type SnapshotStorageOptions } from './storages/file/snapshot-storage.js';
export { Snapshots, type SnapshotsOptions } from './storages/file/snapshots.js';
export {
  inspectSnapshot,
  readSnapshot,
  writeSnapshot,
  type SnapshotOptions,
  type SnapshotState,
} from './storages/file/snapshot.js';
