#!/usr/bin/env python3
"""Every command that a Markdown page shows is one that the programs have, with flags that they have: what a page shows of
`backfire`, `backfire-NAME` and `./dev` is taken apart and held against `--help`.
Arguments: the folder of backfire's binaries, the project's root."""

import functools
import os
import re
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import documents

bin_directory, root = sys.argv[1:3]
faults = []


def commands_of(page):
    """(line number, text) of what a page shows as a command: lines of code blocks, joined where they go on, and code within lines."""
    continued = None
    for number, line, language in documents.code_of(os.path.join(root, page)):
        if language == 'code':
            yield number, line
            continue
        if continued:
            number, line, continued = continued[0], f'{continued[1]} {line.strip()}', None
        if line.endswith('\\'):
            continued = (number, line[:-1])
        else:
            yield number, line.strip().removeprefix('$ ')


def words_of(text):
    """The words of each simple command in a line of shell."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars='|&;<>()')
    lexer.whitespace_split = True
    lexer.commenters = '#'
    command = []
    for word in lexer:
        if word and set(word) <= set('|&;<>()'):
            if command:
                yield command
            command = []
        else:
            command.append(word)
    if command:
        yield command


@functools.lru_cache(maxsize=None)
def help_of(*path):
    program = os.path.join(root, 'dev') if path[0] == './dev' else os.path.join(bin_directory, path[0])
    ended = subprocess.run([program, *path[1:], '--help'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           check=False, timeout=60)
    return ended.stdout if ended.returncode == 0 else None


def subcommands(path):
    text = help_of(*path) or ''
    if path == ('./dev',):
        return set(re.findall(r'^  ([a-z]+) +\S', text, re.MULTILINE))
    section = re.search(r'^Subcommands:\n((?:  .*\n?)+)', text, re.MULTILINE)
    return set(re.findall(r'^  ([a-z][a-z-]*)', section.group(1), re.MULTILINE)) if section else set()


def is_placeholder(word):
    return word == '...' or word.isupper() or word[0] in '[<{"$'


def check(page, number, words):
    while words and re.fullmatch(r'[A-Za-z_]+=\S*', words[0]):  # Settings of the environment.
        words = words[1:]
    if not words:
        return 0
    name = os.path.basename(words[0]) if words[0] != './dev' else './dev'
    if not re.fullmatch(r'backfire(-(gate|study|vision|planar|parity))?|\./dev', name) or words[0].endswith(('/', ':')):
        return 0
    path, rest = (name,), words[1:]
    if name == 'backfire' and rest and rest[0] in ('gate', 'study', 'vision', 'planar', 'demo'):
        path, rest = ('backfire', rest[0]), rest[1:]
    while rest and re.fullmatch(r'[a-z][a-z-]*', rest[0]):
        known = subcommands(path)
        if not known:
            break  # An argument.
        if rest[0] not in known:
            faults.append(f'{page}:{number}: `{" ".join(path)}` has no `{rest[0]}`')
            return 1
        path, rest = path + (rest[0],), rest[1:]
    text = help_of(*path)
    if text is None:
        faults.append(f'{page}:{number}: `{" ".join(path)} --help` fails')
        return 1
    if path == ('./dev', 'bench'):
        return 1  # The rest is the benchmark's own.
    if '--' in rest:
        rest = rest[:rest.index('--')]
    for word in rest:
        flag = word.split('=', 1)[0].rstrip(',.')
        if not re.fullmatch(r'--[a-z][a-z0-9-]*', flag) or flag == '--help':
            continue
        if not re.search(re.escape(flag) + r'(?![a-z0-9-])', text):
            faults.append(f'{page}:{number}: `{" ".join(path)}` has no {flag}')
    return 1


checked = 0
for one in documents.pages(root):
    for line_number, shown in commands_of(one):
        if not re.search(r'(^|[ /])(backfire|\./dev)\b', shown):
            continue
        try:
            for simple in words_of(shown):
                checked += check(one, line_number, simple)
        except ValueError:
            pass  # A quotation that the page leaves open: no command.
for fault in faults:
    print(fault)
print(f'{checked} commands in pages, {len(faults)} that the programs do not have')
sys.exit(1 if faults or checked < 100 else 0)
