# SPDX-License-Identifier: Apache-2.0
"""The schema notation: what is read from it, and what is refused with the line it is in."""
import os
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'broker', 'wire'))

import generate  # noqa: E402
import schema as notation  # noqa: E402


def parse(text):
    with tempfile.NamedTemporaryFile('w', suffix='.schema') as file:
        file.write(text)
        file.flush()
        return notation.load(file.name)


def parse_message(*fields):
    return parse('message Sample 2-9 flexible 5+\n' +
                 ''.join(f'    {field}\n' for field in fields)).messages[0]


class Notation(unittest.TestCase):
    def test_a_field_carries_all_that_is_written(self):
        field = parse_message('Names: [string]?7+ 6-8 = null tag 3').fields[0]
        self.assertEqual((field.name, field.c_name, field.type), ('Names', 'names', 'string'))
        self.assertTrue(field.is_array)
        self.assertEqual(field.versions, (6, 8))
        self.assertEqual(field.nullable, (7, 8))
        self.assertEqual((field.default, field.tag), ('null', 3))

    def test_versions_are_inherited_from_what_surrounds_a_field(self):
        outer = parse_message('Outer: [Inner] 3-6', '    Id: int32').fields[0]
        self.assertEqual(outer.struct.fields[0].versions, (3, 6))

    def test_names_become_c_names(self):
        for name, expected in {'ThrottleTimeMs': 'throttle_time_ms', 'KRaftVersion': 'k_raft_version',
                               'ISR': 'isr', 'TopicId2': 'topic_id2'}.items():
            self.assertEqual(notation.snake(name), expected)

    def test_a_type_is_named_after_its_message_once(self):
        message = parse_message('A: [SampleTopic]', '    Id: int8', 'B: [Node]', '    Id: int8')
        self.assertEqual([struct.c_name for struct in message.structs],
                         ['sample_topic', 'sample_node'])
        with self.assertRaisesRegex(notation.SchemaError, 'defined twice'):
            parse_message('A: [SampleTopic]', '    Id: int8', 'B: [Topic]', '    Id: int8')

    def test_what_breaks_the_notation_is_refused_with_its_line(self):
        refused = {
            'Id: int31': 'unknown type',
            'Id: int32 1+': 'outside',
            'Id: int32 4-12': 'outside',
            'Id: int32 8-4': 'outside',
            'Id: int32?': 'cannot be null',
            'Name: string = null': 'not nullable',
            'Id: int32 3+ tag 0': 'inflexible',
            'id: int32': 'not a field',
            'Id int32': 'not a field',
            'Id: int32 = ': 'not a field',
        }
        for line, words in refused.items():
            with self.assertRaisesRegex(notation.SchemaError, f'schema:\\d+: .*{words}'):
                parse_message(line)
        with self.assertRaisesRegex(notation.SchemaError, 'there twice'):
            parse_message('Id: int32', 'Id: int32')
        with self.assertRaisesRegex(notation.SchemaError, 'four spaces'):
            parse_message('  Id: int32')
        with self.assertRaisesRegex(notation.SchemaError, 'expected an api'):
            parse('reply 1-2\n')

    def test_conditions_say_no_more_than_they_must(self):
        self.assertEqual(generate.condition((2, 9), (2, 9)), '')
        self.assertEqual(generate.condition((4, 9), (2, 9)), 'version >= 4')
        self.assertEqual(generate.condition((2, 4), (2, 9)), 'version <= 4')
        self.assertEqual(generate.condition((3, 4), (2, 9)), 'version >= 3 && version <= 4')
        self.assertEqual(generate.flag(None, (2, 9)), 'false')
        self.assertEqual(generate.flag((1, 12), (2, 9)), 'true')

    def test_a_long_line_is_broken_where_it_may_be(self):
        text = generate.wrap('    ' + 'call_of_a_function(' + ', '.join(['argument'] * 20) + ');')
        self.assertTrue(all(len(line) <= generate.WIDTH for line in text.split('\n')))
        self.assertEqual(''.join(text.split()).count('argument'), 20)


if __name__ == '__main__':
    unittest.main()
