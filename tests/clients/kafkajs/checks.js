// SPDX-License-Identifier: Apache-2.0
// What the kafkajs test says and compares with: checks that print, numbered records, waits with deadlines.
'use strict';
const { isDeepStrictEqual, inspect } = require('node:util');

let failed = 0;

function check(passed, words, detail = '') {
    if (!passed) failed++;
    console.log(passed ? `ok - ${words}` : `not ok - ${words} ${detail}`);
}

function checkEqual(got, expected, words) {
    const shown = (value) => inspect(value, { breakLength: Infinity, maxArrayLength: 5 });
    check(isDeepStrictEqual(got, expected), words, `(expected ${shown(expected)}, got ${shown(got)})`);
}

// Passes when the promise is rejected with a Kafka error of this type.
async function checkRefused(promise, type, words) {
    try {
        await promise;
        check(false, words, '(succeeded)');
    } catch (error) {
        const inner = [...(error.errors || []), ...(error.groups || []).map((group) => group.error), error.cause];
        const types = [error.type, ...inner.map((one) => one?.type)];
        check(types.includes(type), words, `(${error.name} ${types} ${error.message})`);
    }
}

// Looks at the condition until it holds; false at the deadline.
async function waitFor(condition, seconds) {
    const deadline = Date.now() + seconds * 1000;
    while (!(await condition())) {
        if (Date.now() > deadline) return false;
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return true;
}

const numbers = (first, count) => Array.from({ length: count }, (_, i) => first + i);

const message = (n, partition) => ({ key: `k${n}`, value: `v${n}`, headers: { h: `h${n}` }, partition });

const isNumber = (record, n) =>
    record.key?.toString() === `k${n}` && record.value?.toString() === `v${n}` && record.headers.h?.toString() === `h${n}`;

const countFailed = () => failed;

// The whole of an error, with the lists that kafkajs hangs on it.
const tell = (error) => `${error.stack} ${JSON.stringify(error.partitions || error.errors || '')}`;

module.exports = { check, checkEqual, checkRefused, waitFor, numbers, message, isNumber, tell, countFailed };
