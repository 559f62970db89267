/** The dependency rules of DESIGN section 11; ARCHITECTURE.md explains them. `npm run check` runs them. */
const PLATFORM = ['contracts', 'config', 'telemetry', 'database', 'event-log', 'http', 'testing'];
const CONTEXTS = [
  'tenancy',
  'identity',
  'subscribers',
  'content',
  'segments',
  'campaigns',
  'inbox',
  'push',
  'engagement',
  'web-files',
  'webhooks',
  'retention',
  'dead-letters',
  'dialects',
];

/** Which contexts a context may import, by the name of the importer. `tenancy` is open to all. */
const ALLOWED_CONTEXTS = {
  tenancy: [],
  subscribers: ['tenancy'],
  identity: ['tenancy', 'subscribers'],
  content: ['tenancy'],
  segments: ['tenancy', 'subscribers'],
  campaigns: ['tenancy', 'segments', 'subscribers', 'content'],
  inbox: ['tenancy', 'subscribers', 'content', 'identity'],
  push: ['tenancy', 'subscribers', 'content', 'identity'],
  engagement: ['tenancy', 'subscribers', 'content', 'identity'],
  'web-files': ['tenancy', 'identity', 'subscribers'],
  webhooks: ['tenancy'],
  'dead-letters': ['tenancy'],
  // Adapters over the use-cases of others; only apps import them.
  dialects: ['tenancy', 'identity', 'subscribers', 'content', 'inbox', 'push', 'engagement'],
  // On top of all: it carries out what they declare, and nobody imports it.
  retention: CONTEXTS.filter((context) => context !== 'retention' && context !== 'dialects'),
};

/** Platform libs from the bottom to the top: each may import those before it. */
const platformRules = PLATFORM.map((lib, index) => ({
  name: `platform-${lib}-imports-only-what-lies-below`,
  severity: 'error',
  from: { path: `^libs/${lib}/`, pathNot: '(spec|conformance|testing/[^/]+)\\.ts$' },
  to: { path: '^libs/', pathNot: `^libs/(${[...PLATFORM.slice(0, index), lib].join('|')})/` },
}));

const contextRules = CONTEXTS.map((context) => ({
  name: `context-${context}-imports-only-along-the-allowed-lines`,
  severity: 'error',
  from: { path: `^libs/${context}/`, pathNot: 'spec\\.ts$' },
  to: { path: `^libs/(${CONTEXTS.join('|')})/`, pathNot: `^libs/(${[context, ...ALLOWED_CONTEXTS[context]].join('|')})/` },
}));

/** Everybody outside a lib sees its index only. */
const indexRules = [...PLATFORM, ...CONTEXTS].map((lib) => ({
  name: `lib-${lib}-is-imported-by-its-index`,
  severity: 'error',
  from: { path: '^(apps|libs|test)/', pathNot: `^libs/${lib}/|^test/|spec\\.ts$` },
  to: { path: `^libs/${lib}/src/`, pathNot: `^libs/(${lib}|testing/src/push-service)/(src/)?index\\.ts$` },
}));

/** A third-party module that one place alone may import. */
const onlyIn = (module, allowed) => ({
  name: `${module}-only-in-its-place`,
  severity: 'error',
  from: { path: '^(apps|libs)/', pathNot: allowed },
  to: { path: `node_modules/${module}/` },
});

module.exports = {
  forbidden: [
    ...platformRules,
    ...contextRules,
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    ...indexRules,
    { name: 'no-lib-imports-an-app', severity: 'error', from: { path: '^libs/' }, to: { path: '^apps/' } },
    { name: 'no-app-imports-an-app', severity: 'error', from: { path: '^apps/([^/]+)/' }, to: { path: '^apps/', pathNot: '^apps/$1/' } },
    onlyIn('kafkajs', '^libs/event-log/src/(kafka|testing)/'),
    onlyIn('web-push', '^libs/push/'),
    onlyIn('typeorm', '(^libs/(database|testing)/|\\.(store|entity|int-spec)\\.ts$|migrations/)'),
    onlyIn('pg', '^libs/(database|testing)/'),
    onlyIn('ws', '^libs/(http|testing)/|spec\\.ts$'),
    {
      name: 'server-sdk-runs-on-the-servers-of-customers',
      comment: 'A package of its own: it imports nothing but itself and Node, and nobody here imports it but tests.',
      severity: 'error',
      from: { path: '^libs/server-sdk/', pathNot: 'spec\\.ts$' },
      to: { pathNot: '^libs/server-sdk/', dependencyTypesNot: ['core'] },
    },
    {
      name: 'server-sdk-is-for-customers',
      severity: 'error',
      from: { path: '^(apps|libs)/(?!server-sdk/)' },
      to: { path: '^libs/server-sdk/' },
    },
    { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|libs/web-sdk)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      conditionNames: ['belfry-source', 'import', 'node', 'default', 'types'],
      exportsFields: ['exports'],
      mainFields: ['main', 'types'],
    },
  },
};
