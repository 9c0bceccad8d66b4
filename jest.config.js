// Three tiers: unit (`*.spec.ts`), integration on the real stack (`*.int.spec.ts`), whole system (`e2e/*.e2e.spec.ts`).
const { readFileSync } = require('node:fs')
const swc = JSON.parse(readFileSync(`${__dirname}/.swcrc`, 'utf8'))
delete swc.$schema

const base = {
  rootDir: __dirname,
  testEnvironment: 'node',
  transform: { '^.+\\.[jt]s$': ['@swc/jest', { ...swc, swcrc: false }] },
  // NestJS 12 and a few others are ESM-only: Jest loads them down-levelled.
  transformIgnorePatterns: ['/node_modules/(?!(@nestjs|jose)/)'],
  moduleNameMapper: {
    '^@stepcast/(accounts|client|contracts|sequence|kafka|postgres|channel|service|replica|template)$': '<rootDir>/libs/$1/src/index.ts',
    '^@stepcast/(stack|local|bench|chaos|testing)$': '<rootDir>/tools/$1/src/index.ts',
  },
  modulePathIgnorePatterns: ['/dist/', '<rootDir>/\\.stepcast', '/\\.cache/'],
}

module.exports = {
  // The whole-system plays mostly wait, all at the same time.
  maxConcurrency: 30,
  reporters: ['default', '<rootDir>/tools/test-summary.js'],
  projects: [
    {
      ...base,
      displayName: 'unit',
      testMatch: ['<rootDir>/{libs,apps,tools}/**/src/**/*.spec.ts'],
      testPathIgnorePatterns: ['\\.int\\.spec\\.ts$', '/node_modules/'],
    },
    {
      ...base,
      displayName: 'integration',
      testMatch: ['<rootDir>/{libs,apps,tools}/**/src/**/*.int.spec.ts'],
      globalSetup: '<rootDir>/tools/testing/src/globalSetup.ts',
      globalTeardown: '<rootDir>/tools/testing/src/globalTeardown.ts',
      setupFilesAfterEnv: ['<rootDir>/tools/testing/src/integrationTimeout.ts'],
    },
    {
      ...base,
      displayName: 'e2e',
      testMatch: ['<rootDir>/e2e/**/*.e2e.spec.ts'],
      setupFilesAfterEnv: ['<rootDir>/tools/testing/src/integrationTimeout.ts'],
    },
  ],
}
