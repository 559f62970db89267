const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;
const SHIFT = 24;
const POSITIVE = 0x7fffffff;

/**
 * The partition of a key: murmur2 of its UTF-8 bytes, made positive, modulo the partitions: Kafka's default partitioner. So a record
 * lies in the same partition on both adapters.
 */
export function partitionOfKey(key: string, partitions: number): number {
  return (murmur2(Buffer.from(key, 'utf8')) & POSITIVE) % partitions;
}

/**
 * MurmurHash2 as Kafka's clients compute it, as a signed 32-bit integer.
 *
 * @see https://github.com/apache/kafka/blob/4.0.0/clients/src/main/java/org/apache/kafka/common/utils/Utils.java
 */
export function murmur2(data: Buffer): number {
  const words = data.length >> 2;
  let hash = SEED ^ data.length;
  for (let word = 0; word < words; word += 1) {
    hash = Math.imul(hash, MULTIPLIER) ^ mix(data.readInt32LE(word << 2));
  }
  const rest = words << 2;
  const restBytes = data.length - rest;
  if (restBytes > 0) hash = Math.imul(hash ^ data.readUIntLE(rest, restBytes), MULTIPLIER);
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return hash ^ (hash >>> 15);
}

function mix(word: number): number {
  const product = Math.imul(word, MULTIPLIER);
  return Math.imul(product ^ (product >>> SHIFT), MULTIPLIER);
}
