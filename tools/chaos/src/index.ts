// What the fuzz of topics takes from chaos: numbers from a seed, a patient caller of the product, and Kafka's protocol by hand.
export { Random } from './random'
export { Api, Refused, type Call } from './http'
export { avroBytes, Entries, namedIn, Place, resolved, type Named, type Schema } from './avroBytes'
export { batchOf, codecs, type BatchFront, type Codec, type RawHeader, type WireRecord } from './batches'
export { Wire, type Fetched, type Produced } from './wire'
