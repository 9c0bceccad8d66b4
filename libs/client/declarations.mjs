// Before `npm pack`: compiles the package, and writes its types beside the code, `.d.ts` for require and `.d.mts` for import.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const here = dirname(fileURLToPath(import.meta.url))
const checkout = join(here, '..', '..')
const dist = join(here, 'dist')

execFileSync(process.execPath, [join(checkout, 'tools', 'build.mjs'), '--quiet'], { stdio: 'inherit' })
const declarations = () => readdirSync(dist).filter((file) => /\.d\.m?ts$/.test(file))
for (const file of declarations()) rmSync(join(dist, file))

const { config } = ts.readConfigFile(join(checkout, 'tsconfig.base.json'), ts.sys.readFile)
const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, checkout)
const program = ts.createProgram([join(here, 'src', 'index.ts')], {
  ...options,
  noEmit: false,
  declaration: true,
  emitDeclarationOnly: true,
  outDir: dist,
  rootDir: join(here, 'src'),
  stripInternal: true,
})
const { diagnostics } = program.emit()
const problems = [...ts.getPreEmitDiagnostics(program), ...diagnostics]
if (problems.length > 0) {
  console.error(
    ts.formatDiagnostics(problems, { getCanonicalFileName: (file) => file, getCurrentDirectory: () => checkout, getNewLine: () => '\n' }),
  )
  process.exit(1)
}
// An ES module names its neighbours with their endings.
for (const file of declarations()) {
  const text = readFileSync(join(dist, file), 'utf8').replace(/(from |import\()(['"])(\.{1,2}\/[^'"]+)\2/g, '$1$2$3.mjs$2')
  writeFileSync(join(dist, file.replace(/\.d\.ts$/, '.d.mts')), text)
}
