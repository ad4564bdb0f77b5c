#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Frames: sizes that lie, bytes of other protocols, senders and readers that never get on."""
import os
import socket
import sys
import time

import kafka
from kafka import API_VERSIONS, METADATA, int32, request
from suite import Suite, expect

suite = Suite()
case = suite.case


def must_close(data, within=10, end=False):
    with suite.connect() as connection:
        connection.send(data)
        if end:
            connection.socket.shutdown(socket.SHUT_WR)
        return None if connection.closes(within) else "the connection is open"


@case("a frame of size -1 closes the connection")
def negative_size():
    return must_close(int32(-1))


@case("a frame of size -2^31 closes the connection")
def most_negative_size():
    return must_close(int32(-2**31))


@case("a frame of size 0 closes the connection")
def zero_size():
    return must_close(int32(0))


@case("a frame above socket.request.max.bytes closes the connection without memory for it", memory_max=2 << 20)
def oversized():
    return must_close(int32(100 * 1024 * 1024 + 1)) or must_close(int32(2**31 - 1))


@case("a frame of socket.request.max.bytes takes memory only as its bytes come", memory_max=4 << 20)
def promised_only():
    connections = [suite.connect() for _ in range(20)]
    for connection in connections:
        connection.send(int32(100 * 1024 * 1024) + b"\0\x03")
    wrong = suite.check_health()
    for connection in connections:
        connection.socket.close()
    return wrong


@case("a sender of one byte now and then is closed at the receive deadline")
def slow_sender():
    with suite.connect() as connection:
        connection.socket.settimeout(0.2)
        deadline = time.monotonic() + 12
        connection.send(int32(100 * 1024 * 1024))
        while time.monotonic() < deadline:
            if not connection.send(b"\0"):
                return None
            try:
                if connection.socket.recv(1) == b"":
                    return None
            except TimeoutError:
                continue
            except ConnectionResetError:
                return None
        return "still open after 12 s (topicfs.connection.receive.timeout.ms is 2 s)"


@case("a frame cut short by the end of input is dropped")
def truncated():
    whole = request(API_VERSIONS, 0, b"")
    for size in range(len(whole)):
        wrong = must_close(whole[:size], end=True)
        if wrong:
            return f"cut at {size}: {wrong}"
    return None


@case("an HTTP request closes the connection")
def http():
    return must_close(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


@case("a TLS ClientHello on a plaintext port closes the connection")
def tls():
    return must_close(bytes.fromhex("16030100c8010000c40303") + bytes(194))


@case("an SSH banner closes the connection")
def ssh():
    return must_close(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")


@case("closings are reported at most once a second and address")
def report_rate():
    def reports():
        with open(os.environ["NODE_LOG"], encoding="utf-8", errors="replace") as log:
            return sum("event=connection_closed" in line for line in log)
    before, started = reports(), time.monotonic()
    for _ in range(300):
        wrong = must_close(int32(-1))
        if wrong:
            return wrong
    took, said = time.monotonic() - started, reports() - before
    return None if said <= took + 2 else f"{said} reports of 300 closings in {took:.1f} s"


@case("300 connections that say nothing leave the others alone")
def silent_connections():
    connections = [suite.connect() for _ in range(300)]
    wrong = suite.check_health()
    for connection in connections:
        connection.socket.close()
    return wrong


@case("a million pipelined requests whose answers nobody reads: reading stops, then the connection is closed")
def never_reading():
    flood = request(METADATA, 1, int32(-1)) * 1000
    with suite.connect() as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.socket.settimeout(12)
        sent, started = 0, time.monotonic()
        try:
            for _ in range(1000):
                connection.socket.sendall(flood)
                sent += 1000
        except (BrokenPipeError, ConnectionResetError):
            if time.monotonic() - started < 1.5:
                return f"closed at once, after {sent} requests"
            return suite.check_health()
        except TimeoutError:
            return f"not closed 12 s after {sent} requests (topicfs.connection.send.timeout.ms is 2 s)"
        return "all million were taken"


@case("answers come in the order of requests, however many are sent ahead")
def pipelined_in_order():
    with suite.connect() as connection:
        connection.send(b"".join(request(API_VERSIONS, 0, b"", correlation=n) for n in range(500)))
        for number in range(500):
            wrong = expect(0, connection.answer(correlation=number).int16())
            if wrong:
                return wrong
    return None


@case("requests before damage are answered, then the connection is closed")
def damage_behind_requests():
    with suite.connect() as connection:
        connection.send(request(API_VERSIONS, 0, b"") * 3 + int32(-5))
        for _ in range(3):
            connection.answer()
        return None if connection.closes() else "the connection is open"


@case("connections that are reset in the middle of everything")
def resets():
    linger = kafka.struct.pack("ii", 1, 0)
    for size in range(1, 200):
        connection = suite.connect()
        connection.send((request(METADATA, 1, int32(-1)) * 8)[:size])
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.socket.close()
    return None


if __name__ == "__main__":
    sys.exit(suite.run())
