export { fileStorage, type FileStorageOptions } from './storages/file/index.js';
export { fromEnvironment, type EnvironmentSettings } from './storages/file/environment.js';
export { Snapshots, type RestoreReport, type SnapshotsOptions } from './storages/file/snapshots.js';
export {
  inspectSnapshot,
  readSnapshot,
  writeSnapshot,
  type SnapshotOptions,
  type SnapshotState,
} from './storages/file/snapshot.js';
