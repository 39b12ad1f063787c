import { describe, it } from '@jest/globals';
import { serializerContract } from 'nestjs-scoped-cache/testing';
import { richSerializer } from '../unit/core/support/engine.js';

serializerContract({ name: 'rich JSON', makeSerializer: () => richSerializer(), describe, it });
