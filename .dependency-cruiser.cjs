/**
 * Who may import whom (docs/architecture.md). Types count as much as values: a port that
 * names a Nest type is not
 * a port. Parsed with swc, since TypeScript 7 has no compiler API; swc does not tell imports of types
 * from imports of values, so cycles are left to oxlint (import/no-cycle), which forbids those that
 * exist at run time.
 */
const CORE = '^lib/core/';
const ENTRIES = '^lib/(?:[^/]+|testing/index)\\.ts$';
const SPECS = '\\.spec\\.ts$';
const NODE = { dependencyTypes: ['core'] };
const NPM_PACKAGE = '(?:^|/)node_modules/(?!@types/)';

/** What core's values, and then its ports, are made of; whoever is not listed here stands above them. */
const VALUES =
  '^lib/core/(?:cache-key|scope|scope-tree|scope-refusals|entry|lookup|duration|errors|known-options|limits)\\.ts$';
const PORTS =
  '^lib/core/(?:storage|bus|clock|cache-listener|value/serializer|eviction/eviction-rule)\\.ts$';

/** Every storage's one optional peer. A storage that is not here has none. */
const PEERS = { redis: 'ioredis', memcached: 'memjs', mongodb: 'mongodb' };

const rule = (name, comment, from, to) => ({
  name,
  comment,
  severity: 'error',
  from: { pathNot: SPECS, ...from },
  to,
});

module.exports = {
  forbidden: [
    rule(
      'no-unresolved',
      'Every import leads to a file or to a declared package.',
      { path: '^lib/' },
      { couldNotResolve: true },
    ),
    rule(
      'core-imports-core',
      'Core is plain TypeScript: no Node, no Nest, no rxjs, no storage.',
      { path: CORE },
      { pathNot: CORE },
    ),
    rule(
      'values-import-values',
      'Keys, scopes, entries, lookups, errors: they know nothing above them.',
      { path: VALUES },
      { pathNot: VALUES },
    ),
    rule(
      'ports-import-values',
      'Ports are made of values and of other ports.',
      { path: PORTS, pathNot: [SPECS, '^lib/core/value/'] },
      { pathNot: [VALUES, PORTS] },
    ),
    rule(
      'eviction-stands-alone',
      'An eviction rule knows values, ports and its own folder, not the cache that asks it.',
      { path: '^lib/core/eviction/' },
      { pathNot: [VALUES, PORTS, '^lib/core/eviction/'] },
    ),
    rule(
      'value-stands-alone',
      'Turning values into bytes needs values, ports and its own folder, not the cache.',
      { path: '^lib/core/value/' },
      { pathNot: [VALUES, PORTS, '^lib/core/value/'] },
    ),
    rule(
      'storages-import-core',
      'A storage imports core, Node, its own folder and its own peer: never Nest, never another storage.',
      { path: '^lib/storages/([^/]+)/', pathNot: [SPECS, '^lib/storages/tiered/'] },
      { path: '^lib/', pathNot: [CORE, '^lib/storages/$1/'] },
    ),
    rule(
      'tiered-imports-core-only',
      'It is given its tiers as values.',
      { path: '^lib/storages/tiered/' },
      { pathNot: [CORE, '^lib/storages/tiered/'] },
    ),
    ...storagePeers(),
    rule(
      'nest-imports-core',
      'The adapter is given its storage; cache.module.ts alone names the defaults.',
      { path: '^lib/nest/', pathNot: [SPECS, '^lib/nest/cache\\.module\\.ts$'] },
      { path: '^lib/', pathNot: [CORE, '^lib/nest/'] },
    ),
    rule(
      'module-names-the-defaults',
      'cache.module.ts may add the memory storage and the platform, nothing else.',
      { path: '^lib/nest/cache\\.module\\.ts$' },
      { path: '^lib/', pathNot: [CORE, '^lib/nest/', '^lib/platform/', '^lib/storages/memory/'] },
    ),
    rule(
      'nest-imports-nest-and-rxjs',
      'Any other package would become a dependency of every user.',
      { path: '^lib/nest/' },
      {
        path: NPM_PACKAGE,
        pathNot: '(?:^|/)node_modules/(?:@nestjs/(?:common|core)|rxjs|reflect-metadata)/',
      },
    ),
    rule(
      'platform-imports-core',
      'The platform is core’s ports on Node.',
      { path: '^lib/platform/' },
      { pathNot: [CORE, '^lib/platform/'], dependencyTypesNot: NODE.dependencyTypes },
    ),
    rule(
      'testing-imports-core',
      'The contract suites are given the test functions, so they bind no test runner.',
      { path: '^lib/testing/' },
      {
        pathNot: [CORE, '^lib/testing/', '^lib/platform/'],
        dependencyTypesNot: NODE.dependencyTypes,
      },
    ),
    rule(
      'barrels-are-for-outsiders',
      'Inside lib, import the file that has what you need. Only an entry point may name an index.ts.',
      { path: '^lib/', pathNot: [SPECS, ENTRIES] },
      { path: '^lib/.+/index\\.ts$' },
    ),
    rule(
      'nobody-imports-an-entry',
      'Entry points are for outsiders.',
      { path: '^lib/' },
      { path: '^lib/[^/]+\\.ts$' },
    ),
    rule(
      'lib-imports-lib',
      'What we publish never imports tests, samples or benchmarks.',
      { path: '^lib/' },
      { path: '^(?:test|sample|bench|scripts)/' },
    ),
    {
      name: 'samples-use-the-entry-points',
      comment:
        'Tests of parts reach into lib; every sample, and what tests the package as a whole, uses the package.',
      severity: 'error',
      from: { path: '^(?:test/(?:package|contract|module|e2e)|sample)/' },
      to: { path: '^lib/', pathNot: ENTRIES },
    },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(?:^|/)(?:dist|coverage)/' },
    builtInModules: { override: require('node:module').builtinModules },
    enhancedResolveOptions: {
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      exportsFields: ['exports'],
      extensions: ['.ts', '.js', '.mjs', '.json', '.d.ts'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};

function storagePeers() {
  return [
    ...Object.entries(PEERS).map(([storage, peer]) =>
      rule(
        `${storage}-storage-imports-its-peer`,
        `The only package it may name is ${peer}.`,
        { path: `^lib/storages/${storage}/` },
        { path: NPM_PACKAGE, pathNot: `(?:^|/)node_modules/${peer}/` },
      ),
    ),
    rule(
      'other-storages-import-no-package',
      'Storages without a peer need nothing but Node.',
      {
        path: '^lib/storages/',
        pathNot: [SPECS, `^lib/storages/(?:${Object.keys(PEERS).join('|')})/`],
      },
      { path: NPM_PACKAGE },
    ),
  ];
}
