"""A backend in Python: writes sends by librdkafka, with the registry's schema and the partitioner that librdkafka takes by default (CRC32).

Standard input: {"client": {…}, "registry": "http://…", "topic": "…", "sends": [{…}]}. Standard output: {"acknowledged": n}.
"""
import json
import sys

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

asked = json.load(sys.stdin)
registry = SchemaRegistryClient({"url": asked["registry"]})
serialize = AvroSerializer(registry, conf={"auto.register.schemas": False, "use.latest.version": True})
producer = Producer({"partitioner": "consistent_random", "linger.ms": 50, "enable.idempotence": False, **asked["client"]})
where = SerializationContext(asked["topic"], MessageField.VALUE)

acknowledged = 0
refused = []


def told(error, message):
    global acknowledged
    if error is None:
        acknowledged += 1
    else:
        refused.append(str(error))


for send in asked["sends"]:
    producer.produce(asked["topic"], key=send["sendId"], value=serialize(send, where), on_delivery=told)
left = producer.flush(30)
if left or refused:
    sys.exit(f"{left} not acknowledged, {len(refused)} refused: {refused[:1]}")
print(json.dumps({"acknowledged": acknowledged}))
