# SPDX-License-Identifier: Apache-2.0
"""Our schemas say what the protocol facts say: names, types, versions, nullability, tags, defaults.

Reads the message descriptions of ../shared/protocol (TOPICFS_SHARED overrides the folder). Exits 77,
which is "skipped", where they are absent.
"""
import json
import os
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.environ.get('TOPICFS_SHARED', os.path.join(os.path.dirname(ROOT), 'shared'))
MESSAGES = os.path.join(SHARED, 'protocol', 'messages')
SCHEMAS = os.path.join(ROOT, 'broker', 'wire', 'schema')
# The facts are of a newer Kafka than ours: what 4.3 serves is in this column of apis.tsv.
RELEASE = 'kafka_4.3'

sys.path.insert(0, os.path.join(ROOT, 'broker', 'wire'))

import schema as notation  # noqa: E402


def parse_versions(text):
    if text == 'none':
        return 1, 0
    first, _, last = text.partition('-')
    if text.endswith('+'):
        return int(text[:-1]), notation.VERSION_MAX
    return int(first), int(last or first)


def clip(versions, outer):
    return max(versions[0], outer[0]), min(versions[1], outer[1])


def is_empty(versions):
    return versions[0] > versions[1]


def normal_default(default):
    """None for the default that an absent one means."""
    text = '' if default is None else str(default).lower()
    if text.startswith('0x'):
        text = str(int(text, 16))
    return None if text in ('', 'false', '0') else text


def fact_fields(fields, outer, common):
    """[(name, type, versions, nullable, tag, default, inflexible, inner fields)]"""
    found = []
    for field in fields:
        versions = clip(parse_versions(field['versions']), outer)
        if is_empty(versions):
            continue
        is_array = field['type'].startswith('[]')
        type_name = field['type'].removeprefix('[]')
        nullable = clip(parse_versions(field.get('nullableVersions', 'none')), versions)
        if 'tag' in field:
            assert clip(parse_versions(field['taggedVersions']), outer) == versions
        inner = field.get('fields') or common.get(type_name)
        found.append((
            field['name'][0].upper() + field['name'][1:], type_name, is_array, versions,
            None if is_empty(nullable) else nullable, field.get('tag'),
            normal_default(field.get('default')),
            field.get('flexibleVersions') == 'none',
            fact_fields(inner, versions, common) if inner else None))
    return found


def our_fields(fields, outer):
    return [(field.name, field.type, field.is_array, clip(field.versions, outer),
             None if not field.nullable or is_empty(clip(field.nullable, outer))
             else clip(field.nullable, outer),
             field.tag, normal_default(field.default),
             field.inflexible,
             our_fields(field.struct.fields, clip(field.versions, outer))
             if field.struct else None)
            for field in fields if not is_empty(clip(field.versions, outer))]


def load_schemas():
    return [notation.load(os.path.join(SCHEMAS, name)) for name in sorted(os.listdir(SCHEMAS))
            if name.endswith('.schema')]


def load_fact(name):
    with open(os.path.join(MESSAGES, name + '.json'), encoding='utf-8') as file:
        return json.load(file)


def released_versions():
    """{key: (name, (first, last))} of the release, without an unstable last version."""
    with open(os.path.join(SHARED, 'protocol', 'apis.tsv'), encoding='utf-8') as file:
        rows = [line.rstrip('\n').split('\t') for line in file]
    column = rows[0].index(RELEASE)
    found = {}
    for row in rows[1:]:
        text = row[column]
        if not text[0].isdigit():
            continue
        first, last = parse_versions(text.replace('(latest unstable)', ''))
        found[int(row[0])] = row[1], (first, last - ('unstable' in text))
    return found


OWN_KEYS = 10000  # Ours, between the nodes of a cluster, from here on: Kafka has none there.


class Facts(unittest.TestCase):
    maxDiff = None

    def test_every_api_has_the_versions_of_the_release(self):
        released = released_versions()
        for one in load_schemas():
            if one.key is None or one.key >= OWN_KEYS:
                continue
            self.assertIn(one.key, released)
            name, versions = released[one.key]
            self.assertEqual(one.name, name)
            self.assertEqual(one.request.versions, versions, name)
            self.assertEqual(one.response.versions, versions, name)

    def test_every_message_has_the_fields_of_the_facts(self):
        compared = 0
        for one in load_schemas():
            if one.key is not None and one.key >= OWN_KEYS:
                continue
            for message in one.messages:
                fact = load_fact(message.type)
                if one.key is not None:
                    self.assertEqual(fact['apiKey'], one.key)
                valid = parse_versions(fact['validVersions'])
                self.assertGreaterEqual(message.versions[0], valid[0], message.type)
                self.assertLessEqual(message.versions[1], valid[1], message.type)
                if one.key is None:
                    self.assertEqual(message.versions, valid, message.type)
                flexible = clip(parse_versions(fact['flexibleVersions']), message.versions)
                ours = clip((message.flexible, notation.VERSION_MAX), message.versions)
                self.assertEqual(is_empty(ours), is_empty(flexible), message.type)
                if not is_empty(flexible):
                    self.assertEqual(ours, flexible, message.type)
                common = {struct['name']: struct['fields']
                          for struct in fact.get('commonStructs', [])}
                self.assertEqual(our_fields(message.fields, message.versions),
                                 fact_fields(fact['fields'], message.versions, common),
                                 message.type)
                compared += 1
        self.assertGreater(compared, 80)


if __name__ == '__main__':
    if not os.path.isdir(MESSAGES):
        print(f'skipped: no protocol facts at {MESSAGES}')
        sys.exit(77)
    unittest.main()
