# SPDX-License-Identifier: Apache-2.0
"""Kafka's protocol by hand, so that every byte of it can be wrong: primitives, batches, a connection."""
import socket
import struct
import time

PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR = 0, 1, 2, 3, 8, 9, 10
JOIN_GROUP, HEARTBEAT, LEAVE_GROUP, SYNC_GROUP, API_VERSIONS = 11, 12, 13, 14, 18
CREATE_TOPICS, DELETE_TOPICS, DELETE_RECORDS, INIT_PRODUCER_ID, WRITE_TXN_MARKERS = 19, 20, 21, 22, 27
ALTER_CONFIGS, INCREMENTAL_ALTER_CONFIGS, DESCRIBE_CONFIGS, PUSH_TELEMETRY = 33, 44, 32, 72

# The first version of each that is flexible (KIP-482).
FLEXIBLE_FROM = {PRODUCE: 9, FETCH: 12, LIST_OFFSETS: 6, METADATA: 9, OFFSET_COMMIT: 8, OFFSET_FETCH: 6,
                 FIND_COORDINATOR: 3, JOIN_GROUP: 6, HEARTBEAT: 4, LEAVE_GROUP: 4, SYNC_GROUP: 4,
                 API_VERSIONS: 3, CREATE_TOPICS: 5, DELETE_TOPICS: 4, DELETE_RECORDS: 2, INIT_PRODUCER_ID: 2,
                 WRITE_TXN_MARKERS: 1, ALTER_CONFIGS: 2, INCREMENTAL_ALTER_CONFIGS: 1, DESCRIBE_CONFIGS: 4,
                 PUSH_TELEMETRY: 0}

NO_TAGS = b"\0"


def int8(value):
    return struct.pack(">b", value)


def int16(value):
    return struct.pack(">h", value)


def int32(value):
    return struct.pack(">i", value)


def int64(value):
    return struct.pack(">q", value)


def uvarint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint(value):
    """Zigzag, as inside records."""
    return uvarint((value << 1) ^ (value >> 63) if value < 0 else value << 1)


def encode(text):
    return text.encode() if isinstance(text, str) else text


def string(text):
    return int16(-1) if text is None else int16(len(encode(text))) + encode(text)


def compact(text):
    return uvarint(0) if text is None else uvarint(len(encode(text)) + 1) + encode(text)


def blob(data):
    return int32(-1) if data is None else int32(len(data)) + data


def array(items):
    return int32(-1) if items is None else int32(len(items)) + b"".join(items)


def compact_array(items):
    return uvarint(len(items) + 1) + b"".join(items)


class Reader:
    """Takes an answer apart."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        if self.at + size > len(self.data):
            raise EOFError(f"answer ends at {len(self.data)}, {self.at + size} wanted")
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))[0]

    def int8(self):
        return self.number("b")

    def int16(self):
        return self.number("h")

    def int32(self):
        return self.number("i")

    def int64(self):
        return self.number("q")

    def uvarint(self):
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def string(self):
        size = self.int16()
        return None if size < 0 else self.take(size).decode()

    def compact(self):
        size = self.uvarint() - 1
        return None if size < 0 else self.take(size).decode()

    def blob(self):
        size = self.int32()
        return None if size < 0 else self.take(size)

    def items(self, read):
        return [read(self) for _ in range(max(self.int32(), 0))]


def crc32c_table():
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC32C_TABLE = crc32c_table()


def crc32c(data):
    value, table = 0xFFFFFFFF, CRC32C_TABLE
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def now_ms():
    return int(time.time() * 1000)


def record(value, delta=0, key=None, headers=(), timestamp_delta=0, header_count=None):
    """One record of a batch; a header is (key, value), and may be bytes that are no header at all."""
    def part(data):
        return varint(-1) if data is None else varint(len(data)) + data
    body = int8(0) + varint(timestamp_delta) + varint(delta) + part(key) + part(value)
    body += varint(len(headers) if header_count is None else header_count)
    for header in headers:
        body += header if isinstance(header, bytes) else part(header[0]) + part(header[1])
    return varint(len(body)) + body


def batch(values=(b"value",), records=None, count=None, last=None, base_offset=0, magic=2, attributes=0,
          crc=None, length=None, producer=-1, epoch=-1, sequence=-1, timestamp=None, newest=None):
    """A batch of magic 2. `records` are the bytes of the records section, by default made of `values`."""
    if records is None:
        records = b"".join(record(value, delta) for delta, value in enumerate(values))
    count = len(values) if count is None else count
    last = count - 1 if last is None else last
    timestamp = now_ms() if timestamp is None else timestamp
    newest = timestamp if newest is None else newest
    tail = struct.pack(">hiqqqhii", attributes, last, timestamp, newest, producer, epoch, sequence, count) + records
    head = struct.pack(">ibI", 0, magic, crc32c(tail) if crc is None else crc)
    size = len(head) + len(tail) if length is None else length
    return struct.pack(">qi", base_offset, size) + head + tail


def request(api, version, body, client_id=b"hostile", correlation=7, header_version=None):
    """A whole frame."""
    if header_version is None:
        header_version = 2 if version >= FLEXIBLE_FROM.get(api, 99) else 1
    frame = struct.pack(">hhi", api, version, correlation) + string(client_id)
    frame += NO_TAGS if header_version == 2 else b""
    frame += body
    return int32(len(frame)) + frame


class Closed(Exception):
    """The node closed the connection."""


class Connection:
    def __init__(self, port, timeout=10, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """False where the node had closed already."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def receive(self, size):
        data = bytearray()
        while len(data) < size:
            try:
                piece = self.socket.recv(min(size - len(data), 1 << 20))
            except ConnectionResetError as error:
                raise Closed from error
            if not piece:
                raise Closed
            data += piece
        return bytes(data)

    def answer(self, flexible=False, correlation=7):
        """The next answer's body."""
        reader = Reader(self.receive(struct.unpack(">i", self.receive(4))[0]))
        got = reader.int32()
        if got != correlation:
            raise ValueError(f"answer to {got}, not to {correlation}")
        if flexible:
            reader.uvarint()
        return reader

    def ask(self, api, version, body, **header):
        flexible = version >= FLEXIBLE_FROM.get(api, 99) and api != API_VERSIONS
        self.send(request(api, version, body, **header))
        return self.answer(flexible, header.get("correlation", 7))

    def closes(self, within=10):
        """True when the node closes without another byte."""
        self.socket.settimeout(within)
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def produce_body(topic, *batches, acks=-1, partition=0, transactional_id=None):
    """Versions 3 to 8; one partition entry for each of `batches`."""
    entries = [int32(partition) + blob(records) for records in batches]
    return string(transactional_id) + int16(acks) + int32(10000) + array([string(topic) + array(entries)])


def produce(connection, topic, records, version=7, **options):
    """Produces one partition's records: (error, base offset)."""
    reader = connection.ask(PRODUCE, version, produce_body(topic, records, **options))
    reader.int32(), reader.string(), reader.int32(), reader.int32()
    return reader.int16(), reader.int64()


def fetch_body(topics, replica=-1, wait_ms=0, min_bytes=1, max_bytes=1 << 20, session=0, epoch=-1):
    """Version 11; topics: {name: [(partition, leader epoch, offset, max bytes)]}."""
    entries = [string(name) + array([int32(partition) + int32(leader) + int64(offset) + int64(-1) + int32(size)
                                     for partition, leader, offset, size in partitions])
               for name, partitions in topics.items()]
    return int32(replica) + int32(wait_ms) + int32(min_bytes) + int32(max_bytes) + int8(0) + int32(session) + \
        int32(epoch) + array(entries) + array([]) + string("")


def read_fetched_partition(reader):
    index, error, high_watermark = reader.int32(), reader.int16(), reader.int64()
    reader.int64(), reader.int64()
    reader.items(lambda aborted: aborted.take(16))
    reader.int32()
    return index, error, high_watermark, reader.blob()


def read_fetch(reader):
    """(error, session, {topic: [(partition, error, high watermark, records)]})."""
    reader.int32()
    error, session = reader.int16(), reader.int32()
    topics = dict(reader.items(lambda topic: (topic.string(), topic.items(read_fetched_partition))))
    return error, session, topics


def fetch(connection, topic, offset, partition=0, leader=-1, max_bytes=1 << 20, **options):
    """Fetches one partition: (error, records)."""
    reader = connection.ask(FETCH, 11, fetch_body({topic: [(partition, leader, offset, max_bytes)]}, **options))
    error, _, topics = read_fetch(reader)
    if error:
        return error, None
    return topics[topic][0][1], topics[topic][0][3]


def create_topic(connection, topic):
    """Makes a topic by asking for it (auto.create.topics.enable), and waits until it has a leader."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        reader = connection.ask(METADATA, 4, array([string(topic)]) + int8(1))
        reader.int32()
        reader.items(lambda node: (node.int32(), node.string(), node.int32(), node.string()))
        reader.string(), reader.int32(), reader.int32()
        if reader.int16() == 0:
            return
    raise TimeoutError(f"topic {topic} is not there after 10 s")
