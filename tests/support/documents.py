"""What Markdown pages of the project show as commands: lines of code blocks, and code within lines."""

import os
import re
import subprocess
from typing import Iterator, List, NamedTuple


class Line(NamedTuple):
    number: int
    text: str
    language: str  # Of the code block that it is in: '' where that names none; 'code' for code within a line of text.


class Block(NamedTuple):
    number: int
    language: str
    text: str


def pages(root: str) -> List[str]:
    """Every page of the project, as paths below `root`."""
    listed = subprocess.run(['git', '-C', root, 'ls-files', '--cached', '--others', '--exclude-standard', '*.md'],
                            stdout=subprocess.PIPE, text=True, check=False).stdout.split()
    return [name for name in listed if os.path.isfile(os.path.join(root, name))] or [
        os.path.relpath(os.path.join(folder, name), root)
        for folder, _, names in os.walk(root) for name in names if name.endswith('.md') and '/build' not in folder]


def code_of(path: str) -> Iterator[Line]:
    """The code of a page, in its order: each line of a block, and each piece of code within a line."""
    language = None
    with open(path, encoding='utf-8') as file:
        for number, line in enumerate(file.read().split('\n'), 1):
            if line.lstrip().startswith('```'):
                language = line.strip()[3:] if language is None else None
            elif language is not None:
                yield Line(number, line, language)
            else:
                for code in re.findall(r'`([^`]+)`', line):
                    yield Line(number, code, 'code')


def blocks_of(path: str) -> Iterator[Block]:
    """The code blocks of a page, in its order, each with the number of its first line."""
    with open(path, encoding='utf-8') as file:
        text = file.read()
    for found in re.finditer(r'^ *```(\w*)\n(.*?)^ *```$', text, re.MULTILINE | re.DOTALL):
        yield Block(text.count('\n', 0, found.start(2)) + 1, found[1], found[2])
