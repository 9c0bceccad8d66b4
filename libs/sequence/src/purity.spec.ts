// The core is pure, proved on its sources: imports nothing that runs, touches no global that has a clock, a chance or a world behind it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { decide } from './decide'
import { evolve } from './evolve'
import { explain } from './explain'
import { react } from './react'
import { isRefusal, notStarted } from './sequence'
import type { SequenceInput } from './sequence'
import { timerOf } from './timer'
import { upcast } from './upcast'

const sources = readdirSync(__dirname).filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts') && file !== 'testing.ts')

/** Globals that are the same everywhere and at all times. `Math` without `random`; `Set` only to compare sizes. */
const harmless = new Set(['Error', 'Infinity', 'JSON', 'Math', 'Object', 'Set', 'String', 'undefined'])
/** Calls that change their receiver; allowed only on a list that the same function has just made. */
const mutators = new Set([
  'push',
  'pop',
  'shift',
  'unshift',
  'splice',
  'sort',
  'reverse',
  'fill',
  'copyWithin',
  'set',
  'add',
  'delete',
  'clear',
  'assign',
])

/** What is impure about a source file; empty when nothing is. */
function impurities(file: string, text: string): readonly string[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true)
  const found: string[] = []
  const declared = new Set<string>()
  const made = new Set<string>()

  const declare = (name: ts.BindingName): void => {
    if (ts.isIdentifier(name)) declared.add(name.text)
    else for (const element of name.elements) if (ts.isBindingElement(element)) declare(element.name)
  }
  const collect = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) || ts.isParameter(node)) declare(node.name)
    if ((ts.isFunctionDeclaration(node) || ts.isImportSpecifier(node)) && node.name !== undefined) declared.add(node.name.text)
    if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name) && isNewList(node)) made.add(node.name.text)
    ts.forEachChild(node, collect)
  }
  const inspect = (node: ts.Node): void => {
    if (isOnlyType(node)) return
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      const from = node.moduleSpecifier !== undefined && ts.isStringLiteral(node.moduleSpecifier) ? node.moduleSpecifier.text : './'
      const typesOnly = ts.isImportDeclaration(node) ? node.importClause?.isTypeOnly === true : node.isTypeOnly
      const own = sources.includes(`${from.slice(2)}.ts`) && from.startsWith('./')
      if (!own && !(from === '@stepcast/contracts' && typesOnly)) found.push(`imports ${from}`)
      return
    }
    if (ts.isVariableStatement(node) && node.parent === source && (node.declarationList.flags & ts.NodeFlags.Const) === 0) {
      found.push('keeps state in a module')
    }
    if (ts.isAwaitExpression(node) || node.kind === ts.SyntaxKind.AsyncKeyword) found.push('is asynchronous')
    if (ts.isDeleteExpression(node)) found.push('deletes a field')
    if (ts.isBinaryExpression(node) && isAssignment(node.operatorToken.kind) && !ts.isIdentifier(node.left)) {
      found.push(`assigns ${node.left.getText()}`)
    }
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression) && mutators.has(node.expression.name.text)) {
      const receiver = node.expression.expression
      if (!ts.isIdentifier(receiver) || !made.has(receiver.text)) found.push(`mutates by ${node.expression.getText()}`)
    }
    if (ts.isPropertyAccessExpression(node) && node.getText() === 'Math.random') found.push('uses Math.random')
    if (ts.isIdentifier(node) && isValue(node) && !declared.has(node.text) && !harmless.has(node.text)) found.push(`uses ${node.text}`)
    ts.forEachChild(node, inspect)
  }
  collect(source)
  inspect(source)
  return found
}

const isAssignment = (kind: ts.SyntaxKind): boolean => kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment

const isOnlyType = (node: ts.Node): boolean =>
  ts.isTypeNode(node) || ts.isTypeParameterDeclaration(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)

/** A local `const list = []`; a list on module level would be state. */
const isNewList = ({ initializer, parent }: ts.VariableDeclaration): boolean =>
  initializer !== undefined && ts.isArrayLiteralExpression(initializer) && !ts.isSourceFile(parent.parent.parent)

/** Whether the identifier stands for a value, and is not the name of a field. */
function isValue(node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node
  if (ts.isPropertyAssignment(parent)) return parent.initializer === node
  if (ts.isBindingElement(parent)) return parent.initializer === node
  return !ts.isJSDoc(parent) && !ts.isNamedTupleMember(parent)
}

describe('the core imports nothing that runs and uses no clock, chance or world', () => {
  it('has sources to check', () => expect(sources).toEqual(expect.arrayContaining(['decide.ts', 'evolve.ts', 'react.ts', 'timer.ts'])))

  it.each(sources)('%s', (file) => expect(impurities(file, readFileSync(join(__dirname, file), 'utf8'))).toEqual([]))
})

describe('the check itself catches', () => {
  it.each([
    ['a package', 'import { v4 } from "uuid"', 'imports uuid'],
    ['a Node built-in', 'import { createHash } from "node:crypto"', 'imports node:crypto'],
    ['contracts that run', 'import { topics } from "@stepcast/contracts"', 'imports @stepcast/contracts'],
    ['a re-export of them', 'export { topics } from "@stepcast/contracts"', 'imports @stepcast/contracts'],
    ['the test DSL', 'import { given } from "./testing"', 'imports ./testing'],
    ['a clock', 'export const now = () => Date.now()', 'uses Date'],
    ['another clock', 'export const now = () => performance.now()', 'uses performance'],
    ['chance', 'export const dice = () => Math.random()', 'uses Math.random'],
    ['the environment', 'export const home = process.env.HOME', 'uses process'],
    ['a timer', 'export const later = (f: () => void) => setTimeout(f, 1)', 'uses setTimeout'],
    ['the global object', 'export const now = () => globalThis.Date.now()', 'uses globalThis'],
    ['a require', 'const fs = require("fs")', 'uses require'],
    ['state in a module', 'let seen = 0', 'keeps state in a module'],
    ['a field assigned', 'export const f = (a: { b: number }) => { a.b = 1 }', 'assigns a.b'],
    ['an array mutated', 'export const f = (a: number[]) => a.push(1)', 'mutates by a.push'],
    ['a list of the module mutated', 'const seen: number[] = []; export const f = (a: number) => seen.push(a)', 'mutates by seen.push'],
    ['a field deleted', 'export const f = (a: { b?: number }) => delete a.b', 'deletes a field'],
    ['a promise', 'export const f = async () => 1', 'is asynchronous'],
  ])('%s', (_, text, impurity) => expect(impurities('planted.ts', text)).toContain(impurity))
})

describe('what is frozen to the ground is decided, folded, reacted to and explained all the same', () => {
  const folder = join(__dirname, '..', 'histories')

  it.each(readdirSync(folder))('%s', (file) => {
    const [header, ...changes] = readFileSync(join(folder, file), 'utf8').trim().split('\n')
    const { inputs } = JSON.parse(header!) as { inputs: readonly SequenceInput[] | null }
    let state = frozen(notStarted)
    for (const input of inputs ?? []) {
      const decision = decide(state, frozen(input))
      if (isRefusal(decision)) continue
      for (const event of decision) {
        react(state, frozen(event))
        explain(state, event, input.now)
        timerOf(state)
        state = frozen(evolve(state, event, input.now))
      }
    }
    for (const change of changes) for (const event of (JSON.parse(change) as { events: readonly unknown[] }).events) upcast(frozen(event))
  })

  /** In strict mode, which modules are, any write to these throws. */
  function frozen<T>(data: T): T {
    if (typeof data === 'object' && data !== null && !Object.isFrozen(data)) Object.values(Object.freeze(data)).forEach(frozen)
    return data
  }
})
