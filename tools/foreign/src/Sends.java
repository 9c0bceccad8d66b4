// A backend in Java: writes values that are already encoded, by Kafka's own producer.
// Arguments: a file with the producer's settings, the topic. Standard input: a key and a value in base64 on each line.
import java.io.FileReader;
import java.util.*;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Sends {
  public static void main(String[] args) throws Exception {
    Properties settings = new Properties();
    try (FileReader file = new FileReader(args[0])) {
      settings.load(file);
    }
    settings.put("linger.ms", "50");
    // Being idempotent is a right of its own on the cluster in old installations, and on the topic in new ones.
    settings.put("enable.idempotence", "true");
    int acknowledged = 0;
    try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      Scanner lines = new Scanner(System.in);
      while (lines.hasNextLine()) {
        String[] words = lines.nextLine().split(" ");
        sent.add(producer.send(new ProducerRecord<>(args[1], words[0].getBytes(), Base64.getDecoder().decode(words[1]))));
      }
      for (Future<RecordMetadata> one : sent) {
        one.get();
        acknowledged++;
      }
    }
    System.out.println("{\"acknowledged\": " + acknowledged + "}");
  }
}
