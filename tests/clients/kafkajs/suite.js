// SPDX-License-Identifier: Apache-2.0
// kafkajs against a broker: suite.js HOST:PORT PREFIX.
'use strict';
const { spawnSync } = require('node:child_process');
const { Kafka, logLevel, CompressionTypes, CompressionCodecs } = require('kafkajs');
const SnappyCodec = require('kafkajs-snappy');
const lz4 = require('lz4-napi');
const zstd = require('@bokuweb/zstd-wasm');
const { check, checkEqual, checkRefused, waitFor, numbers, message, isNumber, tell, countFailed } = require('./checks');

const [bootstrap, prefix] = process.argv.slice(2);
const kafka = new Kafka({ brokers: [bootstrap], clientId: 'kafkajs-suite', logLevel: logLevel.NOTHING });
const admin = kafka.admin();
const nameOf = (words) => `${prefix}.${words}`;
const create = (topic, numPartitions, more = {}) =>
    admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: Number(process.env.REPLICATION || 1), ...more }], waitForLeaders: true });

// kafkajs brings gzip only; the others are added as its documentation says.
CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec;
CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: (encoder) => lz4.compressFrame(encoder.buffer),
    decompress: (buffer) => lz4.decompressFrame(buffer),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer, 3)),
    decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
});

async function withProducer(settings, use) {
    const producer = kafka.producer(settings);
    await producer.connect();
    try {
        return await use(producer);
    } finally {
        await producer.disconnect();
    }
}

// Sends numbered records in sends of a hundred; returns the base offsets answered.
async function produce(producer, topic, partition, first, count, settings = {}) {
    const offsets = [];
    for (let from = first; from < first + count; from += 100) {
        const messages = numbers(from, Math.min(100, first + count - from)).map((n) => message(n, partition));
        const [answer] = await producer.send({ topic, messages, ...settings });
        offsets.push(answer?.baseOffset);
    }
    return offsets;
}

// A consumer that keeps what it gets; records are {partition, offset, key, value, headers, timestamp}.
async function startConsumer(topic, groupId, settings = {}, run = {}) {
    const member = { records: [], partitions: 0, joins: 0, consumer: null };
    member.consumer = kafka.consumer({
        groupId, sessionTimeout: 6000, heartbeatInterval: 300, rebalanceTimeout: 10000, maxWaitTimeInMs: 100, ...settings });
    member.consumer.on(member.consumer.events.GROUP_JOIN, ({ payload }) => {
        member.joins++;
        member.partitions = (payload.memberAssignment[topic] || []).length;
    });
    await member.consumer.connect();
    await member.consumer.subscribe({ topics: [topic], fromBeginning: true });
    await member.consumer.run({
        eachMessage: async ({ partition, message: record }) => {
            member.records.push({ ...record, partition, offset: Number(record.offset) });
        },
        ...run,
    });
    return member;
}

async function stopConsumer(member) {
    await member.consumer.disconnect();
}

async function readAll(topic, count) {
    const member = await startConsumer(topic, nameOf(`read-${topic}`));
    await waitFor(() => member.records.length >= count, 20);
    await stopConsumer(member);
    return member.records;
}

const areNumbers = (records, first, count, offset) =>
    records.length === count && records.every((record, i) => record.offset === offset + i && isNumber(record, first + i));

async function recordsComeBack() {
    for (const [name, compression] of Object.entries(CompressionTypes)) {
        const topic = nameOf(`codec-${name}`);
        await create(topic, 2);
        const offsets = await withProducer({}, (producer) => produce(producer, topic, 1, 0, 500, { compression }));
        checkEqual(offsets, ['0', '100', '200', '300', '400'], `${name}: base offsets are answered in order`);
        const records = await readAll(topic, 500);
        check(areNumbers(records, 0, 500, 0), `${name}: keys, values and headers come back in order`);
        check(records.every((record) => record.partition === 1), `${name}: from the partition they went to`);
    }
    for (const acks of [0, 1, -1]) {
        const topic = nameOf(`acks-${acks}`);
        await create(topic, 1);
        await withProducer({}, (producer) => produce(producer, topic, 0, 0, 500, { acks }));
        check(areNumbers(await readAll(topic, 500), 0, 500, 0), `acks=${acks}`);
    }
    const topic = nameOf('idempotent');
    await create(topic, 1);
    await withProducer({ idempotent: true, maxInFlightRequests: 1 },
        (producer) => produce(producer, topic, 0, 0, 1000));
    check(areNumbers(await readAll(topic, 1000), 0, 1000, 0), 'an idempotent producer');
}

async function oddValues() {
    const topic = nameOf('odd');
    await create(topic, 1);
    await withProducer({}, async (producer) => {
        await producer.send({ topic, messages: [{ key: 'null', value: null }, { key: null, value: '' }] });
        await producer.send({ topic, messages: [{ value: 'x'.repeat(900000) }] });
        await checkRefused(producer.send({ topic, messages: [{ value: 'y'.repeat(1100000) }] }),
            'MESSAGE_TOO_LARGE', 'a record above max.message.bytes is refused');
    });
    const records = await readAll(topic, 3);
    checkEqual(records.map(({ key, value }) => [key?.toString(), value?.length]),
        [['null', undefined], [undefined, 0], [undefined, 900000]], 'null, empty and large values come back');
}

async function offsetsAndTimes() {
    const topic = nameOf('time');
    const base = Date.now() - 500000;
    await create(topic, 1);
    await withProducer({}, (producer) => producer.send({
        topic, messages: numbers(0, 100).map((n) => ({ ...message(n, 0), timestamp: `${base + n * 1000}` })) }));
    const [ends] = await admin.fetchTopicOffsets(topic);
    checkEqual([ends.low, ends.high], ['0', '100'], 'topic offsets');
    const at = async (time) => (await admin.fetchTopicOffsetsByTimestamp(topic, time))[0].offset;
    checkEqual(await at(base + 41500), '42', 'the offset between two times');
    checkEqual(await at(base + 99001), '100', 'the end after the last time');
    checkEqual((await readAll(topic, 100)).map((record) => record.timestamp),
        numbers(0, 100).map((n) => `${base + n * 1000}`), 'times come back as they were given');
}

// Every record of every partition once over all members, in order within a member.
function checkMembers(members, partitions, last) {
    const seen = new Map();
    let wrong = 0;
    for (const member of members) {
        const ends = new Map();
        for (const record of member.records) {
            const place = `${record.partition}/${record.offset}`;
            seen.set(place, (seen.get(place) || 0) + 1);
            if (!isNumber(record, record.offset) || record.offset <= (ends.get(record.partition) ?? -1)) wrong++;
            ends.set(record.partition, record.offset);
        }
    }
    check(seen.size === partitions * last && [...seen.values()].every((times) => times === 1),
        'every record goes to one member once', `(${seen.size} of ${partitions * last} places)`);
    check(wrong === 0, 'each member reads each partition in order', `(${wrong} are not)`);
}

async function groupsShare() {
    const topic = nameOf('group');
    await create(topic, 6);
    const produceRound = (first) => withProducer({}, async (producer) => {
        for (const partition of numbers(0, 6)) await produce(producer, topic, partition, first, 100);
    });
    const total = (members) => members.reduce((sum, member) => sum + member.records.length, 0);
    const shared = (members) => members.every((member) => member.partitions === 6 / members.length);

    await produceRound(0);
    const members = await Promise.all([startConsumer(topic, topic), startConsumer(topic, topic)]);
    check(await waitFor(() => total(members) >= 600, 40), 'two members read');
    check(await waitFor(() => shared(members), 40), 'each has three partitions');
    members.push(await startConsumer(topic, topic));
    check(await waitFor(() => shared(members), 40), 'a third joins and each has two');
    await produceRound(100);
    check(await waitFor(() => total(members) >= 1200, 40), 'three members read');
    await stopConsumer(members[1]);
    check(await waitFor(() => shared([members[0], members[2]]), 40), 'one leaves and the others have three');
    await produceRound(200);
    check(await waitFor(() => total(members) >= 1800, 40), 'those left read the rest', `(${total(members)})`);
    await stopConsumer(members[0]);
    await stopConsumer(members[2]);
    checkMembers(members, 6, 300);
}

async function groupsResume() {
    const topic = nameOf('resume');
    await create(topic, 1);
    await withProducer({}, (producer) => produce(producer, topic, 0, 0, 300));
    const first = await startConsumer(topic, topic, {}, { autoCommit: false });
    check(await waitFor(() => first.records.length >= 300, 20), 'a member that does not commit reads all');
    await first.consumer.commitOffsets([{ topic, partition: 0, offset: '123', metadata: 'by hand' }]);
    await stopConsumer(first);
    const [committed] = await admin.fetchOffsets({ groupId: topic, topics: [topic] });
    checkEqual(committed.partitions.map(({ offset, metadata }) => [offset, metadata]), [['123', 'by hand']],
        'its commit by hand reads back with its metadata');
    const second = await startConsumer(topic, topic);
    check(await waitFor(() => second.records.length >= 177, 20), 'a restarted member reads the rest');
    await stopConsumer(second);
    check(areNumbers(second.records, 123, 177, 123), 'from the offset committed');
    checkEqual((await admin.fetchOffsets({ groupId: topic, topics: [topic] }))[0].partitions[0].offset, '300',
        'and its automatic commit is the end');
}

async function topicsChange() {
    const topic = nameOf('admin');
    await create(topic, 2, { configEntries: [{ name: 'cleanup.policy', value: 'compact' }] });
    check((await admin.listTopics()).includes(topic), 'a new topic is listed');
    checkEqual(await create(topic, 2), false, 'a topic that exists is not created again');
    await checkRefused(create('no/name', 1), 'INVALID_TOPIC_EXCEPTION', 'a name that is no topic name is refused');
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] });
    check(await waitFor(async () =>
        (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length === 5, 10), 'a topic grows to five');
    await checkRefused(admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] }), 'INVALID_PARTITIONS',
        'and does not shrink');
    const valueOf = async (name) => (await admin.describeConfigs({ includeSynonyms: false,
        resources: [{ type: 2, name: topic, configNames: [name] }] })).resources[0].configEntries[0].configValue;
    checkEqual(await valueOf('cleanup.policy'), 'compact', 'a configuration given at creation');
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: topic,
        configEntries: [{ name: 'cleanup.policy', value: 'delete' }, { name: 'retention.ms', value: '987654321' }] }] });
    check(await waitFor(async () => (await valueOf('retention.ms')) === '987654321', 10), 'a configuration set');
    checkEqual(await valueOf('cleanup.policy'), 'delete', 'together with another');
    // kafkajs looks for the leader in what it remembers, so it has to ask about the topic first.
    await admin.fetchTopicOffsets(topic);
    await withProducer({}, (producer) => produce(producer, topic, 1, 0, 100));
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: '60' }] });
    const ends = (await admin.fetchTopicOffsets(topic)).find(({ partition }) => partition === 1);
    checkEqual([ends.low, ends.high], ['60', '100'], 'records before 60 are deleted');
    check(areNumbers(await readAll(topic, 40), 60, 40, 60), 'and reading starts at 60');
    checkEqual((await admin.describeCluster()).brokers.length, 1, 'the cluster is described');
    await admin.deleteTopics({ topics: [topic] });
    check(await waitFor(async () => !(await admin.listTopics()).includes(topic), 10), 'a deleted topic is not listed');
}

async function groupsChange() {
    const topic = nameOf('group-admin'), groupId = topic;
    await create(topic, 1);
    await withProducer({}, (producer) => produce(producer, topic, 0, 0, 100));
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '44' }] });
    const member = await startConsumer(topic, groupId);
    check(await waitFor(() => member.records.length >= 56, 20), 'a member reads from the offset set');
    check(areNumbers(member.records, 44, 56, 44), 'the records from there');
    const [described] = (await admin.describeGroups([groupId])).groups;
    checkEqual([described.state, described.members.map(({ clientId }) => clientId)], ['Stable', ['kafkajs-suite']],
        'the group is described with its member');
    await checkRefused(admin.deleteGroups([groupId]), 'NON_EMPTY_GROUP', 'a group with members is not deleted');
    await stopConsumer(member);
    await admin.resetOffsets({ groupId, topic, earliest: true });
    checkEqual((await admin.fetchOffsets({ groupId, topics: [topic] }))[0].partitions[0].offset, '-2', 'offsets are reset');
    check((await admin.listGroups()).groups.some((group) => group.groupId === groupId), 'the group is listed');
    await admin.deleteGroups([groupId]);
    check(!(await admin.listGroups()).groups.some((group) => group.groupId === groupId), 'a deleted group is not listed');
}

// Three nodes, one of which is killed while it leads; $KILL_LEADER TOPIC kills it.
async function leaderDies() {
    const topic = nameOf('failover'), rounds = 6, perRound = 100;
    await create(topic, 6);
    const patient = new Kafka({ brokers: [bootstrap], clientId: 'kafkajs-suite', logLevel: logLevel.NOTHING,
        connectionTimeout: 1000, requestTimeout: 5000, retry: { retries: 60, initialRetryTime: 100, maxRetryTime: 500 } });
    // After its coordinator died a member may read some again.
    const places = new Set();
    let wrong = 0;
    const members = await Promise.all(numbers(0, 2).map(async () => {
        const consumer = patient.consumer({ groupId: topic, sessionTimeout: 6000, heartbeatInterval: 300, maxWaitTimeInMs: 100 });
        await consumer.connect();
        await consumer.subscribe({ topics: [topic], fromBeginning: true });
        await consumer.run({ eachMessage: async ({ partition, message: record }) => {
            const offset = Number(record.offset);
            if (!isNumber({ ...record, partition, offset }, offset)) wrong++;
            places.add(`${partition}/${offset}`);
        } });
        return consumer;
    }));
    const producer = patient.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    const misplaced = [];
    for (let first = 0; first < rounds * perRound; first += perRound) {
        if (first === rounds / 2 * perRound)
            check(spawnSync(process.env.KILL_LEADER, [topic]).status === 0, 'a leader is killed');
        for (const partition of numbers(0, 6)) {
            const [base] = await produce(producer, topic, partition, first, perRound);
            if (base !== `${first}`) misplaced.push(`${partition}/${first}: ${base}`);
        }
    }
    await producer.disconnect();
    check(misplaced.length === 0, 'every record is acknowledged at its place', misplaced.join());
    check(await waitFor(() => places.size >= 6 * rounds * perRound, 60), 'the group read them all', `(${places.size})`);
    check(places.size === 6 * rounds * perRound && wrong === 0, 'and nothing else', `(${places.size}, ${wrong})`);
    await Promise.all(members.map((member) => member.disconnect()));
}

async function main() {
    await zstd.init();
    await admin.connect();
    const tests = process.env.KILL_LEADER ? [recordsComeBack, groupsShare, leaderDies] : [recordsComeBack, oddValues, offsetsAndTimes, groupsResume, topicsChange, groupsChange, groupsShare];
    for (const test of tests) {
        try {
            await test();
        } catch (error) {
            check(false, `${test.name} came to its end`, `(${tell(error)})`);
        }
    }
    await admin.disconnect();
    process.exit(countFailed() === 0 ? 0 : 1);
}

main().catch((error) => {
    check(false, 'the suite came to its end', `(${tell(error)})`);
    process.exit(1);
});
