// Kafka's own producer, in Java: what most who write to our topics use. It comes with the broker's jars.
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fetchJars } from '@stepcast/stack'

/** Records of one value to one partition, in one batch as far as they fit. */
export interface JavaRecords {
  /** The topic's name on the broker. */
  readonly topic: string
  readonly partition: number
  readonly codec: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  /** A number: so many zeros. */
  readonly value: Buffer | number
  readonly count: number
}

// `java Producer.java` compiles and runs one file. A line is: codec, topic, partition, count, value (base64, or `zeros:` and how many).
const source = `
import java.util.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Producer {
  public static void main(String[] args) throws Exception {
    Scanner lines = new Scanner(System.in);
    while (lines.hasNextLine()) {
      String[] words = lines.nextLine().split(" ");
      byte[] value = words[4].startsWith("zeros:") ? new byte[Integer.parseInt(words[4].substring(6))] : Base64.getDecoder().decode(words[4]);
      Properties settings = new Properties();
      settings.put("bootstrap.servers", args[0]);
      settings.put("compression.type", words[0]);
      settings.put("linger.ms", "200");
      settings.put("batch.size", "500000");
      settings.put("max.request.size", "100000000");
      settings.put("buffer.memory", "100000000");
      try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
        List<java.util.concurrent.Future<RecordMetadata>> sent = new ArrayList<>();
        for (int n = 0; n < Integer.parseInt(words[3]); n++) {
          byte[] key = (words[0] + n).getBytes();
          sent.add(producer.send(new ProducerRecord<>(words[1], Integer.parseInt(words[2]), key, value)));
        }
        for (var one : sent) one.get();
      }
    }
  }
}
`

/** Writes records, in the order given, with the keys `<codec><n>`; answers once the broker has them. */
export async function produceByJava(brokers: string, records: readonly JavaRecords[]): Promise<void> {
  const { broker: jars } = await fetchJars(() => {})
  const directory = await mkdtemp(join(tmpdir(), 'stepcast-java-'))
  try {
    const file = join(directory, 'Producer.java')
    await writeFile(file, source)
    const java = spawn('java', ['-Xmx600m', '-cp', join(jars, '*'), file, brokers], { stdio: ['pipe', 'ignore', 'pipe'] })
    let said = ''
    java.stderr.on('data', (bytes: Buffer) => (said += String(bytes)))
    java.stdin.end(
      records
        .map(
          ({ codec, topic, partition, count, value }) =>
            `${codec} ${topic} ${partition} ${count} ${typeof value === 'number' ? `zeros:${value}` : value.toString('base64')}\n`,
        )
        .join(''),
    )
    const code = await new Promise<number | null>((resolve, reject) => java.on('error', reject).on('close', resolve))
    if (code !== 0) throw new Error(`Java's producer ended with ${code}: ${said}`)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
