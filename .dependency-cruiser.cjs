// Which way imports go, types included: `npm run check` draws them with dependency-cruiser and refuses what these rules forbid.
const testCode = '\\.(spec|features|fixtures)\\.ts$|/testing\\.ts$'

module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', comment: 'Move what both need to a file of its own.', from: {}, to: { circular: true } },
    {
      name: 'libs-know-no-tools',
      severity: 'error',
      comment: 'Tools stand on apps and libs, never the other way round.',
      from: { path: '^(libs|apps)/', pathNot: testCode },
      to: { path: '^tools/' },
    },
    {
      name: 'libs-know-no-apps',
      severity: 'error',
      comment: 'A lib serves several apps: what it needs of one is given to it.',
      from: { path: '^libs/', pathNot: testCode },
      to: { path: '^apps/' },
    },
    {
      name: 'apps-are-islands',
      severity: 'error',
      comment: 'Services talk by topics and calls.',
      from: { path: '^apps/([^/]+)/', pathNot: testCode },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'product-knows-no-test-code',
      severity: 'error',
      comment: 'Test code is not built.',
      from: { path: '^(libs|apps|tools)/', pathNot: `${testCode}|^tools/testing/` },
      to: { path: testCode },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules|/dist/' },
    exclude: { path: '/generated/|/dist/' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'require', 'default'] },
  },
}
