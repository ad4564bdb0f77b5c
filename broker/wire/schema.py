# SPDX-License-Identifier: Apache-2.0
"""Reads schema files (their notation: README.md beside this file) into plain objects."""
import re

PRIMITIVES = {
    # name: (C type, size on the wire when fixed)
    'bool': ('bool', 1), 'int8': ('int8_t', 1), 'int16': ('int16_t', 2), 'uint16': ('uint16_t', 2),
    'int32': ('int32_t', 4), 'uint32': ('uint32_t', 4), 'int64': ('int64_t', 8),
    'float64': ('double', 8), 'uuid': ('struct uuid', 16),
    'string': ('struct slice', None), 'bytes': ('struct slice', None),
    'records': ('struct records', None),
}
VERSION_MAX = 32767


class SchemaError(Exception):
    """A schema file breaks the notation."""


class Field:
    """One field; `versions`, `nullable` are (first, last) or, for nullable, None."""

    def __init__(self, name, type_name, is_array, versions):
        self.name = name
        self.type = type_name
        self.is_array = is_array
        self.versions = versions
        self.nullable = None
        self.default = None     # As written: a number, true, null, or None.
        self.tag = None
        self.inflexible = False
        self.struct = None      # A Struct when the type is not primitive.

    @property
    def c_name(self):
        return snake(self.name)


class Struct:
    def __init__(self, type_name, c_name, versions):
        self.type = type_name
        self.c_name = c_name
        self.versions = versions    # Within which it is read and written.
        self.fields = []


class Message(Struct):
    def __init__(self, name, versions, flexible):
        super().__init__(name, snake(name), versions)
        self.flexible = flexible    # First flexible version, VERSION_MAX + 1 for none.
        self.structs = []           # All nested ones, inner before outer.


class Schema:
    """One file: an api with its request and response, or free-standing messages."""

    def __init__(self):
        self.key = None
        self.name = None
        self.purpose = ''
        self.messages = []

    @property
    def request(self):
        return self.messages[0]

    @property
    def response(self):
        return self.messages[1]


def snake(name):
    return re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', name).lower()


def parse_range(text, outer):
    """'3+', '3-5' or '3', which must lie inside `outer`; '' is all of it."""
    if text == '':
        return outer
    match = re.fullmatch(r'(\d+)(\+|-(\d+))?', text)
    if match is None:
        raise SchemaError(f'not a version range: {text}')
    first = int(match[1])
    last = outer[1] if match[2] == '+' else int(match[3] or match[1])
    if not outer[0] <= first <= last <= outer[1]:
        raise SchemaError(f'versions {text} are outside {outer[0]}-{outer[1]}')
    return first, last


FIELD = re.compile(r'(?P<name>[A-Z]\w*): (?P<open>\[)?(?P<type>\w+)(?P<close>\])?'
                   r'(?P<null>\?(?P<null_versions>\d[\d+-]*)?)?'
                   r'(?: (?P<versions>\d[\d+-]*))?'
                   r'(?: = (?P<default>-?\d+|true|null))?'
                   r'(?: tag (?P<tag>\d+))?(?P<inflexible> inflexible)?')
MESSAGE = re.compile(r'(?P<kind>request|response|message (?P<name>\w+)) (?P<versions>\d[\d+-]*)'
                     r'(?: (?P<flexible>flexible)(?: (?P<from>\d+)\+)?)?')


class Parser:
    def __init__(self, path):
        self.path = path
        self.schema = Schema()
        self.lines = []     # (number, depth, text)
        with open(path, encoding='ascii') as file:
            for number, line in enumerate(file, 1):
                text = line.split('#')[0].rstrip()
                if '#' in line and not text and not self.lines and 'SPDX' not in line:
                    self.schema.purpose += ' ' + line.strip('# \n')
                if text:
                    indent = len(text) - len(text.lstrip(' '))
                    if indent % 4 != 0:
                        raise SchemaError(f'{path}:{number}: indent by four spaces')
                    self.lines.append((number, indent // 4, text.strip()))
        self.at = 0

    def parse(self):
        try:
            while self.at < len(self.lines):
                self.parse_top(self.lines[self.at][2])
        except SchemaError as error:
            number = self.lines[min(self.at, len(self.lines) - 1)][0]
            raise SchemaError(f'{self.path}:{number}: {error}') from None
        return self.schema

    def parse_top(self, text):
        api = re.fullmatch(r'api (\d+) (\w+)', text)
        if api is not None:
            self.schema.key, self.schema.name = int(api[1]), api[2]
            self.at += 1
            return
        match = MESSAGE.fullmatch(text)
        if match is None:
            raise SchemaError(f'expected an api, request, response or message: {text}')
        name = match['name'] or self.schema.name + match['kind'].capitalize()
        versions = parse_range(match['versions'], (0, VERSION_MAX))
        flexible = VERSION_MAX + 1
        if match['flexible']:
            flexible = int(match['from'] or versions[0])
        message = Message(name, versions, flexible)
        self.at += 1
        common = {}
        while self.at_depth(1) and self.lines[self.at][2].startswith('struct '):
            type_name = self.lines[self.at][2].split()[1]
            self.at += 1
            common[type_name] = self.parse_struct(message, type_name, versions, 2, common)
        self.parse_fields(message, message, versions, 1, common)
        self.schema.messages.append(message)

    def at_depth(self, depth):
        return self.at < len(self.lines) and self.lines[self.at][1] == depth

    def parse_struct(self, message, type_name, versions, depth, common):
        c_name = snake(type_name)
        if not c_name.startswith(message.c_name + '_'):
            c_name = message.c_name + '_' + c_name
        struct = Struct(type_name, c_name, versions)
        if any(other.c_name == c_name for other in message.structs):
            raise SchemaError(f'{type_name} is defined twice')
        self.parse_fields(struct, message, versions, depth, common)
        message.structs.append(struct)
        return struct

    def parse_fields(self, struct, message, versions, depth, common):
        while self.at_depth(depth):
            text = self.lines[self.at][2]
            match = FIELD.fullmatch(text)
            if match is None:
                raise SchemaError(f'not a field: {text}')
            field = Field(match['name'], match['type'], match['open'] is not None,
                          parse_range(match['versions'] or '', versions))
            if match['null']:
                field.nullable = parse_range(match['null_versions'] or '', field.versions)
            field.default = match['default']
            field.inflexible = match['inflexible'] is not None
            if match['tag']:
                field.tag = int(match['tag'])
                if field.versions[0] < message.flexible:
                    raise SchemaError(f'{field.name} has a tag in an inflexible version')
            struct.fields.append(field)
            self.at += 1
            if field.type not in PRIMITIVES:
                if self.at_depth(depth + 1):
                    field.struct = self.parse_struct(message, field.type, field.versions,
                                                     depth + 1, common)
                elif field.type in common:
                    field.struct = common[field.type]
                else:
                    raise SchemaError(f'unknown type {field.type}')
            self.check(struct, field)

    @staticmethod
    def check(struct, field):
        if sum(other.name == field.name for other in struct.fields) > 1:
            raise SchemaError(f'{field.name} is there twice')
        if field.nullable and not field.is_array and field.type in PRIMITIVES \
                and field.type not in ('string', 'bytes', 'records'):
            raise SchemaError(f'{field.type} cannot be null')
        if field.nullable and field.struct and not field.is_array \
                and field.nullable != field.versions:
            raise SchemaError('a struct is nullable in all of its versions or in none')
        if field.default == 'null' and not field.nullable:
            raise SchemaError(f'{field.name} is null by default and not nullable')


def load(path):
    return Parser(path).parse()
