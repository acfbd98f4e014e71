#!/usr/bin/env python3
"""Runs every test that depends on LibTorch as on other processors.

A configuration sets what LibTorch (ATEN_CPU_CAPABILITY), OpenBLAS (OPENBLAS_CORETYPE) and oneDNN (DNNL_MAX_CPU_ISA) choose
their kernels by, and how many threads they use: each value once, and a dozen pairs of values. processor-probe says first
whether this processor can run a configuration and whether its kernels compute right; what it refuses is skipped, by name.
Fails if a test failed, and if no configuration ran. Called by `./dev test --processors`.
"""

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import time

SETTINGS = {
    'ATEN_CPU_CAPABILITY': ['default', 'avx2', 'avx512'],
    'OPENBLAS_CORETYPE': ['PRESCOTT', 'HASWELL', 'ZEN', 'SKYLAKEX', 'SAPPHIRERAPIDS'],
    'DNNL_MAX_CPU_ISA': ['SSE41', 'AVX2', 'AVX512_CORE', 'ALL'],
    'OMP_NUM_THREADS': ['1', '2'],
}
PAIRS = 12


def configurations():
    """Each value alone, then a dozen pairs: two for every two settings, walking through their values."""
    singles = [{name: value} for name, values in SETTINGS.items() for value in values]
    pairs = []
    combinations = list(itertools.combinations(SETTINGS, 2))
    for i in range(PAIRS):
        first, second = combinations[i % len(combinations)]
        turn = i // len(combinations)
        pairs.append({first: SETTINGS[first][(i + turn) % len(SETTINGS[first])],
                      second: SETTINGS[second][-1 - (i + turn) % len(SETTINGS[second])]})
    return singles + pairs


def name_of(configuration):
    return ' '.join(f'{name}={value}' for name, value in configuration.items())


def environment_of(configuration):
    """The environment without anybody's settings but the configuration's."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS and name != 'OPENBLAS_L2_SIZE'}
    return {**environment, **configuration}


def probe(program, configuration):
    """(True, the kernels in use) or (False, why not)."""
    ended = subprocess.run([program], env=environment_of(configuration), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, timeout=300, check=False)
    if ended.returncode < 0:
        return False, f'its kernels end by {signal.Signals(-ended.returncode).name} on this processor'
    return ended.returncode == 0, ended.stdout.strip().splitlines()[-1] if ended.stdout.strip() else f'exit {ended.returncode}'


def tests_of(build, regex):
    """The names of the tests that depend on LibTorch: those of the label that CMake gives them."""
    listed = subprocess.run(['ctest', '--test-dir', build, '--show-only=json-v1', '-L', '^libtorch$'] +
                            (['-R', regex] if regex else []), stdout=subprocess.PIPE, text=True, check=True).stdout
    return [test['name'] for test in json.loads(listed)['tests']]


def run_tests(build, tests, configuration):
    """Runs the tests; returns those that did not pass, with their output on standard output."""
    chosen = '^(' + '|'.join(name.replace('.', '[.]') for name in tests) + ')$'
    ended = subprocess.run(['ctest', '--test-dir', build, '-R', chosen, '--output-on-failure', '--timeout', '900'],
                           env=environment_of(configuration), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           check=False)
    lines = ended.stdout.splitlines()
    passed = {name for name in tests for line in lines if f' {name} ' in line and ('   Passed  ' in line or '***Skipped' in line)}
    failed = [name for name in tests if name not in passed]
    if failed:
        print(ended.stdout, flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', required=True, help='the build folder, whose tests are built')
    parser.add_argument('--tests-regex', default='', help='only tests whose name matches')
    parser.add_argument('--only', default='', help='only configurations whose name contains this: AVX2')
    parser.add_argument('--list', action='store_true', help='print the configurations and what the probe says of them')
    arguments = parser.parse_args()

    build = os.path.abspath(arguments.build)
    chosen = [c for c in configurations() if arguments.only in name_of(c)]
    tests = [] if arguments.list else tests_of(build, arguments.tests_regex)
    passed = failed = skipped = 0
    started = time.monotonic()
    for number, configuration in enumerate(chosen, 1):
        can_run, text = probe(os.path.join(build, 'tests', 'processor-probe'), configuration)
        label = f'[{number}/{len(chosen)}] {name_of(configuration)}'
        if not can_run or arguments.list:
            skipped += not can_run
            print(f'{label}: {text if can_run else "SKIPPED: " + text}', flush=True)
            continue
        broken = run_tests(build, tests, configuration)
        failed += len(broken)
        passed += len(tests) - len(broken)
        minutes = (time.monotonic() - started) / 60
        left = minutes / number * (len(chosen) - number)
        print(f'{label} ({text}): {len(tests) - len(broken)} passed, {len(broken)} failed; {minutes:.0f} min, about {left:.0f} left',
              flush=True)
        for name in broken:
            print(f'  FAILED: {name} with {name_of(configuration)}', flush=True)
    if arguments.list:
        return 0
    if passed + failed == 0:
        print('no configuration could run, or no test depends on LibTorch', file=sys.stderr)
        failed = 1
    print(f'{skipped} configurations skipped' if skipped else 'no configuration skipped')
    print(f'{passed} passed, {failed} failed')
    return 0 if failed == 0 else 1


if __name__ == '__main__':
    sys.exit(main())
