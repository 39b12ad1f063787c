import { createTestCache } from 'nestjs-scoped-cache/testing';
export { createTestCache };
