// docs/prometheus-rules.yml is what docs/operations.md says.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { prometheusRules } from './prometheusRules'
import { checkout } from './settings'

const file = join(checkout, 'docs', 'prometheus-rules.yml')
const page = readFileSync(join(checkout, 'docs', 'operations.md'), 'utf8')

it('the file of rules is made of the table', () => {
  if (process.env['WRITE_DOCS']) writeFileSync(file, prometheusRules(page))
  expect(readFileSync(file, 'utf8')).toBe(prometheusRules(page))
})

it('each alert has a name of its own, an expression of its metric and what to do', () => {
  const {
    groups: [{ rules }],
  } = load(prometheusRules(page)) as {
    groups: [{ rules: { alert: string; expr: string; for?: string; annotations: Record<string, string> }[] }]
  }
  expect(rules.length).toBeGreaterThan(20)
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
  for (const { alert, expr, annotations } of rules) {
    expect([alert, expr]).toEqual([alert, expect.stringMatching(/stepcast_[a-z_]+.*(>|==|!=)/)])
    expect([alert, annotations.summary, annotations.first]).toEqual([alert, expect.stringMatching(/\S/), expect.stringMatching(/\S/)])
  }
  expect(rules.find(({ alert }) => alert === 'StepcastConsumerOldestAgeSeconds')).toMatchObject({
    expr: 'max by (group, topic, partition) (stepcast_consumer_oldest_age_seconds) > 60',
    for: '1m',
  })
})
