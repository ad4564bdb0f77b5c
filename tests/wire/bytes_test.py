# SPDX-License-Identifier: Apache-2.0
"""Bytes made from the protocol facts alone, by a second encoder, come back unchanged.

    bytes_test.py MESSAGE_ECHO

The encoder below knows nothing of our schemas or generator; it follows section 0 of the facts.
Exits 77, which is "skipped", where the facts are absent.
"""
import os
import random
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from facts_test import MESSAGES, OWN_KEYS, clip, load_fact, load_schemas, parse_versions  # noqa: E402

INTEGERS = {'int8': 'b', 'int16': 'h', 'uint16': 'H', 'int32': 'i', 'uint32': 'I', 'int64': 'q'}
SEEDS = 8
ECHO = []   # The command line of the program under test.


def uvarint(value):
    out = b''
    while value >= 0x80:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


class Encoder:
    def __init__(self, fact, version, seed):
        self.version = version
        self.random = random.Random(seed)
        self.flexible = self.has(fact['flexibleVersions'])
        self.common = {one['name']: one['fields'] for one in fact.get('commonStructs', [])}

    def has(self, versions):
        first, last = parse_versions(versions)
        return first <= self.version <= last

    def length(self, size, null_size, flexible):
        """`size` None is null; null_size: the bytes of an inflexible length."""
        if flexible:
            return uvarint(0 if size is None else size + 1)
        return struct.pack('>h' if null_size == 2 else '>i', -1 if size is None else size)

    def value(self, type_name, fields, nullable, flexible):
        """(bytes, is the default of a field without a default attribute)"""
        if type_name in INTEGERS:
            number = self.random.choice([0, 1, -1, 5, 100])
            code = INTEGERS[type_name]
            if code.isupper() and number < 0:
                number = 7
            return struct.pack('>' + code, number), str(number)
        if type_name == 'bool':
            number = self.random.randrange(2)
            return bytes([number]), 'true' if number else 'false'
        if type_name == 'float64':
            return struct.pack('>d', 2.5), '2.5'
        if type_name == 'uuid':
            raw = bytes(16) if self.random.randrange(3) == 0 else self.random.randbytes(16)
            return raw, '' if raw == bytes(16) else 'x'
        if type_name in ('string', 'bytes', 'records'):
            if nullable and self.random.randrange(3) == 0:
                return self.length(None, 2 if type_name == 'string' else 4, flexible), 'null'
            raw = self.random.choice([b'', b'a', b'orders', b'x' * 130])
            size = self.length(len(raw), 2 if type_name == 'string' else 4, flexible)
            return size + raw, 'x' if raw else ''
        if nullable:
            if self.random.randrange(3) == 0:
                return b'\xff', 'null'
            return b'\x01' + self.body(fields)[0], 'x'
        raw, is_default = self.body(fields)
        return raw, '' if is_default else 'x'

    def field(self, field):
        """(bytes, value as the text of a default)"""
        flexible = self.flexible and field.get('flexibleVersions') != 'none'
        nullable = self.has(field.get('nullableVersions', 'none'))
        type_name = field['type'].removeprefix('[]')
        fields = field.get('fields') or self.common.get(type_name)
        if not field['type'].startswith('[]'):
            return self.value(type_name, fields, nullable, flexible)
        if nullable and self.random.randrange(4) == 0:
            return self.length(None, 4, flexible), 'null'
        count = self.random.randrange(4)
        out = self.length(count, 4, flexible)
        for _ in range(count):
            out += self.value(type_name, fields, False, flexible)[0]
        return out, 'x' if count else ''

    def body(self, fields):
        """(bytes, are all fields at their defaults)"""
        out, tags, all_default = b'', {}, True
        for field in fields:
            if not self.has(field['versions']):
                continue
            raw, value = self.field(field)
            default = str(field.get('default', '')).lower()
            default = str(int(default, 16)) if default.startswith('0x') else default
            is_default = value == default or {value, default} <= {'', '0', 'false'}
            all_default = all_default and is_default
            if 'tag' in field and self.has(field['taggedVersions']):
                if not is_default:
                    tags[field['tag']] = raw
            else:
                out += raw
        if self.flexible:
            out += uvarint(len(tags))
            for tag, raw in sorted(tags.items()):
                out += uvarint(tag) + uvarint(len(raw)) + raw
        return out, all_default


class Bytes(unittest.TestCase):
    def test_bytes_of_a_second_encoder_come_back_unchanged(self):
        lines = []
        for one in load_schemas():
            if one.key is not None and one.key >= OWN_KEYS:
                continue
            for message in one.messages:
                fact = load_fact(message.type)
                first, last = clip(message.versions, parse_versions(fact['validVersions']))
                for version in range(first, last + 1):
                    for seed in range(SEEDS):
                        raw = Encoder(fact, version, seed).body(fact['fields'])[0]
                        lines.append(f'{message.type} {version} {raw.hex()}')
        self.assertGreater(len(lines), 2000)
        echo = subprocess.run(ECHO, input='\n'.join(lines) + '\n', text=True,
                              capture_output=True, check=True)
        answers = echo.stdout.split('\n')[:-1]
        self.assertEqual(len(answers), len(lines))
        for line, answer in zip(lines, answers):
            name, version, raw = line.split(' ')
            self.assertEqual(answer, raw, f'{name} version {version}')


if __name__ == '__main__':
    if not os.path.isdir(MESSAGES):
        print(f'skipped: no protocol facts at {MESSAGES}')
        sys.exit(77)
    ECHO.append(sys.argv.pop(1))
    unittest.main()
