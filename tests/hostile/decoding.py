#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests that do not decode: keys, versions, lengths, counts, tags."""
import os
import sys

import kafka
from kafka import (API_VERSIONS, CREATE_TOPICS, FETCH, METADATA, OFFSET_FETCH, PRODUCE, FLEXIBLE_FROM, NO_TAGS,
                   array, compact, compact_array, int8, int16, int32, int64, request, string, uvarint)
from suite import Suite, expect

suite = Suite()
case = suite.case


def must_close(frame):
    with suite.connect() as connection:
        connection.send(frame)
        return None if connection.closes() else "the connection is open"


@case("an unknown API key closes the connection")
def unknown_key():
    return must_close(request(999, 0, b"")) or must_close(request(32767, 0, b""))


@case("a negative API key closes the connection")
def negative_key():
    return must_close(request(-1, 0, b"")) or must_close(request(-32768, 0, b""))


@case("keys that only Kafka's own nodes use close the connection")
def internal_keys():
    for key in (4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73):
        wrong = must_close(request(key, 0, bytes(64)))
        if wrong:
            return f"key {key}: {wrong}"
    return None


@case("a version beyond the highest, or below the lowest, closes the connection")
def wrong_version():
    for key, versions in {METADATA: (14, -1, 32767), PRODUCE: (0, 2, 14), FETCH: (3, 19)}.items():
        for version in versions:
            wrong = must_close(request(key, version, int32(-1)))
            if wrong:
                return f"key {key} version {version}: {wrong}"
    return None


@case("ApiVersions of an unknown version is answered in version 0 with UNSUPPORTED_VERSION and its own range")
def api_versions_unknown():
    for version in (99, 32767):
        with suite.connect() as connection:
            connection.send(request(API_VERSIONS, version, b"any bytes", header_version=2))
            reader = connection.answer()
            rows = (reader.int16(), reader.items(lambda row: (row.int16(), row.int16(), row.int16())))
            wrong = expect(35, rows[0]) or (None if [row[0] for row in rows[1]] == [18] else f"rows {rows[1]}") or \
                expect(len(reader.data), reader.at)
            if wrong:
                return wrong
            # The connection is good for a version it knows.
            connection.send(request(API_VERSIONS, 0, b""))
            wrong = expect(0, connection.answer().int16())
            if wrong:
                return wrong
    return None


@case("ApiVersions with a client name that is none is INVALID_REQUEST")
def api_versions_name():
    with suite.connect() as connection:
        for name in ("", "bad name", "-dash", "x" * 300 + "!"):
            connection.send(request(API_VERSIONS, 3, compact(name) + compact("1.0") + NO_TAGS))
            wrong = expect(42, connection.answer().int16())
            if wrong:
                return f"{name!r}: {wrong}"
    return None


@case("a flexible header before a request that is not flexible closes the connection")
def flexible_header():
    return must_close(request(OFFSET_FETCH, 1, string("group") + array([]), header_version=2))


@case("a client id of length -2, or longer than the frame, closes the connection")
def client_id_length():
    for size in (-2, -32768, 32767):
        body = int16(METADATA) + int16(1) + int32(7) + int16(size) + b"abc"
        wrong = must_close(int32(len(body)) + body)
        if wrong:
            return f"length {size}: {wrong}"
    return None


@case("a client id that is no text is taken as bytes and escaped in reports")
def client_id_bytes():
    for client_id in (b"\xff\xfe\x00\x1b[31m\n", b"", None):
        with suite.connect() as connection:
            reader = connection.ask(METADATA, 1, array([]), client_id=client_id)
            if reader.int32() != 1:
                return f"{client_id!r}: not served"
    with open(os.environ["NODE_LOG"], "rb") as log:
        return "an escape character in the report" if b"\x1b" in log.read() else None


@case("an array count of 2^31-1 closes the connection without memory for it", memory_max=2 << 20)
def huge_array():
    return must_close(request(METADATA, 1, int32(2**31 - 1))) or \
        must_close(request(METADATA, 1, int32(2**31 - 1) + string("a") * 100)) or \
        must_close(request(METADATA, 1, int32(-2)))


@case("a compact array count of 2^32-1 closes the connection without memory for it", memory_max=2 << 20)
def huge_compact_array():
    return must_close(request(METADATA, 12, uvarint(2**32 - 1) + bytes(8))) or \
        must_close(request(FETCH, 16, int32(0) + int32(1) + int32(1) + int8(0) + int32(0) + int32(-1) +
                           uvarint(2**32 - 1) + bytes(40)))


@case("nested arrays that each claim all the rest are refused within their budget")
def nested_arrays():
    rest = 4 << 20
    outer = int32(rest // 6)  # Topics of a Produce request: at least a name and a count.
    inner = string("") + int32(rest // 8)
    return must_close(request(PRODUCE, 7, string(None) + int16(1) + int32(1) + outer + inner + bytes(rest))) or \
        must_close(request(FETCH, 11, int32(-1) + int32(0) + int32(0) + int32(0) + int8(0) + int32(0) + int32(-1) +
                           outer + inner + bytes(rest)))


@case("a request of millions of empty topics is refused within the element budget")
def many_elements():
    count = 2_000_000
    return must_close(request(METADATA, 1, int32(count) + string("") * count))


@case("twenty million tags in a header are not stored", memory_max=40 << 20)
def header_tags():
    tags = uvarint(20_000_000) + b"\x01\x00" * 5_000_000
    head = int16(API_VERSIONS) + int16(3) + int32(7) + string("hostile")
    return must_close(int32(len(head) + len(tags)) + head + tags)


@case("65 tags in one section close the connection, 64 unknown ones are skipped")
def tag_limit():
    def body(count):
        return compact("client") + compact("1") + uvarint(count) + \
            b"".join(uvarint(tag) + b"\x01x" for tag in range(1000, 1000 + count))
    with suite.connect() as connection:
        connection.send(request(API_VERSIONS, 3, body(64)))
        wrong = expect(0, connection.answer().int16())
    return wrong or must_close(request(API_VERSIONS, 3, body(65)))


@case("a varint of more than 5 bytes, or of more than 32 bits, closes the connection")
def long_varint():
    for number in (b"\xff" * 5 + b"\x01", b"\x80" * 9 + b"\x01", b"\xff\xff\xff\xff\x7f", b"\x80" * 20):
        wrong = must_close(request(METADATA, 12, number + bytes(16)))
        if wrong:
            return f"{number.hex()}: {wrong}"
    return None


@case("null where null is not allowed closes the connection")
def null_not_allowed():
    return must_close(request(METADATA, 1, array([string(None)]))) or \
        must_close(request(FETCH, 11, int32(-1) + int32(0) * 3 + int8(0) + int32(0) + int32(-1) + int32(-1) +
                           array([]) + string(""))) or \
        must_close(request(OFFSET_FETCH, 1, string(None) + array([])))


@case("tags that repeat or descend close the connection")
def unordered_tags():
    for tags in (b"\x02\x05\x00\x05\x00", b"\x02\x06\x00\x05\x00"):
        wrong = must_close(request(API_VERSIONS, 3, compact("client") + compact("1") + tags))
        if wrong:
            return f"{tags.hex()}: {wrong}"
    return None


@case("a tag whose size is beyond the frame closes the connection")
def tag_beyond():
    return must_close(request(API_VERSIONS, 3, compact("client") + compact("1") + b"\x01\x05" + uvarint(2**31)))


@case("a string length above 32767 closes the connection in both encodings")
def long_string():
    return must_close(request(METADATA, 1, int32(1) + b"\x80\x00" + bytes(40000))) or \
        must_close(request(METADATA, 9, uvarint(2) + uvarint(32769) + b"x" * 32768 + b"\0" + bytes(4)))


@case("bytes behind a request are ignored, as Kafka ignores them, and the connection goes on")
def trailing_bytes():
    with suite.connect() as connection:
        for frame in (request(METADATA, 1, array([]) + b"\0"), request(API_VERSIONS, 0, b"more"),
                      request(METADATA, 12, compact_array([]) + int8(1) + int8(0) + NO_TAGS + b"more"),
                      # The byte of a flexible header that is not due is the first of an empty array here.
                      request(METADATA, 1, array([]), header_version=2)):
            connection.send(frame)
            connection.answer()
        connection.send(request(API_VERSIONS, 0, b""))
        return expect(0, connection.answer().int16())


@case("the zero topic id is UNKNOWN_TOPIC_ID in Fetch and Produce")
def zero_topic_id():
    zero = bytes(16)
    with suite.connect() as connection:
        partition = int32(0) + int32(-1) + int64(0) + int32(-1) + int64(-1) + int32(1024) + NO_TAGS
        reader = connection.ask(FETCH, 16, int32(0) + int32(1) + int32(1024) + int8(0) + int32(0) + int32(-1) +
                                compact_array([zero + compact_array([partition]) + NO_TAGS]) +
                                compact_array([]) + compact("") + NO_TAGS)
        reader.take(4 + 2 + 4), reader.uvarint(), reader.take(16), reader.uvarint(), reader.int32()
        wrong = expect(100, reader.int16())
        if wrong:
            return f"Fetch: {wrong}"
        records = kafka.batch()
        entry = int32(0) + uvarint(len(records) + 1) + records + NO_TAGS
        reader = connection.ask(PRODUCE, 13, compact(None) + int16(-1) + int32(1000) +
                                compact_array([zero + compact_array([entry]) + NO_TAGS]) + NO_TAGS)
        reader.uvarint(), reader.take(16), reader.uvarint(), reader.int32()
        wrong = expect(100, reader.int16())
        return f"Produce: {wrong}" if wrong else None


@case("every prefix of sound requests, framed as if whole, is closed and never answered wrongly")
def prefixes():
    topics = [string("prefix") + int32(1) + int16(1) + array([]) + array([])]
    bodies = {(METADATA, 4): array([string("healthy")]) + int8(0),
              (FETCH, 11): kafka.fetch_body({"healthy": [(0, -1, 0, 1024)]}),
              (PRODUCE, 7): kafka.produce_body("healthy", kafka.batch()),
              (CREATE_TOPICS, 2): array(topics) + int32(1000) + int8(1),
              (METADATA, 12): compact_array([bytes(16) + compact("healthy") + NO_TAGS]) + int8(0) + int8(0) + NO_TAGS}
    for (api, version), body in bodies.items():
        for size in range(len(body)):
            wrong = must_close(request(api, version, body[:size]))
            if wrong:
                return f"key {api} version {version} cut at {size}: {wrong}"
    return None


@case("zeros and ones for a body in every API and version never harm")
def filled_bodies():
    for api in sorted(FLEXIBLE_FROM):
        for version in range(0, 20):
            for fill in (b"\0" * 64, b"\xff" * 64, b"\x01" * 64):
                with suite.connect() as connection:
                    connection.send(request(api, version, fill))
                    connection.socket.shutdown(kafka.socket.SHUT_WR)
                    while connection.socket.recv(65536):
                        pass
    return None


if __name__ == "__main__":
    sys.exit(suite.run())
