// The alerts of docs/operations.md as a file of rules for Prometheus, so that nobody copies thirty expressions by hand.
import { dump } from 'js-yaml'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly annotations: { readonly summary: string; readonly healthy: string; readonly first: string }
}

/** The rules of the table of metrics, as YAML. */
export function prometheusRules(operationsPage: string): string {
  const rules = rowsOf(operationsPage).flatMap(rulesOf)
  const text = dump({ groups: [{ name: 'stepcast', rules }] }, { lineWidth: -1 })
  return `# Made of the table in operations.md (WRITE_DOCS=1 npx jest --selectProjects unit --testPathPatterns prometheusRules); not edited.\n${text}`
}

/** The cells of every row whose first is a metric. A bar within code is no border. */
const rowsOf = (page: string): string[][] =>
  page
    .split('\n')
    .filter((line) => line.startsWith('| `stepcast_'))
    .map((line) =>
      line
        .slice(2, -2)
        .replaceAll(/`[^`]*`/g, (code) => code.replaceAll('|', '\0'))
        .split(' | ')
        .map((cell) => cell.replaceAll('\0', '|').trim()),
    )

function rulesOf([metric = '', , meaning = '', healthy = '', alert = '', first = '']: string[]): Rule[] {
  const expressions = [...alert.matchAll(/`([^`]+)`([^`]*)/g)]
  return expressions.map(([, expr, behind], i) => {
    const minutes = /for (\d+) min/.exec(behind!)?.[1]
    return {
      alert: nameOf(metric.replaceAll('`', '')) + (expressions.length > 1 ? `${i + 1}` : ''),
      expr: expr!,
      ...(minutes === undefined ? {} : { for: `${minutes}m` }),
      annotations: { summary: plain(meaning), healthy: plain(healthy), first: plain(first) },
    }
  })
}

const nameOf = (metric: string): string => metric.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** Without Markdown. */
const plain = (text: string): string => text.replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1').replaceAll('`', '')
