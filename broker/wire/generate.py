# SPDX-License-Identifier: Apache-2.0
"""Writes C from schema files: one .h and .c per file, and the API table.

    generate.py schema FILE.schema OUT.h OUT.c
    generate.py table OUT_KEY.h OUT_TABLE.c FILE.schema...
"""
import os
import re
import sys

import schema as notation
from schema import PRIMITIVES, VERSION_MAX

NOTICE = '/* SPDX-License-Identifier: Apache-2.0 */\n/* Generated from {}. Do not edit. */\n'
WIDTH = 100


def wrap(line):
    """Fills lines with the pieces of a long one, broken behind commas, operators, parentheses."""
    if len(line) <= WIDTH:
        return line
    indent = len(line) - len(line.lstrip())
    pieces = re.findall(r'.+?(?:= |, | \+ |&& |\|\| |\((?=[\w&])|$)', line[indent:])
    opening = line.find('(') + 1
    for hang in (opening if opening else indent + 4, indent + 4):
        if hang + max(len(piece.rstrip()) for piece in pieces[1:] or ['']) <= WIDTH:
            break
    lines = [' ' * indent]
    for piece in pieces:
        if len(lines[-1]) + len(piece.rstrip()) > WIDTH and lines[-1].strip():
            lines.append(' ' * hang)
        lines[-1] += piece
    return '\n'.join(line.rstrip() for line in lines)


def condition(versions, outer):
    """A C expression, true in `versions`, within `outer` only; '' when always true."""
    if versions == outer:
        return ''
    if versions[0] == versions[1]:
        return f'version == {versions[0]}'
    parts = []
    if versions[0] > outer[0]:
        parts.append(f'version >= {versions[0]}')
    if versions[1] < outer[1]:
        parts.append(f'version <= {versions[1]}')
    return ' && '.join(parts)


def flag(versions, outer):
    """Like condition, but as a value: 'false', 'true' or an expression."""
    if versions is None or versions[1] < outer[0] or versions[0] > outer[1]:
        return 'false'
    clipped = max(versions[0], outer[0]), min(versions[1], outer[1])
    return condition(clipped, outer) or 'true'


def range_text(versions, outer):
    if versions == outer:
        return ''
    if versions[0] == versions[1]:
        return str(versions[0])
    return f'{versions[0]}+' if versions[1] == outer[1] else f'{versions[0]}-{versions[1]}'


class Writer:
    """Lines of C with an indent."""

    def __init__(self):
        self.lines = []
        self.depth = 0

    def add(self, text=''):
        self.lines.append('    ' * self.depth + text if text else '')

    def open(self, text=''):
        self.add(text)
        self.depth += 1

    def close(self, text='}'):
        self.depth -= 1
        if text is not None:
            self.add(text)

    def text(self):
        return '\n'.join(wrap(line) for line in self.lines) + '\n'


class Emitter:
    """The C of one message."""

    def __init__(self, message):
        self.message = message
        self.structs = message.structs + [message]

    # -- declarations

    def declare(self, out):
        message = self.message
        for struct in self.structs:
            last = struct.versions[1]
            span = f'{struct.versions[0]}-{last}' if struct.versions[0] != last else str(last)
            flexible = ''
            if struct is message and message.flexible <= last:
                flexible = f', flexible from {message.flexible}'
            out.add(f'/* Versions {span}{flexible}. */')
            out.open(f'struct {struct.c_name} {{')
            for field in struct.fields:
                self.declare_field(out, struct, field)
            if not struct.fields:
                out.add('char no_fields;')
            out.close('};')
            out.add()
        for struct in self.structs:
            out.add(f'void {struct.c_name}_init(struct {struct.c_name} *ret_message);')
        name = message.c_name
        out.add(f'enum error {name}_decode(struct reader *reader, int16_t version, '
                f'struct arena *arena, struct {name} *ret_message);')
        out.add(f'void {name}_encode(struct writer *writer, int16_t version, '
                f'const struct {name} *message);')
        out.add()

    def declare_field(self, out, struct, field):
        notes = [range_text(field.versions, struct.versions)]
        if field.nullable:
            nullable = range_text(field.nullable, field.versions)
            notes.append(f'null in {nullable}' if nullable else 'nullable')
        if field.tag is not None:
            notes.append(f'tag {field.tag}')
        if field.default is not None and field.default != 'null':
            notes.append(f'default {field.default}')
        note = '; '.join(note for note in notes if note)
        star = '*' if field.is_array or (field.struct and field.nullable) else ''
        out.add(f'{self.c_type(field)} {star}{field.c_name};' + (f' /* {note} */' if note else ''))
        if field.is_array:
            out.add(f'uint32_t {field.c_name}_count;')

    @staticmethod
    def c_type(field):
        return f'struct {field.struct.c_name}' if field.struct else PRIMITIVES[field.type][0]

    # -- what each field is

    def flexible(self, outer, field=None):
        if field is not None and field.inflexible:
            return 'false'
        value = flag((self.message.flexible, VERSION_MAX), outer)
        return 'flexible' if value.startswith('version') else value

    def declare_flexible(self, out, struct):
        """The local that flexible() names, where the answer depends on the version."""
        if self.flexible(struct.versions) == 'flexible':
            out.add(f'const bool flexible = version >= {self.message.flexible};')

    @staticmethod
    def default(field):
        """C expression of the default; None when it is all zero bits."""
        if field.is_array:
            return 'WIRE_EMPTY' if field.nullable and field.default != 'null' else None
        if field.struct or field.type in ('records', 'bytes', 'string'):
            if field.default == 'null' or field.struct or field.type == 'records':
                return None
            return 'SLICE_EMPTY'
        if field.default in (None, '0'):
            return None
        lowest = {'-2147483648': 'INT32_MIN', '-9223372036854775808': 'INT64_MIN',
                  '2147483647': 'INT32_MAX', '9223372036854775807': 'INT64_MAX'}
        return lowest.get(field.default, field.default)

    def wire_size_min(self, field, version):
        """The fewest bytes one value (for an array: the array itself) takes."""
        flexible = version >= self.message.flexible and not field.inflexible
        if field.is_array:
            return 1 if flexible else 4
        return self.element_size_min(field, version)

    def element_size_min(self, field, version):
        flexible = version >= self.message.flexible and not field.inflexible
        if field.struct:
            if field.nullable and not field.is_array:
                return 1
            size = sum(self.wire_size_min(inner, version) for inner in field.struct.fields
                       if inner.tag is None and inner.versions[0] <= version <= inner.versions[1])
            return max(size + (1 if flexible else 0), 1)
        size = PRIMITIVES[field.type][1]
        if size is None:
            size = 1 if flexible else 2 if field.type == 'string' else 4
        return size

    def array_size_min(self, field):
        return min(self.element_size_min(field, version)
                   for version in range(field.versions[0], field.versions[1] + 1))

    # -- init

    def define_init(self, out, struct):
        out.add(f'void {struct.c_name}_init(struct {struct.c_name} *ret_message)')
        out.open('{')
        out.add('memset(ret_message, 0, sizeof *ret_message);')
        for field in struct.fields:
            if field.struct and not field.is_array and not field.nullable:
                out.add(f'{field.struct.c_name}_init(&ret_message->{field.c_name});')
            elif self.default(field) is not None:
                out.add(f'ret_message->{field.c_name} = {self.default(field)};')
        out.close()
        out.add()

    # -- decode

    def define_read(self, out, struct):
        body = Writer()
        body.depth = 1
        self.declare_flexible(body, struct)
        body.add(f'{struct.c_name}_init(ret_message);')
        for field in struct.fields:
            if field.tag is None:
                self.versioned(body, struct, field, lambda lines, outer, field=field:
                               self.read_field(lines, field, outer))
        self.read_tags(body, struct)
        self.define(out, f'static void read_{struct.c_name}(struct reader *reader, '
                    f'int16_t version, struct arena *arena, struct {struct.c_name} *ret_message)',
                    body, ('version', 'arena', 'reader'))

    @staticmethod
    def define(out, head, body, parameters):
        text = body.text()
        out.add(head)
        out.open('{')
        for name in parameters:
            if not re.search(rf'\b{name}\b', text):
                out.add(f'(void){name};')
        out.lines += body.lines
        out.close()
        out.add()

    @staticmethod
    def versioned(out, struct, field, emit):
        """What `emit(out, outer)` writes, behind a version test where the field needs one."""
        test = condition(field.versions, struct.versions)
        statements = Writer()
        emit(statements, field.versions if test else struct.versions)
        many = len(statements.lines) > 1
        if test:
            out.open(f'if ({test})' + (' {' if many else ''))
        for line in statements.lines:
            out.add(line)
        if test:
            out.close('}' if many else None)

    def read_field(self, out, field, outer):
        flexible = self.flexible(outer, field)
        nullable = flag(field.nullable, outer)
        place = f'ret_message->{field.c_name}'
        if field.is_array:
            out.add(f'{place} = read_array(reader, arena, {flexible}, {nullable}, '
                    f'{self.array_size_min(field)}, sizeof *{place}, &{place}_count);')
            out.open(f'for (uint32_t i = 0; i < {place}_count && reader_good(reader); i++)')
            if field.struct:
                out.add(f'read_{field.struct.c_name}(reader, version, arena, &{place}[i]);')
            else:
                out.add(f'{place}[i] = {self.read_value(field.type, flexible, "false")};')
            out.close(None)
        elif field.struct and field.nullable:
            out.add(f'{place} = read_present(reader, arena, sizeof *{place});')
            out.open(f'if ({place} != NULL)')
            out.add(f'read_{field.struct.c_name}(reader, version, arena, {place});')
            out.close(None)
        elif field.struct:
            out.add(f'read_{field.struct.c_name}(reader, version, arena, &{place});')
        elif field.type == 'records':
            out.add(f'{place}.data = read_bytes(reader, {flexible}, {nullable});')
        else:
            out.add(f'{place} = {self.read_value(field.type, flexible, nullable)};')

    @staticmethod
    def read_value(type_name, flexible, nullable):
        if type_name in ('string', 'bytes'):
            return f'read_{type_name}(reader, {flexible}, {nullable})'
        return f'read_{type_name}(reader)'

    def read_tags(self, out, struct):
        flexible = self.flexible(struct.versions)
        if flexible == 'false':
            return
        if flexible == 'flexible':
            out.open('if (flexible) {')
        tagged = [field for field in struct.fields if field.tag is not None]
        if not tagged:
            out.add('read_tags_skip(reader);')
            if flexible == 'flexible':
                out.lines[-2] = out.lines[-2][:-2]
                out.close(None)
            return
        out.add('struct tags tags;')
        out.open('for (read_tags(reader, &tags); read_tag(reader, &tags);) {')
        for index, field in enumerate(tagged):
            since = max(struct.versions[0], self.message.flexible), struct.versions[1]
            test = condition(field.versions, since)
            test = f'tags.tag == {field.tag}' + (f' && {test}' if test else '')
            out.open(('if' if index == 0 else '} else if') + f' ({test}) {{')
            self.read_field(out, field, field.versions)
            out.close(None)
        out.open('} else {')
        out.add('read_tag_skip(reader);')
        out.close()
        out.close()
        if flexible == 'flexible':
            out.close()

    def define_decode(self, out):
        name = self.message.c_name
        out.add(f'enum error {name}_decode(struct reader *reader, int16_t version, '
                f'struct arena *arena, struct {name} *ret_message)')
        out.open('{')
        out.add(f'ASSERT(version >= {self.message.versions[0]});')
        out.add(f'ASSERT(version <= {self.message.versions[1]});')
        out.add(f'struct {name} message;')
        out.add(f'read_{name}(reader, version, arena, &message);')
        out.add('if (reader_good(reader))')
        out.add('    *ret_message = message;')
        out.add('return reader->failure;')
        out.close()
        out.add()

    # -- encode

    def define_write(self, out, struct):
        for field in struct.fields:
            if field.tag is not None:
                self.define_write_tag(out, struct, field)
        body = Writer()
        body.depth = 1
        self.declare_flexible(body, struct)
        for field in struct.fields:
            if field.tag is None:
                self.versioned(body, struct, field, lambda lines, outer, field=field:
                               self.write_field(lines, field, outer, 'writer'))
        self.write_tags(body, struct)
        self.define(out, f'static void write_{struct.c_name}(struct writer *writer, '
                    f'int16_t version, const struct {struct.c_name} *message)',
                    body, ('version', 'writer', 'message'))

    def write_field(self, out, field, outer, writer):
        flexible = self.flexible(outer, field)
        nullable = flag(field.nullable, outer)
        place = f'message->{field.c_name}'
        if field.is_array:
            out.add(f'write_count({writer}, {place}, {place}_count, {flexible}, {nullable});')
            out.open(f'for (uint32_t i = 0; i < {place}_count; i++)')
            if field.struct:
                out.add(f'write_{field.struct.c_name}({writer}, version, &{place}[i]);')
            else:
                out.add(self.write_value(field.type, writer, f'{place}[i]', flexible, 'false'))
            out.close(None)
        elif field.struct and field.nullable:
            out.add(f'write_int8({writer}, {place} == NULL ? -1 : 1);')
            out.open(f'if ({place} != NULL)')
            out.add(f'write_{field.struct.c_name}({writer}, version, {place});')
            out.close(None)
        elif field.struct:
            out.add(f'write_{field.struct.c_name}({writer}, version, &{place});')
        else:
            place = '&' + place if field.type == 'records' else place
            out.add(self.write_value(field.type, writer, place, flexible, nullable))

    @staticmethod
    def write_value(type_name, writer, place, flexible, nullable):
        if type_name in ('string', 'bytes', 'records'):
            return f'write_{type_name}({writer}, {place}, {flexible}, {nullable});'
        return f'write_{type_name}({writer}, {place});'

    def differs(self, struct, place):
        """C expressions, one true at least when the struct is not all defaults."""
        found = []
        for field in struct.fields:
            at = f'{place}{field.c_name}'
            if field.struct and not field.is_array and not field.nullable:
                found += self.differs(field.struct, at + '.')
            else:
                found.append(self.differs_field(field, at))
        return found

    def differs_field(self, field, at):
        if field.is_array:
            return f'{at} != NULL' if field.default == 'null' else f'{at}_count != 0'
        if field.struct:
            return f'{at} != NULL'
        if field.type in ('string', 'bytes'):
            return f'{at}.data != NULL' if field.default == 'null' else f'{at}.size != 0'
        if field.type == 'uuid':
            return f'!uuid_is_zero(&{at})'
        if field.type == 'bool':
            return f'!{at}' if field.default == 'true' else at
        return f'{at} != {self.default(field) or 0}'

    def define_write_tag(self, out, struct, field):
        """A function that writes the field with its tag and size."""
        body = Writer()
        body.depth = 1
        fixed = None if field.is_array or field.struct else PRIMITIVES[field.type][1]
        if fixed is not None:
            body.add(f'write_tag(writer, {field.tag}, {fixed});')
        else:
            body.add('struct writer measure;')
            body.add('writer_init_measuring(&measure);')
            self.write_field(body, field, field.versions, '&measure')
            body.add(f'write_tag(writer, {field.tag}, writer_measured(&measure));')
        self.write_field(body, field, field.versions, 'writer')
        self.define(out, f'static void write_tag_{struct.c_name}_{field.c_name}(struct writer *writer, '
                    f'int16_t version, const struct {struct.c_name} *message)', body, ('version',))

    def write_tags(self, out, struct):
        flexible = self.flexible(struct.versions)
        if flexible == 'false':
            return
        if flexible == 'flexible':
            out.open('if (flexible) {')
        tagged = sorted((field for field in struct.fields if field.tag is not None),
                        key=lambda field: field.tag)
        for field in tagged:
            since = max(struct.versions[0], self.message.flexible), struct.versions[1]
            test = condition(field.versions, since)
            place = f'message->{field.c_name}'
            if field.struct and not field.is_array and not field.nullable:
                value = ' || '.join(self.differs(field.struct, place + '.'))
            else:
                value = self.differs_field(field, place)
            if test:
                value = f'{test} && ({value})' if '||' in value else f'{test} && {value}'
            out.add(f'const bool has_{field.c_name} = {value};')
        if tagged:
            total = ' + '.join(f'has_{field.c_name}' for field in tagged)
            if len(tagged) == 1:
                total = f'{total} ? 1 : 0'
            out.add(f'write_uvarint(writer, (uint64_t)({total}));')
        else:
            out.add('write_uvarint(writer, 0);')
        for field in tagged:
            out.add(f'if (has_{field.c_name})')
            out.add(f'    write_tag_{struct.c_name}_{field.c_name}(writer, version, message);')
        if flexible == 'flexible':
            out.close()

    def define_encode(self, out):
        name = self.message.c_name
        out.add(f'void {name}_encode(struct writer *writer, int16_t version, '
                f'const struct {name} *message)')
        out.open('{')
        out.add(f'ASSERT(version >= {self.message.versions[0]});')
        out.add(f'ASSERT(version <= {self.message.versions[1]});')
        out.add(f'write_{name}(writer, version, message);')
        out.close()
        out.add()

    def implement(self, out):
        for struct in self.structs:
            self.define_init(out, struct)
        for struct in self.structs:
            self.define_read(out, struct)
        self.define_decode(out)
        for struct in self.structs:
            self.define_write(out, struct)
        self.define_encode(out)


def write_file(path, text):
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)


def generate_schema(path, header_path, source_path):
    parsed = notation.load(path)
    base, header_name = os.path.basename(path), os.path.basename(header_path)
    emitters = [Emitter(message) for message in parsed.messages]

    header = Writer()
    guard = 'BROKER_WIRE_' + re.sub(r'\W', '_', header_name).upper()
    header.add(f'#ifndef {guard}')
    header.add(f'#define {guard}')
    header.add()
    header.add('#include "wire/message.h"')
    header.add()
    for emitter in emitters:
        emitter.declare(header)
    header.add('#endif')
    write_file(header_path, NOTICE.format(base) + f'/*{parsed.purpose} */\n' + header.text())

    source = Writer()
    for name in (header_name, '', 'base/assertion.h', 'wire/reader.h', 'wire/writer.h'):
        name = 'wire/' + name if name == header_name else name
        source.add(f'#include "{name}"' if name else '')
    source.add()
    for emitter in emitters:
        emitter.implement(source)
    write_file(source_path, NOTICE.format(base) + source.text().rstrip('\n') + '\n')


def generate_table(key_path, table_path, paths):
    schemas = sorted((notation.load(path) for path in paths), key=lambda one: one.key)

    keys = Writer()
    keys.add('#ifndef BROKER_WIRE_API_KEY_H')
    keys.add('#define BROKER_WIRE_API_KEY_H')
    keys.add()
    keys.open('enum api_key {')
    for one in schemas:
        keys.add(f'API_{notation.snake(one.name).upper()} = {one.key},')
    keys.add('API_KEY_END')
    keys.close('};')
    keys.add()
    keys.add(f'enum {{ API_COUNT = {len(schemas)} }};')
    keys.add()
    keys.add('#endif')
    write_file(key_path, NOTICE.format('the schema files') + keys.text())

    table = Writer()
    table.add('#include "wire/api.h"')
    table.add()
    for path in paths:
        table.add(f'#include "wire/api_{os.path.basename(path)[:-len(".schema")]}.h"')
    table.add()
    for one in schemas:
        for message in one.messages:
            define_erased(table, message.c_name)
    table.add('extern const struct api api_table[API_COUNT];')
    table.add()
    table.open('const struct api api_table[API_COUNT] = {')
    for one in schemas:
        if one.request.versions != one.response.versions \
                or one.request.flexible != one.response.flexible:
            raise notation.SchemaError(f'{one.name}: request and response differ in versions')
        table.open('{')
        table.add(f'.name = "{one.name}",')
        table.add(f'.key = API_{notation.snake(one.name).upper()},')
        table.add(f'.version_min = {one.request.versions[0]},')
        table.add(f'.version_max = {one.request.versions[1]},')
        table.add(f'.flexible_version = {min(one.request.flexible, VERSION_MAX)},')
        for side, message in (('request', one.request), ('response', one.response)):
            name = message.c_name
            table.add(f'.{side} = {{sizeof(struct {name}), init_{name}, decode_{name}, '
                      f'encode_{name}}},')
        table.close('},')
    table.close('};')
    write_file(table_path, NOTICE.format('the schema files') + table.text())


def define_erased(out, name):
    """Wrappers of the typed functions with the types of struct api_message."""
    out.add(f'static void init_{name}(void *message)')
    out.open('{')
    out.add(f'{name}_init(message);')
    out.close()
    out.add()
    out.add(f'static enum error decode_{name}(struct reader *reader, int16_t version, '
            f'struct arena *arena, void *ret_message)')
    out.open('{')
    out.add(f'return {name}_decode(reader, version, arena, ret_message);')
    out.close()
    out.add()
    out.add(f'static void encode_{name}(struct writer *writer, int16_t version, '
            f'const void *message)')
    out.open('{')
    out.add(f'{name}_encode(writer, version, message);')
    out.close()
    out.add()


def main(arguments):
    try:
        if arguments[0] == 'schema':
            generate_schema(*arguments[1:])
        elif arguments[0] == 'table':
            generate_table(arguments[1], arguments[2], arguments[3:])
        else:
            raise notation.SchemaError(f'unknown command {arguments[0]}')
    except notation.SchemaError as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main(sys.argv[1:])
