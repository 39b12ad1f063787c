export { tieredStorage, type TieredStorageOptions } from './tiered-storage.js';
