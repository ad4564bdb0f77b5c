#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Members: peers that know the cluster's token and say nonsense afterwards."""
import hashlib
import hmac
import os
import random
import socket
import sys
import time

import kafka
from kafka import NO_TAGS, int8, int16, int32, int64, request, uvarint
from suite import Suite

suite = Suite()
case = suite.case

PEER_HELLO, PEER_PROOF, FIRST, LAST = 10000, 10001, 10002, 10008
ORDERED, UNORDERED, RAFT = 0, 1, 2
GUEST, MEMBER = -1, 7
UUID = b"u" * 16
TOKEN = open(os.environ["TOKEN"], "rb").read().rstrip()


def drain(connection):
    """Says no more and takes what is answered, until the end."""
    try:
        connection.socket.shutdown(socket.SHUT_WR)
        while connection.socket.recv(1 << 16):
            pass
    except TimeoutError:
        raise
    except OSError:  # It has closed already.
        pass


def compact_bytes(data):
    return uvarint(len(data) + 1) + data


def ask(connection, api, body):
    connection.send(request(api, 0, body, header_version=2))
    return connection.answer(flexible=True)


def hello(purpose, cluster, node, address, nonce):
    return (int16(1) + int16(1) + int8(purpose) + cluster + int32(node) + UUID + int32(-1) + compact_bytes(address) +
            compact_bytes(nonce) + NO_TAGS)


def known_cluster():
    """The node tells who it is before anything is proved."""
    with suite.connect() as connection:
        reader = ask(connection, PEER_HELLO, hello(ORDERED, bytes(16), GUEST, b"a:1", b"n" * 32))
        reader.int16(), reader.compact(), reader.int16()
        return reader.take(16)


def prove(connection, purpose=ORDERED, node=GUEST, cluster=None):
    """The whole handshake; the last answer's error."""
    nonce, address = os.urandom(32), b"127.0.0.1:1"
    cluster = bytes(16) if cluster is None else cluster
    reader = ask(connection, PEER_HELLO, hello(purpose, cluster, node, address, nonce))
    error, _, version = reader.int16(), reader.compact(), reader.int16()
    if error:
        return error
    answering = reader.take(16) + reader.take(4) + reader.take(16)
    theirs = reader.take(reader.uvarint() - 1)
    said = (b"topicfs peer handshake\0" + bytes([0]) + int16(version) + int8(purpose) + int32(-1) +
            int16(len(address)) + address + cluster + int32(node) + UUID + answering + nonce + theirs)
    reader = ask(connection, PEER_PROOF, compact_bytes(hmac.new(TOKEN, said, hashlib.sha256).digest()) + NO_TAGS)
    return reader.int16()


def bodies():
    """What no node sends, the same in every run."""
    chance = random.Random(1)
    yield b""
    for fill in (b"\0", b"\xff", b"\x7f", b"\x01"):
        for size in (1, 7, 40, 300, 70000):
            yield fill * size
    for _ in range(60):
        yield chance.randbytes(chance.randrange(200))
    # A count of 2^31, of bytes that are not there; numbers at their ends.
    yield int32(MEMBER) + int64(2**63 - 1) + int32(-2**31) * 4 + uvarint(2**31) + b"x" * 50
    yield int32(MEMBER) + int64(-2**63) + int32(2**31 - 1) * 4 + uvarint(1) + uvarint(1) + NO_TAGS


@case("who knows the token is let in, as a guest and as a member")
def let_in():
    for purpose in (ORDERED, UNORDERED):
        for node, cluster in ((GUEST, None), (MEMBER, known_cluster())):
            with suite.connect() as connection:
                error = prove(connection, purpose, node, cluster)
                if error:
                    return f"purpose {purpose}, node {node}: error {error}"
    return None


@case("who knows the token and is of another cluster is not")
def foreign():
    with suite.connect() as connection:
        if not prove(connection, node=MEMBER, cluster=b"c" * 16):
            return "it is let in"
        return None if connection.closes() else "the connection is open"


@case("nonsense in every request between nodes, from a guest and from a member, is answered or closes the connection")
def nonsense():
    cluster = known_cluster()
    for node, of in ((GUEST, None), (MEMBER, cluster)):
        for api in range(FIRST, LAST + 2):
            for body in bodies():
                with suite.connect() as connection:
                    if prove(connection, node=node, cluster=of):
                        return "the handshake failed"
                    connection.send(request(api, 0, body, header_version=2))
                    drain(connection)
    return None


@case("a proof used again on another connection proves nothing")
def replayed():
    kept = []
    with suite.connect() as connection:
        connection.send = lambda data, send=connection.send: (kept.append(data), send(data))[1]
        if prove(connection):
            return "the handshake failed"
    with suite.connect() as connection:
        connection.send(kept[0])
        connection.answer(flexible=True)
        connection.send(kept[1])
        error = connection.answer(flexible=True).int16()
        return None if error == 31 and connection.closes() else f"error {error}"


@case("a second hello, or a second proof, closes the connection")
def twice():
    for api, body in ((PEER_HELLO, hello(ORDERED, bytes(16), GUEST, b"a:1", b"n" * 32)),
                      (PEER_PROOF, compact_bytes(b"p" * 32) + NO_TAGS)):
        with suite.connect() as connection:
            if prove(connection):
                return "the handshake failed"
            connection.send(request(api, 0, body, header_version=2))
            try:
                error = connection.answer(flexible=True).int16()
            except kafka.Closed:
                continue
            if error == 0 or not connection.closes():
                return f"{api}: error {error}"
    return None


@case("Raft from a member that has no place in the cluster harms nobody")
def raft():
    cluster = known_cluster()
    for body in bodies():
        with suite.connect() as connection:
            prove(connection, RAFT, MEMBER, cluster)
            connection.send(body)
            drain(connection)
    return None


def await_lease():
    """A node of a cluster leads once its controller has heard of it."""
    deadline = time.monotonic() + 20
    with suite.connect() as connection:
        kafka.create_topic(connection, "healthy")
        while kafka.produce(connection, "healthy", kafka.batch([b"first"]))[0] != 0:
            if time.monotonic() > deadline:
                raise TimeoutError("the node does not lead after 20 s")


if __name__ == "__main__":
    await_lease()
    sys.exit(suite.run())
