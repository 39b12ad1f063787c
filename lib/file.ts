export { fileStorage, type FileStorageOptions } from './storages/file/index.js';
