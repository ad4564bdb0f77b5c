#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes: strangers at the door that the cluster's own nodes come in by, and requests meant for nodes only."""
import os
import sys

import kafka
from kafka import API_VERSIONS, NO_TAGS, int8, int16, int32, request
from suite import Suite, expect

suite = Suite()
case = suite.case

PEER_HELLO, PEER_PROOF = 10000, 10001
ORDERED, RAFT = 0, 2
CLUSTER_AUTHORIZATION_FAILED, UNSUPPORTED_VERSION, INVALID_REQUEST = 31, 35, 42


def compact_bytes(data):
    return kafka.uvarint(len(data) + 1) + data


def hello_body(purpose=ORDERED, nonce=b"n" * 32, node=7, target=-1, address=b"a:1", versions=(1, 1), uuid=b"u" * 16):
    return (int16(versions[0]) + int16(versions[1]) + int8(purpose) + bytes(16) + int32(node) + uuid + int32(target) +
            compact_bytes(address) + compact_bytes(nonce) + NO_TAGS)


def ask(connection, api, body, version=0):
    connection.send(request(api, version, body, header_version=2))
    return connection.answer(flexible=True)


def error_code(reader):
    return reader.int16()


def refused(connection, wanted, api, body):
    """None when the answer is that code and the end of the connection."""
    got = error_code(ask(connection, api, body))
    if got != wanted and not (isinstance(wanted, tuple) and got in wanted):
        return f"error {wanted} is owed, it was {got}"
    return None if connection.closes() else "the connection is open"


@case("a stranger that greets as a node and does not know the token is refused")
def stranger():
    for purpose in (ORDERED, 1, RAFT):
        with suite.connect() as connection:
            code = error_code(ask(connection, PEER_HELLO, hello_body(purpose)))
            if code == CLUSTER_AUTHORIZATION_FAILED:  # A node without a token lets nobody in.
                wrong = None if connection.closes() else "the connection is open"
            elif code == 0:
                wrong = refused(connection, CLUSTER_AUTHORIZATION_FAILED, PEER_PROOF, compact_bytes(b"p" * 32) + NO_TAGS)
            else:
                wrong = f"error {code}"
            if wrong:
                return f"purpose {purpose}: {wrong}"
    return None


@case("hellos that no node sends are refused")
def no_hello():
    for body in (hello_body(purpose=3), hello_body(purpose=-1), hello_body(nonce=b""), hello_body(nonce=b"n" * 33),
                 hello_body(node=-2), hello_body(target=-2), hello_body(address=b"a" * 301), hello_body(address=b"\x1b[2J"),
                 hello_body(uuid=bytes(16)), hello_body(purpose=RAFT, address=b""), hello_body(versions=(2, 1))):
        with suite.connect() as connection:
            wrong = refused(connection, (INVALID_REQUEST, UNSUPPORTED_VERSION, CLUSTER_AUTHORIZATION_FAILED), PEER_HELLO, body)
            if wrong:
                return f"{body!r}: {wrong}"
    return None


@case("a node of a release to come is refused")
def newer():
    with suite.connect() as connection:
        return refused(connection, (UNSUPPORTED_VERSION, CLUSTER_AUTHORIZATION_FAILED), PEER_HELLO, hello_body(versions=(2, 9)))


@case("a version of a node's request that does not exist closes the connection")
def no_such_version():
    for api in range(PEER_HELLO, PEER_HELLO + 9):
        with suite.connect() as connection:
            connection.send(request(api, 1, hello_body(), header_version=2))
            if not connection.closes():
                return f"{api}: the connection is open"
    return None


@case("a proof without a hello is refused")
def proof_first():
    with suite.connect() as connection:
        return refused(connection, INVALID_REQUEST, PEER_PROOF, compact_bytes(b"p" * 32) + NO_TAGS)


@case("damaged hellos and proofs close the connection")
def damaged():
    whole = hello_body()
    for size in range(len(whole)):
        with suite.connect() as connection:
            connection.send(request(PEER_HELLO, 0, whole[:size], header_version=2))
            if not connection.closes():
                return f"{size} of {len(whole)} bytes: the connection is open"
    return None


@case("requests of nodes from a client do nothing and close the connection")
def requests_of_nodes():
    for api in range(PEER_PROOF + 1, PEER_PROOF + 20):
        for body in (b"", bytes(200), os.urandom(200), b"\xff" * 200):
            with suite.connect() as connection:
                connection.send(request(api, 0, body, header_version=2))
                try:
                    code = error_code(connection.answer(flexible=True))
                except kafka.Closed:
                    continue
                if code != CLUSTER_AUTHORIZATION_FAILED:
                    return f"{api} is answered with {code}"
                if not connection.closes():
                    return f"{api}: the connection is open"
    return None


@case("clients are not told of the requests of nodes")
def not_advertised():
    with suite.connect() as connection:
        reader = connection.ask(API_VERSIONS, 0, b"")
        reader.take(2)
        keys = []
        for _ in range(reader.int32()):
            keys.append(reader.int16())
            reader.take(4)
        return expect(True, max(keys) < PEER_HELLO)


@case("whoever greets and proves nothing is closed at the receive deadline")
def silent():
    connections = [suite.connect() for _ in range(100)]
    for connection in connections:
        ask(connection, PEER_HELLO, hello_body())
    wrong = suite.check_health()
    for connection in connections:
        wrong = wrong or (None if connection.closes(12) else "a connection is open")
        connection.socket.close()
    return wrong


@case("a thousand strangers one after the other")
def many():
    for _ in range(1000):
        with suite.connect() as connection:
            connection.send(request(PEER_HELLO, 0, hello_body(), header_version=2) +
                            request(PEER_PROOF, 0, compact_bytes(os.urandom(32)) + NO_TAGS, header_version=2))
            if error_code(connection.answer(flexible=True)) not in (0, CLUSTER_AUTHORIZATION_FAILED):
                return "another answer"
    return None


if __name__ == "__main__":
    sys.exit(suite.run())
