// One command line over kafkajs, with the verbs of ../go_clients/main.go: a test says what the client shall do and looks at what it did.
//
//   client.mjs produce     ADDRESS TOPIC COUNT CODEC     (none, gzip or snappy)
//   client.mjs consume     ADDRESS TOPIC GROUP COUNT
//   client.mjs transaction ADDRESS SOURCE TARGET GROUP COUNT
//   client.mjs administer  ADDRESS TOPIC
//
// Whatever goes wrong is one line on stderr, and the exit code is 1.

import kafkajs from "kafkajs";
import snappy from "kafkajs-snappy";

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs;
CompressionCodecs[CompressionTypes.Snappy] = snappy;

const CODECS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy };
const BATCH_OF_TRANSACTION = 10;

function client(address) {
  return new Kafka({ clientId: "kafkajs", brokers: [address], logLevel: logLevel.NOTHING });
}

async function using(connected, work) {
  await connected.connect();
  try {
    return await work(connected);
  } finally {
    await connected.disconnect();
  }
}

async function produce(address, topic, count, codec) {
  const kafka = client(address);
  await using(kafka.admin(), (admin) => admin.createTopics({ topics: [{ topic, numPartitions: 3, replicationFactor: 1 }] }));
  const messages = Array.from({ length: Number(count) }, (_, number) => ({
    key: `key-${number}`,
    value: `value-${number}`,
    headers: { by: "kafkajs" },
  }));
  await using(kafka.producer({ idempotent: true, maxInFlightRequests: 1 }), (producer) =>
    producer.send({ topic, messages, acks: -1, compression: CODECS[codec] }),
  );
}

async function consume(address, topic, groupId, count) {
  const found = [];
  const consumer = client(address).consumer({ groupId, readUncommitted: false });
  await using(consumer, async () => {
    await consumer.subscribe({ topic, fromBeginning: true });
    await new Promise((resolve, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
      const eachMessage = async ({ partition, message }) => {
        const next = String(BigInt(message.offset) + 1n);
        found.push({
          partition,
          offset: Number(message.offset),
          key: String(message.key),
          value: String(message.value),
          header: String(message.headers.by ?? ""),
        });
        await consumer.commitOffsets([{ topic, partition, offset: next }]);
        if (found.length === Number(count)) resolve();
      };
      consumer.run({ autoCommit: false, eachMessage }).catch(reject);
    });
  });
  for (const each of found) console.log(JSON.stringify(each));
}

async function transaction(address, source, target, groupId, count) {
  const kafka = client(address);
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, transactionalId: groupId });
  const consumer = kafka.consumer({ groupId, readUncommitted: false });
  let copied = 0;

  async function once(batch, messages, commits) {
    const open = await producer.transaction();
    const last = messages[messages.length - 1];
    const partitions = [{ partition: batch.partition, offset: String(BigInt(last.offset) + 1n) }];
    await open.send({ topic: target, messages: messages.map(({ key, value }) => ({ key, value })) });
    await open.sendOffsets({ consumerGroupId: groupId, topics: [{ topic: source, partitions }] });
    await (commits ? open.commit() : open.abort());
  }

  await using(producer, () =>
    using(consumer, async () => {
      await consumer.subscribe({ topic: source, fromBeginning: true });
      await new Promise((resolve, reject) => {
        consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
        const eachBatch = async ({ batch, resolveOffset }) => {
          for (let at = 0; at < batch.messages.length; at += BATCH_OF_TRANSACTION) {
            const messages = batch.messages.slice(at, at + BATCH_OF_TRANSACTION);
            await once(batch, messages, false);
            await once(batch, messages, true);
            resolveOffset(messages[messages.length - 1].offset);
            copied += messages.length;
          }
          if (copied >= Number(count)) resolve();
        };
        consumer.run({ autoCommit: false, partitionsConsumedConcurrently: 1, eachBatch }).catch(reject);
      });
    }),
  );
}

async function administer(address, topic) {
  const kafka = client(address);
  const found = await using(kafka.admin(), async (admin) => {
    await admin.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 1 }] });
    const again = await admin.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 1 }] });
    await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
    const configEntries = [{ name: "retention.ms", value: "604800000" }];
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }] });
    const described = await admin.describeConfigs({ includeSynonyms: true, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }] });
    const retention = described.resources[0].configEntries.find((entry) => entry.configName === "retention.ms");
    await using(kafka.producer(), (producer) => producer.send({ topic, messages: [0, 1].map(() => ({ partition: 0, value: "" })) }));
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "-1" }] });
    const offsets = await admin.fetchTopicOffsets(topic);
    const listed = await admin.listTopics();
    const metadata = await admin.fetchTopicMetadata({ topics: [topic] });
    await admin.deleteTopics({ topics: [topic] });
    const left = await admin.listTopics();
    return {
      partitions: metadata.topics[0].partitions.length,
      retention_ms: retention.configValue,
      low_watermark: Number(offsets.find(({ partition }) => partition === 0).low),
      listed: listed.includes(topic),
      listed_when_gone: left.includes(topic),
      create_again_error: again ? "" : "it exists",
    };
  });
  console.log(JSON.stringify(found));
}

const VERBS = { produce, consume, transaction, administer };
const [verb, ...rest] = process.argv.slice(2);
if (!(verb in VERBS) || rest.length !== VERBS[verb].length) {
  console.error(`usage: client.mjs ${Object.keys(VERBS).join("|")} ADDRESS ..., got ${process.argv.slice(2)}`);
  process.exit(1);
}
setTimeout(() => {
  console.error("not done after 50 s");
  process.exit(1);
}, 50_000).unref();
try {
  await VERBS[verb](...rest);
} catch (error) {
  console.error(error.stack ?? String(error));
  process.exit(1);
}
