// The naive service: a NestJS application that reads sends and engagements one by one, polls its timers and relays its outbox.
import 'reflect-metadata'
import { Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm'
import { Kafka, logLevel } from 'kafkajs'
import { Outbox, Sequence, SequenceEvent, Timer } from './entities.mjs'
import { Sequences } from './sequences.mjs'

/** Messages at a time, of as many partitions; timers too. */
const concurrency = 10
/** As most teams poll. */
const timerPollMs = 1_000
const timersAPoll = 500
/** The relay looks more often than the timers, since a command waits for it; it takes a thousand at a time. */
const relayPollMs = 50
const relayBatch = 1_000

const prefix = process.env.TOPIC_PREFIX
const topics = { sends: `${prefix}sends`, engagements: `${prefix}engagements`, 1: `${prefix}commands.1`, 2: `${prefix}commands.2` }

/** Counts what was committed, for the progress shown. */
const counts = { start: 0, requested: 0, viewed: 0 }

class Consumer {
  constructor(sequences, kafka) {
    this.sequences = sequences
    this.consumer = kafka.consumer({ groupId: `${prefix}naive` })
  }

  async onApplicationBootstrap() {
    await this.consumer.connect()
    await this.consumer.subscribe({ topics: [topics.sends, topics.engagements], fromBeginning: true })
    const joined = new Promise((resolve) => this.consumer.on('consumer.group_join', resolve))
    // A handler that throws is called again with the same message: nothing is lost, and what comes twice changes nothing.
    await this.consumer.run({
      partitionsConsumedConcurrently: concurrency,
      eachMessage: ({ topic, message }) => this.handle(topic, JSON.parse(message.value)),
    })
    await joined
  }

  async handle(topic, content) {
    const changed = topic === topics.sends ? await this.sequences.start(content) : await this.sequences.engage(content)
    if (changed) counts[content.kind ?? 'start']++
  }
}

class Timers {
  constructor(sequences) {
    this.sequences = sequences
  }

  onApplicationBootstrap() {
    repeat(timerPollMs, async () => {
      for (let due = await this.sequences.due(timersAPoll); due.length > 0; due = await this.sequences.due(timersAPoll)) {
        let next = 0
        const lane = async () => {
          while (next < due.length) {
            const { sequenceId, dueAt } = due[next++]
            if (await this.sequences.timeOut(sequenceId)) process.send({ fired: sequenceId, lateMs: Date.now() - dueAt.getTime() })
          }
        }
        await Promise.all(Array.from({ length: concurrency }, lane))
      }
    })
  }
}

class Relay {
  constructor(dataSource, kafka) {
    this.dataSource = dataSource
    this.producer = kafka.producer({ idempotent: true })
  }

  async onApplicationBootstrap() {
    await this.producer.connect()
    repeat(relayPollMs, async () => {
      while (await this.relay() === relayBatch);
    })
  }

  /** Produces the oldest commands and deletes them when the broker has them: at least once. */
  async relay() {
    const commands = await this.dataSource.getRepository(Outbox).find({ order: { id: 'ASC' }, take: relayBatch })
    if (commands.length === 0) return 0
    const messagesOf = (topic) => commands.filter((command) => command.topic === topic)
      .map(({ key, value }) => ({ key, value: JSON.stringify(value) }))
    const topicMessages = [topics[1], topics[2]].map((topic) => ({ topic, messages: messagesOf(topic) }))
    await this.producer.sendBatch({ acks: -1, topicMessages: topicMessages.filter(({ messages }) => messages.length > 0) })
    await this.dataSource.getRepository(Outbox).delete(commands.map(({ id }) => id))
    return commands.length
  }
}

/** Calls again and again, never twice at once. A failure is for the next round. */
function repeat(everyMs, work) {
  const round = () => work().catch((error) => console.error(error)).finally(() => setTimeout(round, everyMs))
  setTimeout(round, everyMs)
}

class App {}
Module({
  imports: [TypeOrmModule.forRoot({
    type: 'postgres', url: process.env.DATABASE_URL, entities: [Sequence, SequenceEvent, Timer, Outbox], synchronize: true,
    // Consumer and timers at once.
    poolSize: 2 * concurrency,
  })],
  providers: [
    {
      provide: Kafka,
      useFactory: () => new Kafka({ clientId: 'naive', brokers: process.env.KAFKA_BROKERS.split(','), logLevel: logLevel.ERROR }),
    },
    { provide: Sequences, useFactory: (dataSource) => new Sequences(dataSource, topics), inject: [getDataSourceToken()] },
    { provide: Consumer, useFactory: (sequences, kafka) => new Consumer(sequences, kafka), inject: [Sequences, Kafka] },
    { provide: Timers, useFactory: (sequences) => new Timers(sequences), inject: [Sequences] },
    { provide: Relay, useFactory: (dataSource, kafka) => new Relay(dataSource, kafka), inject: [getDataSourceToken(), Kafka] },
  ],
})(App)

const app = await NestFactory.createApplicationContext(App, { logger: false, abortOnError: false })
await app.init()
process.send({ ready: true })
setInterval(() => process.send({ counts }), 50)
process.on('disconnect', () => process.exit(0))
