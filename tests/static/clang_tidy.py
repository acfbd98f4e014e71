#!/usr/bin/env python3
"""Runs clang-tidy, with clang's check of thread annotations, over what differs from a commit: sources, and for each header
the smallest source that includes it. What was clean before, with the same headers, flags and clang-tidy, is remembered
and not looked at again. Called by `./dev lint`."""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import time


def git(root, *arguments):
    return subprocess.run(['git', '-C', root, *arguments], stdout=subprocess.PIPE, check=True, text=True).stdout


def changed_since(root, base):
    """C++ files that differ from `base`, or all for an empty one; files that git does not know yet are among them."""
    listed = git(root, 'ls-files', '--cached', '--others', '--exclude-standard', '*.cc', '*.h')
    if base:
        listed = git(root, 'diff', '--name-only', '--diff-filter=d', base, '--', '*.cc', '*.h') + git(
            root, 'ls-files', '--others', '--exclude-standard', '*.cc', '*.h')
    return sorted(name for name in set(listed.splitlines()) if os.path.exists(os.path.join(root, name)))


class Includes:
    """The project's headers that a file includes, directly or not."""

    def __init__(self, root):
        self.root = root
        self.direct = {}

    def directly(self, name):
        if name not in self.direct:
            with open(os.path.join(self.root, name), encoding='utf-8') as file:
                found = re.findall(r'^#include "([^"]+)"', file.read(), re.MULTILINE)
            self.direct[name] = [header for header in found if os.path.exists(os.path.join(self.root, header))]
        return self.direct[name]

    def all(self, name):
        seen, waiting = set(), [name]
        while waiting:
            for header in self.directly(waiting.pop()):
                if header not in seen:
                    seen.add(header)
                    waiting.append(header)
        return seen


def sources_to_check(root, changed, compiled, includes):
    """Those of the compiled sources that show every changed file, and the changed headers that none includes."""
    chosen = {name for name in changed if name in compiled}
    uncovered = {name for name in changed if name.endswith('.h')}
    for name in chosen:
        uncovered -= includes.all(name)
    lonely = []
    for header in sorted(uncovered):
        users = [name for name in compiled if header in includes.all(name)]
        if users:
            chosen.add(min(users, key=lambda name: (len(includes.all(name)), name)))
        else:
            lonely.append(header)
    return sorted(chosen), lonely


def newest_first(root, names):
    """The names by the latest commit that changed them, so that what a time limit leaves out is what has stood longest."""
    uncommitted = git(root, 'diff', '--name-only', 'HEAD') + git(root, 'ls-files', '--others', '--exclude-standard')
    order = {}
    for name in (uncommitted + git(root, 'log', '--format=', '--name-only')).splitlines():
        order.setdefault(name, len(order))
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--root', required=True, help='the project')
    parser.add_argument('--build', required=True, help='a build folder configured for clang, without precompiled headers')
    parser.add_argument('--base', default='', help='a commit; empty: look at every file')
    parser.add_argument('--minutes', type=float, default=0, help='begin no file after so long; 0: no limit')
    parser.add_argument('--jobs', type=int, default=1)
    arguments = parser.parse_args()
    root, build = os.path.abspath(arguments.root), os.path.abspath(arguments.build)

    with open(os.path.join(build, 'compile_commands.json'), encoding='utf-8') as file:
        commands = {os.path.relpath(entry['file'], root): entry['command'] for entry in json.load(file)}
    compiled = {name for name in commands if not name.startswith('..') and not name.startswith('build')}
    includes = Includes(root)
    chosen, lonely = sources_to_check(root, changed_since(root, arguments.base), compiled, includes)

    clean_folder = os.path.join(build, 'clean')
    os.makedirs(clean_folder, exist_ok=True)
    version = subprocess.run(['clang-tidy', '--version'], stdout=subprocess.PIPE, check=True).stdout
    with open(os.path.join(root, '.clang-tidy'), 'rb') as file:
        rules = file.read()

    def key(name):
        digest = hashlib.sha256(version + rules + commands[name].encode())
        for part in [name, *sorted(includes.all(name))]:
            with open(os.path.join(root, part), 'rb') as file:
                digest.update(part.encode() + b'\0' + file.read())
        return os.path.join(clean_folder, digest.hexdigest())

    started = time.monotonic()
    waiting = newest_first(root, [name for name in chosen if not os.path.exists(key(name))])
    print(f'clang-tidy, latest changes first: {len(chosen)} sources show what differs from {arguments.base[:12] or "nothing"}; '
          f'{len(chosen) - len(waiting)} of them were clean before', flush=True)

    def check(name):
        if arguments.minutes and time.monotonic() - started > 60 * arguments.minutes:
            return name, None, ''
        ended = subprocess.run(['clang-tidy', '-p', build, '--quiet', '--warnings-as-errors=*', os.path.join(root, name)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        return name, ended.returncode == 0, ended.stdout + (ended.stderr if ended.returncode else '')

    clean, faulty, left = len(chosen) - len(waiting), [], []
    with concurrent.futures.ThreadPoolExecutor(max_workers=arguments.jobs) as pool:
        for number, (name, good, text) in enumerate(pool.map(check, waiting), 1):
            if good is None:
                left.append(name)
            elif good:
                clean += 1
                with open(key(name), 'wb'):
                    pass
            else:
                faulty.append(name)
                print(text, flush=True)
            if good is not None:
                print(f'  [{number}/{len(waiting)}] {name}: {"clean" if good else "FAULTY"}', flush=True)
    for header in lonely:
        print(f'{header}: no source includes it, so nothing checks it')
    if left:
        print(f'{len(left)} sources were not looked at within {arguments.minutes:g} minutes, from {left[0]} on')
    print(f'{clean} passed, {len(faulty) + len(lonely)} failed')
    return 1 if faulty or lonely else 0


if __name__ == '__main__':
    sys.exit(main())
