#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Produce: batches that are not what they say, compressed ones that are bombs, producers out of line."""
import gzip
import struct
import sys
import zlib

import kafka
from kafka import (CREATE_TOPICS, INIT_PRODUCER_ID, PRODUCE, PUSH_TELEMETRY, array, batch, int8, int16,
                   int32, int64, record, request, string, varint)
from suite import Suite, expect

CORRUPT, TOO_LARGE, INVALID_TOPIC, INVALID_ACKS, INVALID_TIMESTAMP, UNSUPPORTED_FORMAT = 2, 10, 17, 21, 32, 43
OUT_OF_ORDER, INVALID_EPOCH, NO_COMPRESSION, NO_TRANSACTIONS, INVALID_RECORD = 45, 47, 76, 53, 87
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
HUGE = 2**31 - 1

suite = Suite()
case = suite.case


def produced(records, topic="batches", **options):
    with suite.connect() as connection:
        return kafka.produce(connection, topic, records, **options)


def refused(error, records, topic="batches", **options):
    """Produces records that are owed an error; nothing of them may be in the log."""
    before = produced(batch())
    got = produced(records, topic, **options)
    after = produced(batch())
    return expect(error, got[0]) or expect(-1, got[1]) or expect(before[1] + 1, after[1])


@case("the topic for the batches is there")
def prepare():
    kafka.create_topic(suite.healthy, "batches")


@case("acks=2 is INVALID_REQUIRED_ACKS")
def wrong_acks():
    return refused(INVALID_ACKS, batch(), acks=2) or refused(INVALID_ACKS, batch(), acks=-2)


@case("acks=0 with a damaged batch has no answer but a closed connection")
def no_answer():
    with suite.connect() as connection:
        connection.send(request(PRODUCE, 7, kafka.produce_body("batches", batch(crc=1), acks=0)))
        return None if connection.closes() else "the connection is open"


@case("two batches for one partition are INVALID_RECORD")
def two_batches():
    return refused(INVALID_RECORD, batch() + batch())


@case("no batch at all, or null, is INVALID_RECORD")
def no_batch():
    return refused(INVALID_RECORD, b"") or refused(INVALID_RECORD, None)


@case("a partition twice in one request harms nobody")
def partition_twice():
    with suite.connect() as connection:
        connection.send(request(PRODUCE, 7, kafka.produce_body("batches", batch(), batch())))
        connection.answer()


@case("a wrong CRC is CORRUPT_MESSAGE")
def wrong_crc():
    return refused(CORRUPT, batch(crc=0)) or refused(CORRUPT, batch(crc=0xFFFFFFFF))


@case("any byte changed below the CRC is CORRUPT_MESSAGE")
def changed_byte():
    sound = batch([b"abc"])
    with suite.connect() as connection:
        for at in range(21, len(sound)):
            damaged = sound[:at] + bytes([sound[at] ^ 0x20]) + sound[at + 1:]
            wrong = expect(CORRUPT, kafka.produce(connection, "batches", damaged)[0])
            if wrong:
                return f"byte {at}: {wrong}"
    return None


@case("a batch length that is negative, too short or beyond the bytes is CORRUPT_MESSAGE")
def wrong_length():
    for length in (-1, -2**31, 0, 48, 100000, HUGE):
        wrong = refused(CORRUPT, batch(length=length))
        if wrong:
            return f"length {length}: {wrong}"
    return None


@case("every prefix of a batch is CORRUPT_MESSAGE")
def batch_prefixes():
    sound = batch([b"abc"])
    with suite.connect() as connection:
        for size in range(1, len(sound)):
            wrong = expect(CORRUPT, kafka.produce(connection, "batches", sound[:size])[0])
            if wrong:
                return f"{size} bytes: {wrong}"
    return None


@case("a record count that differs from the records is INVALID_RECORD")
def wrong_count():
    two = record(b"a") + record(b"b", 1)
    return refused(INVALID_RECORD, batch(records=two, count=1)) or refused(INVALID_RECORD, batch(records=two, count=3))


@case("a record count of 0 or below is INVALID_RECORD")
def no_records():
    return refused(INVALID_RECORD, batch(records=b"", count=0)) or \
        refused(INVALID_RECORD, batch(count=-1)) or refused(INVALID_RECORD, batch(count=-2**31, last=0))


@case("a last offset that does not fit the count is INVALID_RECORD")
def wrong_last():
    return refused(INVALID_RECORD, batch(last=5)) or refused(INVALID_RECORD, batch(last=-1)) or \
        refused(INVALID_RECORD, batch(last=HUGE))


@case("a record count of 2^31-1 in a tiny batch is INVALID_RECORD without memory for it", memory_max=4 << 20)
def huge_count():
    return refused(INVALID_RECORD, batch(count=HUGE, last=HUGE - 1)) or \
        refused(INVALID_RECORD, batch(records=gzip.compress(record(b"a")), count=HUGE, last=HUGE - 1, attributes=GZIP))


@case("a magic that does not exist is CORRUPT_MESSAGE")
def unknown_magic():
    for magic in (3, 127, -1):
        wrong = refused((CORRUPT, INVALID_RECORD) if magic < 0 else CORRUPT, batch(magic=magic))
        if wrong:
            return f"magic {magic}: {wrong}"
    return None


def old_message(magic, value=b"old", attributes=0):
    body = int8(magic) + int8(attributes) + (int64(kafka.now_ms()) if magic else b"") + int32(-1) + \
        int32(len(value)) + value
    body = struct.pack(">I", zlib.crc32(body)) + body
    return int64(0) + int32(len(body)) + body


@case("messages of magic 0 and 1 are INVALID_RECORD, as in Kafka 4")
def old_magic():
    return refused(INVALID_RECORD, old_message(0)) or refused(INVALID_RECORD, old_message(1))


@case("a compressed message inside a compressed message of magic 1 is refused")
def nested_compression():
    inner = gzip.compress(old_message(1))
    middle = gzip.compress(old_message(1, inner, GZIP))
    return refused((CORRUPT, INVALID_RECORD), old_message(1, middle, GZIP))


@case("a control batch from a client is INVALID_RECORD, a transactional one is not authorized")
def control_batch():
    marker = record(int16(0) + int32(0), key=int16(0) + int16(1))
    return refused(INVALID_RECORD, batch(records=marker, attributes=0x20)) or \
        refused(NO_TRANSACTIONS, batch(records=marker, attributes=0x30, producer=1, epoch=0, sequence=0))


@case("headers that count below 0 or have no key are INVALID_RECORD")
def wrong_headers():
    wrong_ones = [record(b"a", header_count=-1), record(b"a", header_count=5), record(b"a", header_count=HUGE),
                  record(b"a", headers=[varint(-1) + varint(0)]), record(b"a", headers=[varint(HUGE) + b"k"]),
                  record(b"a", headers=[varint(1) + b"k" + varint(HUGE)])]
    for number, records in enumerate(wrong_ones):
        wrong = refused(INVALID_RECORD, batch(records=records))
        if wrong:
            return f"number {number}: {wrong}"
    return None


@case("records whose lengths lie are INVALID_RECORD")
def wrong_record_lengths():
    good = record(b"abc")
    wrong_ones = [varint(HUGE) + good[1:], varint(-1) + good[1:], b"\xff" * 10 + good, good[:-1], good + b"\0",
                  varint(3) + b"\0\0\0", varint(7) + b"\0" + varint(0) * 2 + varint(HUGE)[:4],
                  varint(8) + b"\0" + varint(0) * 2 + varint(-5) + varint(3) + b"abc"]
    for number, records in enumerate(wrong_ones):
        wrong = refused(INVALID_RECORD, batch(records=records))
        if wrong:
            return f"number {number}: {wrong}"
    return None


@case("the transactional bit without a producer id is refused")
def transactional_without_producer():
    return refused((INVALID_RECORD, 53), batch(attributes=0x10))


@case("a producer id with base sequence -1 is INVALID_RECORD")
def producer_without_sequence():
    return refused(INVALID_RECORD, batch(producer=7, epoch=0, sequence=-1))


@case("a base offset that is not 0 is INVALID_RECORD")
def wrong_base_offset():
    return refused(INVALID_RECORD, batch(base_offset=5)) or refused(INVALID_RECORD, batch(base_offset=-1))


def producer_id():
    with suite.connect() as connection:
        reader = connection.ask(INIT_PRODUCER_ID, 0, string(None) + int32(60000))
        reader.int32()
        error, identity, epoch = reader.int16(), reader.int64(), reader.int16()
        if error:
            raise ValueError(f"InitProducerId: error {error}")
        return identity, epoch


@case("a gap in a producer's sequence is OUT_OF_ORDER_SEQUENCE_NUMBER")
def sequence_gap():
    identity, epoch = producer_id()
    first = produced(batch(producer=identity, epoch=epoch, sequence=0))
    return expect(0, first[0]) or refused(OUT_OF_ORDER, batch(producer=identity, epoch=epoch, sequence=2)) or \
        refused(OUT_OF_ORDER, batch(producer=identity, epoch=epoch, sequence=HUGE)) or \
        expect(0, produced(batch(producer=identity, epoch=epoch, sequence=1))[0])


@case("a batch sent again is answered with its old offset and stored once")
def replayed():
    identity, epoch = producer_id()
    told = [produced(batch(producer=identity, epoch=epoch, sequence=n)) for n in range(5)]
    for number in range(5):
        again = produced(batch(producer=identity, epoch=epoch, sequence=number))
        wrong = expect(told[number], again)
        if wrong:
            return f"sequence {number}: {wrong}"
    return expect(told[-1][1] + 1, produced(batch())[1])


@case("a batch older than the last five of its producer is not stored again")
def too_old():
    identity, epoch = producer_id()
    for number in range(7):
        produced(batch(producer=identity, epoch=epoch, sequence=number))
    return refused((OUT_OF_ORDER, 46), batch(producer=identity, epoch=epoch, sequence=0))


@case("an older epoch of a producer is INVALID_PRODUCER_EPOCH, a new one begins with sequence 0")
def old_epoch():
    identity, _ = producer_id()
    return expect(0, produced(batch(producer=identity, epoch=3, sequence=0))[0]) or \
        refused(INVALID_EPOCH, batch(producer=identity, epoch=2, sequence=1)) or \
        refused(OUT_OF_ORDER, batch(producer=identity, epoch=4, sequence=9)) or \
        expect(0, produced(batch(producer=identity, epoch=4, sequence=0))[0])


@case("an unknown producer in the middle of its sequence is accepted, as Kafka does")
def unknown_producer():
    return expect(0, produced(batch(producer=987654321, epoch=0, sequence=77))[0])


@case("a producer id below -1 is refused or taken as none")
def negative_producer():
    got = produced(batch(producer=-2, epoch=0, sequence=0))
    return expect((0, INVALID_RECORD, CORRUPT, 59), got[0])


@case("a batch above max.message.bytes is MESSAGE_TOO_LARGE")
def too_large():
    return refused(TOO_LARGE, batch([bytes(1048588)]))


@case("timestamps of the year 292 million and of -2 are INVALID_TIMESTAMP")
def wrong_timestamps():
    for timestamp in (2**63 - 1, -2, -2**63, kafka.now_ms() + 7 * 86400000):
        wrong = refused(INVALID_TIMESTAMP, batch(timestamp=timestamp))
        if wrong:
            return f"{timestamp}: {wrong}"
    return refused(INVALID_TIMESTAMP, batch(records=record(b"a", timestamp_delta=2**62)))


@case("a newest timestamp that lies is set right")
def lying_newest():
    now = kafka.now_ms()
    error, offset = produced(batch(timestamp=now, newest=2**62))
    with suite.connect() as connection:
        fetched = kafka.fetch(connection, "batches", offset)
    return expect(0, error) or expect(now, struct.unpack(">q", fetched[1][35:43])[0])


@case("LogAppendTime set by a client is INVALID_TIMESTAMP")
def append_time_bit():
    return refused(INVALID_TIMESTAMP, batch(attributes=0x08))


@case("a record without a key on a compacted topic is INVALID_RECORD")
def compacted():
    with suite.connect() as connection:
        topic = string("compacted") + int32(1) + int16(1) + array([]) + \
            array([string("cleanup.policy") + string("compact")])
        reader = connection.ask(CREATE_TOPICS, 2, array([topic]) + int32(10000) + int8(0))
        reader.int32(), reader.int32(), reader.string()
        error = reader.int16()
        if error:
            return f"creating it: error {error}"
    return refused(INVALID_RECORD, batch(), topic="compacted") or \
        expect(0, produced(batch(records=record(b"v", key=b"k")), topic="compacted")[0])


@case("a produce to an internal topic is INVALID_TOPIC_EXCEPTION or unknown")
def internal_topic():
    return expect((INVALID_TOPIC, 3), produced(batch(), topic="__consumer_offsets")[0])


@case("a produce to no partition, a wrong one or a topic of a wrong name is UNKNOWN_TOPIC_OR_PARTITION")
def unknown_partition():
    for partition in (-1, 1, HUGE, -2**31):
        wrong = refused(3, batch(), partition=partition)
        if wrong:
            return f"partition {partition}: {wrong}"
    return refused((3, INVALID_TOPIC), batch(), topic="..") or refused((3, INVALID_TOPIC), batch(), topic="x" * 300) or \
        refused((3, INVALID_TOPIC), batch(), topic="../../etc/passwd")


def zeros_gzip(size):
    """A gzip bomb: a stream of zeros `size` bytes long."""
    packer, out, piece = zlib.compressobj(9, zlib.DEFLATED, 31), [], bytes(1 << 20)
    for _ in range(size >> 20):
        out.append(packer.compress(piece))
    return b"".join(out) + packer.flush()


def lz4_frame(blocks, flags=0x60, size_code=0x70):
    """Blocks are (bytes, is stored); header checksums are of the two usual descriptors."""
    checksums = {(0x60, 0x40): 0x82, (0x60, 0x70): 0x73}
    body = b"".join(struct.pack("<I", len(data) | (0x80000000 if stored else 0)) + data for data, stored in blocks)
    return b"\x04\x22\x4d\x18" + bytes([flags, size_code, checksums[flags, size_code]]) + body + bytes(4)


def lz4_zeros(size):
    """One block of zeros: a literal, then one match with a length in bytes of 255."""
    rest = size - 1 - 19 - 5
    return b"\x1f\x00\x01\x00" + b"\xff" * (rest // 255) + bytes([rest % 255]) + b"\x50" + bytes(5)


def snappy_zeros(size):
    out = bytearray(kafka.uvarint(size)) + b"\x00\x00"
    for _ in range((size - 1) // 64):
        out += b"\xfe\x01\x00"  # A copy of 64 bytes from 1 back.
    return bytes(out)


def zstd_zeros(size, window_code=0x88, content_size=None):
    """RLE blocks of at most 128 KiB each."""
    if content_size is None:
        head = b"\x28\xb5\x2f\xfd\x00" + bytes([window_code])
    else:
        head = b"\x28\xb5\x2f\xfd\xc0" + bytes([window_code]) + struct.pack("<Q", content_size)
    blocks, left = [], size
    while left > 0:
        part = min(left, 131072)
        left -= part
        blocks.append(struct.pack("<I", part << 3 | 2 | (left == 0))[:3] + b"\0")
    return head + b"".join(blocks)


def bomb(codec, records):
    return refused((INVALID_RECORD, CORRUPT), batch(records=records, count=1, attributes=codec))


@case("a gzip bomb of 1 GiB is refused with bounded memory", memory_max=300 << 20)
def gzip_bomb():
    return bomb(GZIP, zeros_gzip(1 << 30))


@case("an lz4 bomb is refused with bounded memory", memory_max=300 << 20)
def lz4_bomb():
    return bomb(LZ4, lz4_frame([(lz4_zeros(4 << 20), False)] * 55))


@case("a snappy bomb is refused with bounded memory")
def snappy_bomb():
    return bomb(SNAPPY, snappy_zeros(20 << 20)) or bomb(SNAPPY, kafka.uvarint(2**32 - 1) + b"\0\0" + b"\xfe\x01\0" * 9)


@case("a zstd bomb of 4 GiB is refused with bounded memory", memory_max=300 << 20)
def zstd_bomb():
    return bomb(ZSTD, zstd_zeros(4 << 30))


@case("a zstd frame that claims 2^60 bytes, or a window of 2 GiB, takes no memory for it", memory_max=16 << 20)
def zstd_claim():
    return bomb(ZSTD, zstd_zeros(100, content_size=2**60)) or bomb(ZSTD, zstd_zeros(100, window_code=0xA8)) or \
        bomb(ZSTD, zstd_zeros(100, window_code=0xF8))


@case("a snappy chunk of 2^31-1 bytes is CORRUPT_MESSAGE without memory for it", memory_max=16 << 20)
def snappy_chunk():
    head = b"\x82SNAPPY\0" + int32(1) + int32(1)
    for chunk in (int32(HUGE), int32(-1), int32(-2**31), b"\x7f"):
        records = head + chunk + b"\x03\x08abc"
        wrong = refused((CORRUPT, INVALID_RECORD), batch(records=records, count=1, attributes=SNAPPY))
        if wrong:
            return f"chunk {chunk.hex()}: {wrong}"
    return refused(CORRUPT, batch(records=head + int32(HUGE) + b"abc", count=1, attributes=SNAPPY))


@case("bytes that are no compressed stream are refused in every codec")
def no_stream():
    for codec in (GZIP, SNAPPY, LZ4, ZSTD):
        for records in (b"", b"\0", b"\xff" * 100, b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"):
            wrong = bomb(codec, records)
            if wrong:
                return f"codec {codec}, {records[:8].hex()}: {wrong}"
    return None


@case("compressed streams cut anywhere are refused")
def cut_streams():
    whole = gzip.compress(record(b"a" * 50))
    with suite.connect() as connection:
        for size in range(len(whole)):
            sent = batch(records=whole[:size], count=1, attributes=GZIP)
            wrong = expect((INVALID_RECORD, CORRUPT), kafka.produce(connection, "batches", sent)[0])
            if wrong:
                return f"cut at {size}: {wrong}"
    return None


@case("codecs 5 to 7 are UNSUPPORTED_COMPRESSION_TYPE")
def unknown_codec():
    for codec in (5, 6, 7):
        wrong = refused(NO_COMPRESSION, batch(attributes=codec))
        if wrong:
            return f"codec {codec}: {wrong}"
    return None


@case("zstd in a Produce request older than version 7 is UNSUPPORTED_COMPRESSION_TYPE")
def zstd_too_early():
    body = kafka.produce_body("batches", batch(records=zstd_zeros(100), count=1, attributes=ZSTD))
    with suite.connect() as connection:
        reader = connection.ask(PRODUCE, 6, body)
        reader.int32(), reader.string(), reader.int32(), reader.int32()
        return expect(NO_COMPRESSION, reader.int16())


@case("PushTelemetry, which is not offered, closes the connection, bomb or not")
def telemetry():
    with suite.connect() as connection:
        bytes_of_it = zeros_gzip(64 << 20)
        connection.send(request(PUSH_TELEMETRY, 0, bytes(16) + int32(0) + int8(0) + int8(1) +
                                kafka.uvarint(len(bytes_of_it) + 1) + bytes_of_it + b"\0"))
        return None if connection.closes() else "the connection is open"


@case("everything that was accepted is there, and nothing that was refused")
def nothing_else():
    with suite.connect() as connection:
        offset, count = 0, 0
        while True:
            error, records = kafka.fetch(connection, "batches", offset)
            if error or not records:
                return expect(0, error) or (None if count > 100 else f"only {count} batches")
            base, length = struct.unpack(">qi", records[:12])
            last, attributes = struct.unpack(">ih", records[23:27] + records[21:23])
            if base != offset or kafka.crc32c(records[21:12 + length]) != struct.unpack(">I", records[17:21])[0]:
                return f"the batch at {offset} says {base} and its checksum is wrong or not"
            if attributes & 0x27:
                return f"the batch at {offset} has attributes {attributes:#x}"
            offset, count = base + last + 1, count + 1


if __name__ == "__main__":
    sys.exit(suite.run())
