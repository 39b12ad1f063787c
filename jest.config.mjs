/** Nest 12 is ES modules only, so Jest runs in its ESM mode: start it through scripts/test.mjs. */
export default {
  testEnvironment: '<rootDir>/test/support/fail-on-unhandled.mjs',
  roots: ['lib', 'test', 'sample'].map((folder) => `<rootDir>/${folder}`),
  testMatch: ['**/*.spec.ts', '**/*.e2e-spec.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/sample/[^/]+/dist/', '<rootDir>/bench/'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '^nestjs-scoped-cache$': '<rootDir>/lib/index.ts',
    '^nestjs-scoped-cache/(redis|file)$': '<rootDir>/lib/$1.ts',
    '^nestjs-scoped-cache/testing$': '<rootDir>/lib/testing/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        swcrc: false,
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: {
            legacyDecorator: true,
            decoratorMetadata: true,
            useDefineForClassFields: true,
          },
          keepClassNames: true,
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  collectCoverageFrom: ['lib/**/*.ts'],
  maxWorkers: 2,
  // Node keeps the modules of every test file that a worker has run; beyond this it starts anew.
  workerIdleMemoryLimit: '1GB',
  // A busy machine must not turn a test of behaviour into a test of speed.
  testTimeout: 30_000,
};
