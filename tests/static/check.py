#!/usr/bin/env python3
"""Checks of the sources that take seconds: scripts parse, relative links of Markdown files lead to files, every folder's
README.md begins with a sentence, and .github/workflows/ci.yml runs the stages of .ci/run. Called by `./dev check`."""

import ast
import os
import re
import subprocess
import sys

faults = []


def tracked(root):
    """The files of the project, new ones included."""
    listed = subprocess.run(['git', '-C', root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                            stdout=subprocess.PIPE, check=True).stdout.decode()
    return [name for name in listed.split('\0') if name and os.path.isfile(os.path.join(root, name))]


def is_bash(path):
    with open(path, 'rb') as file:
        return re.match(rb'#!.*\bbash\b', file.readline()) is not None


def check_scripts(root, files):
    checked = 0
    for name in files:
        path = os.path.join(root, name)
        if name.endswith('.py'):
            checked += 1
            with open(path, encoding='utf-8') as file:
                try:
                    ast.parse(file.read())
                except SyntaxError as error:
                    faults.append(f'{name}:{error.lineno}: {error.msg}')
        elif name.endswith('.sh') or is_bash(path):
            checked += 1
            ended = subprocess.run(['bash', '-n', path], stderr=subprocess.PIPE, text=True, check=False)
            if ended.returncode:
                faults.append(f'{name}: {ended.stderr.strip()}')
    return checked


def anchors(path):
    """GitHub's names of a Markdown file's headings."""
    with open(path, encoding='utf-8') as file:
        headings = re.findall(r'^#+ +(.*)$', file.read(), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def check_links(root, files):
    checked = 0
    for name in files:
        if not name.endswith('.md'):
            continue
        path = os.path.join(root, name)
        with open(path, encoding='utf-8') as file:
            text = re.sub(r'```.*?```|`[^`\n]*`', lambda code: '\n' * code[0].count('\n'), file.read(), flags=re.DOTALL)
        for match in re.finditer(r'\]\(([^)\s]+)\)', text):
            target, _, anchor = match[1].partition('#')
            if '://' in target or target.startswith('mailto:'):
                continue
            checked += 1
            line = text.count('\n', 0, match.start()) + 1
            there = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
            if not os.path.exists(there):
                faults.append(f'{name}:{line}: there is no {target}')
            elif anchor and there.endswith('.md') and anchor not in anchors(there):
                faults.append(f'{name}:{line}: {target or name} has no heading #{anchor}')
    return checked


def check_readmes(root, files):
    readmes = [name for name in files if os.path.basename(name) == 'README.md']
    for name in readmes:
        with open(os.path.join(root, name), encoding='utf-8') as file:
            if not file.readline().strip():
                faults.append(f'{name}:1: must say in its first line what the folder is for')
    return len(readmes)


def check_stages(root):
    with open(os.path.join(root, '.ci/run'), encoding='utf-8') as file:
        stages = re.findall(r"^  '(\w+) +\d+ +(?:required|optional) ", file.read(), re.MULTILINE)
    with open(os.path.join(root, '.github/workflows/ci.yml'), encoding='utf-8') as file:
        steps = re.findall(r'run: \.ci/run (\w+)$', file.read(), re.MULTILINE)
    if not stages or stages != steps:
        faults.append(f'.github/workflows/ci.yml runs {steps}: .ci/run has {stages}')
    return len(stages)


def main():
    root = os.path.abspath(sys.argv[1])
    files = tracked(root)
    counts = {
        'scripts parse': check_scripts(root, files),
        'links lead somewhere': check_links(root, files),
        'folders say what they are for': check_readmes(root, files),
        'stages of CI': check_stages(root),
    }
    for what, count in counts.items():
        print(f'{what}: {count}')
        if count == 0:
            faults.append(f'{what}: nothing was checked')
    for fault in faults:
        print(f'FAULT: {fault}')
    print(f'{sum(counts.values()) - len(faults)} passed, {len(faults)} failed')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
