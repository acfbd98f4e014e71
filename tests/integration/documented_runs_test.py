#!/usr/bin/env python3
"""Every command that README, docs and deploy show is run, in the order of its page, in a clone of its own, against meshes
that the pages' own commands start; what it prints and how it ends is held against what documented_runs.py says. What can't run here is
listed there, with the test that runs it, or the reason and what is run instead; a command that is in neither fails this test.
Arguments: the folder of backfire's binaries, the project's root, the toy service."""

import functools
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import documents
import documented_runs

bin_directory, root, toy_service = (os.path.abspath(name) for name in sys.argv[1:4])
# What is a command, where code stands within a line of text.
INLINE = re.compile(r'(\S*/)?(backfire(-\w+)?|\./dev|docker|kubectl|promtool|grpcurl|pytest|python3|npm|cpack|source|\.\.\.) .+')
LONGEST_SECONDS = 300
faults, times = [], []


class Shell:
    """A bash that is given a command at a time, as a person would: what one sets, the next one sees."""

    def __init__(self, folder, environment):
        self._folder = folder
        reading, writing = os.pipe()
        self._codes = os.fdopen(reading, 'rb', buffering=0)
        self._bash = subprocess.Popen(['bash', '--norc', '-c', f'while read -r file; do source "$file"; echo $? >&{writing}; done'],
                                      stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
                                      env=environment, pass_fds=[writing], start_new_session=True, text=True)
        os.close(writing)

    def run(self, command):
        """(exit code, standard output, standard error) of a command; the code is None if it did not end in time."""
        names = [os.path.join(self._folder, f'.shell-{name}') for name in ('command', 'output', 'errors')]
        with open(names[0], 'w', encoding='utf-8') as file:
            file.write(f'{{ {command}\n}} >{names[1]} 2>{names[2]} </dev/null\n')
        self._bash.stdin.write(names[0] + '\n')
        self._bash.stdin.flush()
        ready, _, _ = select.select([self._codes], [], [], LONGEST_SECONDS)
        code = self._codes.readline().strip() if ready else b''
        said = []
        for name in names[1:]:
            with open(name, encoding='utf-8', errors='replace') as file:
                said.append(file.read())
        return int(code) if code else None, *said

    def end(self):
        """Ends it, with what it left running."""
        try:
            os.killpg(self._bash.pid, signal.SIGTERM)
            self._bash.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._bash.pid, signal.SIGKILL)
            self._bash.wait()
        except ProcessLookupError:
            pass
        self._codes.close()


def statements(block):
    """(line number, text) of each command of a block: of one line, or of several that bash takes together."""
    begun, number = '', block.number
    for offset, line in enumerate(block.text.splitlines()):
        if not begun:
            number = block.number + offset
        begun += line + '\n'
        if not begun.strip():
            begun = ''
            continue
        checked = subprocess.run(['bash', '-n'], input=begun, stderr=subprocess.PIPE, text=True, check=False)
        # A here-document that has no end yet is a warning.
        if checked.returncode == 0 and not checked.stderr and not line.endswith('\\'):
            yield number, begun.rstrip('\n')
            begun = ''
    if begun:
        faults.append(f'a block of shell that never ends: {begun!r}')


def key_of(text):
    """What a command is listed by: its first line, without a comment at its end and with single spaces."""
    return ' '.join(re.sub(r'\s+# .*$', '', text.split('\n')[0]).removeprefix('$ ').split())


@functools.lru_cache(maxsize=None)
def is_name(text):
    """Whether code within a line only names a command that takes more: `backfire up`."""
    words = text.split()
    program = os.path.join(bin_directory, words[0])
    if not re.fullmatch(r'backfire(-\w+)?( [a-z][a-z-]*)*', text) or not os.path.exists(program):
        return False
    shown = subprocess.run([program, *words[1:], '--help'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                           timeout=60).stdout
    return len(words) == 1 or 'REQUIRED' in shown or ' SUBCOMMAND' in shown


def commands_of(page, rules):
    """(line number, text) of what a page shows as a command to run."""
    path = os.path.join(root, page)
    found = [(number, text) for block in documents.blocks_of(path) if block.language in ('sh', 'bash', 'console')
             for number, text in statements(block)]
    for number, text, language in documents.code_of(path):
        if language == 'code' and INLINE.fullmatch(text) and (key_of(text) in rules.runs or not is_name(text)):
            found.append((number, text))
    return sorted(found, key=lambda one: one[0])


def make_clone(folder):
    """A copy of what a clone holds, with this build as its own, and systems whose ports are sockets in it."""
    listed = subprocess.run(['git', '-C', root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], stdout=subprocess.PIPE,
                            check=True).stdout.decode().split('\0')
    for name in filter(None, listed):
        source, target = os.path.join(root, name), os.path.join(folder, name)
        if os.path.isfile(source):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(source, target)
    os.symlink(os.path.dirname(bin_directory), os.path.join(folder, 'build'))
    for name in documented_runs.SYSTEMS:
        path = os.path.join(folder, name)
        with open(path, encoding='utf-8') as file:
            text = file.read()
        with open(path, 'w', encoding='utf-8') as file:
            for pattern, by in documented_runs.CHANGES.items():
                text = re.sub(pattern, by, text, flags=re.MULTILINE)
            file.write(re.sub(r'localhost:(71\d\d)', rf'unix:{folder}/\1', text))


def check(shell, page, number, shown, run, fills):
    command = run.do or shown
    for placeholder, value in fills.items():
        command = re.sub(placeholder, value, command)
    began = time.monotonic()
    code, output, errors = shell.run(command)
    times.append((time.monotonic() - began, command))
    said = output + errors
    wrong = []
    if code is None:
        wrong.append(f'had not ended after {LONGEST_SECONDS} s')
    elif code != run.code:
        wrong.append(f'exit code {code}, not {run.code}')
    wrong += [f'does not say {part!r}' for part in run.says if part not in said]
    if run.block:
        after = [block for block in documents.blocks_of(os.path.join(root, page)) if block.number > number and not block.language]
        wrong += [f'does not print what the page shows: {line!r}' for line in after[0].text.splitlines() if line not in output.splitlines()]
    if wrong:
        faults.append(f'{page}:{number}: `{command}`: ' + '; '.join(wrong) + '\n' +
                      '\n'.join(f'    {line}' for line in said.splitlines()[-15:]))
    return code is not None


def run_page(page, folder, environment):
    """Runs what a page shows; returns (commands that ran, commands that are listed)."""
    rules = documented_runs.PAGES.get(page, documented_runs.Page())
    if rules.by:
        if not os.path.isfile(os.path.join(root, rules.by)):
            faults.append(f'{page} is said to be run by {rules.by}, which is not there')
        return 0, len(commands_of(page, rules))
    if rules.needs and subprocess.run(['/usr/bin/python3', '-c', f'import {rules.needs}'], stderr=subprocess.DEVNULL, check=False).returncode:
        print(f'SKIPPED: /usr/bin/python3 has no {rules.needs}, so nothing of {page} ran', file=sys.stderr)
        return 0, 0
    shell, ran, listed, used = None, 0, 0, set()
    try:
        for number, text in commands_of(page, rules):
            key = key_of(text)
            elsewhere = next((pattern for pattern in documented_runs.ELSEWHERE if re.fullmatch(pattern, key)), None)
            run = rules.runs.get(key)
            again = key in used
            used.update({key} if run else ())
            if run and again and run.once:
                continue
            if run and run.needs and not shutil.which(run.needs):
                print(f'SKIPPED: there is no {run.needs}, so `{key}` of {page} was not run', file=sys.stderr)
                listed += 1
                continue
            if elsewhere and not run:
                seen.add(elsewhere)
                listed += 1
                continue
            if not run:
                faults.append(f'{page}:{number}: nobody runs `{key}`: say in {os.path.basename(documented_runs.__file__)} how it '
                              'ends (PAGES), or who runs it instead (ELSEWHERE)')
                continue
            if not shell:
                make_clone(folder)
                shell = Shell(folder, environment)
                began = time.monotonic()
                code, output, errors = shell.run(rules.setup)
                times.append((time.monotonic() - began, f'the setup of {page}'))
                if code != 0:
                    faults.append(f'{page}: its setup ended with {code}\n{output}{errors}')
                    return ran, listed
            if not check(shell, page, number, text, run, rules.fills):
                return ran, listed
            ran += 1
        faults.extend(f'{page}: it does not show `{key}` any more' for key in rules.runs if key not in used)
    finally:
        if shell:
            subprocess.run([os.path.join(bin_directory, 'backfire'), 'down'], env=environment, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=120, check=False)
            shell.end()
    return ran, listed


seen = set()
# Ended from outside, it ends what it has started.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def main():
    total_ran, total_listed = 0, 0
    pages = [page for page in documents.pages(root) if re.fullmatch(documented_runs.WHICH, page)]
    wanted = sys.argv[4:] or pages
    for page in wanted:
        with tempfile.TemporaryDirectory() as folder:
            clone = os.path.join(folder, 'clone')
            os.mkdir(clone)
            ran, listed = run_page(page, clone, {
                'PATH': f'{bin_directory}:/usr/bin:/bin', 'HOME': folder, 'LANG': 'C.UTF-8', 'PYTHONDONTWRITEBYTECODE': '1', 'OMP_NUM_THREADS': '1',
                'USER': 'ada', 'CLONE': clone, 'TOY': toy_service, 'BACKFIRE_DATA_DIR': f'{folder}/data', 'BACKFIRE_ORCHESTRATOR': f'unix:{folder}/o',
                'GATEWAY': f'unix:{folder}/g', 'SCRATCH': folder})
        total_ran += ran
        total_listed += listed
    if wanted == pages:
        for pattern, why in documented_runs.ELSEWHERE.items():
            if pattern not in seen:
                faults.append(f'no page shows `{pattern}`, which is listed as run elsewhere')
            path, _, part = (why.test if isinstance(why, documented_runs.Instead) else why).partition(': ')
            if path:
                try:
                    with open(os.path.join(root, path), encoding='utf-8') as file:
                        if part not in file.read():
                            faults.append(f'`{pattern}` is said to be run by {path}, which has no {part!r}')
                except OSError as error:
                    faults.append(f'`{pattern}` is said to be run by {path}: {error}')
    for fault in faults:
        print(fault)
    for seconds, command in sorted(times, reverse=True)[:5]:
        print(f'{seconds:5.1f} s  {command.splitlines()[0]}')
    print(f'{total_ran} commands of pages ran, {total_listed} are run elsewhere or need what is not here; {len(faults)} faults')
    sys.exit(1 if faults else 0)


main()
