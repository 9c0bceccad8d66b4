// A NestJS and TypeORM service on the workload, as most teams write it first: each Kafka message is read, decided and committed in one
// transaction (state row, event row, timer row, outbox row), 10 at a time; timers by a poll each second; commands to Kafka by a relay
// that polls the outbox. It keeps what Stepcast keeps: history, state, timers, Kafka in and out. JSON, not Avro; no dead letters.
import { fork } from 'node:child_process'
import { Kafka, logLevel } from 'kafkajs'
import { chunks, inFlight, latenessTimers, main, readArguments, required, Run, sleep, versionOf } from '../protocol.mjs'

/** As many as Stepcast's topics have here. */
const numPartitions = 12

main(async () => {
  const { n } = readArguments(3_000)
  const [brokers, prefix] = [required('KAFKA_BROKERS'), required('TOPIC_PREFIX')]
  required('DATABASE_URL')
  const version = ['@nestjs/core', 'typeorm', 'kafkajs'].map((name) => `${name} ${versionOf(name, import.meta.url)}`).join(', ')
  const notes = 'PostgreSQL commits every message; history, state, timers and outbox; Kafka in and out; JSON; timers polled each second'
  const run = new Run({ name: 'naive', version, n, notes })

  const kafka = new Kafka({ clientId: 'naive-driver', brokers: brokers.split(','), logLevel: logLevel.ERROR })
  const admin = kafka.admin()
  await admin.connect()
  const topic = (name) => `${prefix}${name}`
  const names = ['sends', 'engagements', 'commands.1', 'commands.2']
  await admin.createTopics({ waitForLeaders: true, topics: names.map((name) => ({ topic: topic(name), numPartitions })) })
  const producer = kafka.producer({ idempotent: true })
  await producer.connect()
  const service = await startService()
  const written = new Topics(admin, [topic('commands.1'), topic('commands.2')])

  const idOf = (number) => `sequence-${number}`
  const numberOf = (id) => Number(id.slice('sequence-'.length))
  const produce = (name, numbers, contentOf) => inFlight(chunks(numbers, 1_000), 2, (some) => producer.send({
    topic: topic(name), acks: -1,
    messages: some.map((number) => ({ key: idOf(number), value: JSON.stringify({ sequenceId: idOf(number), ...contentOf() }) })),
  }))
  /** Puts the messages on the topic while the service stands still, so that producing them is nobody's work on the clock. */
  const load = async (...what) => {
    service.process.kill('SIGSTOP')
    await produce(...what)
  }
  const go = () => void service.process.kill('SIGCONT')
  const send = () => ({ userId: 'user', templateId: 'bench', variables: {}, requestedAt: Date.now() })
  const requested = (dueAt, occurredAt) => ({ kind: 'requested', occurredAt, waitMs: dueAt - occurredAt })

  await load('sends', run.all, send)
  await run.phase('start', n, () => written.count(topic('commands.1')), go)
  const dueAt = run.dueInstant()
  const occurredAt = Date.now()
  await load('engagements', run.all, () => requested(dueAt, occurredAt))
  await run.phase('requested', n, () => service.counts.requested, go)
  await load('engagements', run.even, () => ({ kind: 'viewed', occurredAt: Date.now() }))
  await run.phase('engaged', run.even.length, () => service.counts.viewed, go)
  await run.timers(dueAt, () => written.count(topic('commands.2')))

  await written.stop()
  for (const step of [1, 2]) {
    // What is on the topics counts; how late a timer was is what the service saw at its commit.
    for (const id of await readAll(kafka, admin, topic(`commands.${step}`))) {
      run.effected(step, numberOf(id), step === 2 ? service.lateMs.get(id) : 0)
    }
  }
  service.onFired = (id, lateMs) => run.effected(2, numberOf(id), lateMs)
  await produce('sends', Array.from({ length: latenessTimers }, (_, index) => n + index), send)
  while (service.counts.start < n + latenessTimers) await sleep(20)
  await run.lateness((number, due) => produce('engagements', [number], () => requested(due, Date.now())))

  service.process.disconnect()
  await Promise.all([producer.disconnect(), admin.disconnect()])
  run.finish()
})

async function startService() {
  const service = {
    process: fork(new URL('./service.mjs', import.meta.url)),
    counts: { start: 0, requested: 0, viewed: 0 },
    lateMs: new Map(),
    onFired: () => undefined,
  }
  service.process.on('exit', (code) => code === 0 || main(() => Promise.reject(new Error(`the service ended with code ${code}`))))
  await new Promise((ready) => service.process.on('message', (message) => {
    if (message.ready) ready()
    if (message.counts) service.counts = message.counts
    if (message.fired) {
      service.lateMs.set(message.fired, message.lateMs)
      service.onFired(message.fired, message.lateMs)
    }
  }))
  return service
}

/** How many records topics hold, asked each 20 ms. */
class Topics {
  #counts = new Map()
  #watching

  constructor(admin, topics) {
    let stopped = false
    const watch = async () => {
      while (!stopped) {
        for (const topic of topics) {
          const offsets = await admin.fetchTopicOffsets(topic)
          this.#counts.set(topic, offsets.reduce((sum, { high }) => sum + Number(high), 0))
        }
        await sleep(20)
      }
    }
    this.#watching = watch()
    this.stop = () => {
      stopped = true
      return this.#watching
    }
  }

  count(topic) {
    return this.#counts.get(topic) ?? 0
  }
}

/** The keys of all records of a topic. */
async function readAll(kafka, admin, topic) {
  const size = (await admin.fetchTopicOffsets(topic)).reduce((sum, { high }) => sum + Number(high), 0)
  const consumer = kafka.consumer({ groupId: `${topic}.check` })
  const keys = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise((resolve, reject) => {
    consumer.run({
      eachBatch: async ({ batch }) => {
        for (const { key } of batch.messages) keys.push(key.toString())
        if (keys.length >= size) resolve()
      },
    }).catch(reject)
    if (size === 0) resolve()
  })
  await consumer.disconnect()
  return keys
}
