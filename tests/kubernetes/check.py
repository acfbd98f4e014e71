#!/usr/bin/env python3
"""Checks the rendered manifests without a network or a cluster: every name, label and port that one has of another, pods'
rights, probes and commands, and that NetworkPolicies allow exactly the edges of the system. Then breaks them, one way
after another, and fails where a check does not see it. The last line is `N passed, N failed`."""

import argparse
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

import breakage
import manifests
import network
import pods
import references
import render
import trust

# What is applied together, by what its first part's name is.
SETS = {'cpu': ['cpu'], 'gpu': ['gpu'], 'planar': ['planar'], 'cpu-monitoring': ['cpu-monitoring'], 'cpu, propose': ['cpu', 'propose'],
        'planar-tls, propose-tls': ['planar-tls', 'propose-tls'], 'cpu-tls': ['cpu-tls']}


class Checker:
    def __init__(self, root, bin_folder):
        self.root, self.bin = root, bin_folder
        self.programs = pods.Programs(bin_folder, root)
        registry = (root / 'deploy/kubernetes/components/images/registry.env').read_text(encoding='utf-8')
        self.registry = registry.partition('registry=')[2].strip()
        self._systems = {}

    def system(self, rendered):
        """The system of the ConfigMap, as the program reads it. ValueError: it finds faults."""
        text = next(one['data']['system.yaml'] for one in rendered.of('ConfigMap').values() if 'system.yaml' in one.get('data', {}))
        if text not in self._systems:
            with tempfile.NamedTemporaryFile('w', suffix='.yaml', encoding='utf-8') as file:
                file.write(text)
                file.flush()
                told = subprocess.run([self.bin / 'backfire', 'system', 'validate', file.name, '--format', 'json'],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
            if told.returncode:
                raise ValueError(told.stderr.strip())
            self._systems[text] = json.loads(told.stdout)
        return self._systems[text]

    def faults(self, rendered):
        try:
            system = self.system(rendered)
        except ValueError as error:
            return [f'system: {error}']
        return [*references.faults(rendered, system), *network.faults(rendered, system),
                *pods.faults(rendered, self.programs, self.registry), *trust.faults(rendered, system)]


def volume_pod_faults(root):
    """The pod of volumes.sh, which no overlay has."""
    pod = json.loads((root / 'deploy/kubernetes/volume-pod.json').read_text(encoding='utf-8'))
    workload = manifests.Workload({'kind': 'Pod', 'metadata': pod['metadata'], 'spec': {'template': pod}})
    return [f'{workload}: {fault}' for fault in (*pods.security_faults(workload), *pods.resource_faults(workload))]


def rules_fault(root):
    """The alerts for the operator are those of deploy/prometheus."""
    alerts = (root / 'deploy/prometheus/rules/backfire.rules.yml').read_text(encoding='utf-8')
    copied = (root / 'deploy/kubernetes/components/monitoring/rules.yaml').read_text(encoding='utf-8').partition('\nspec:\n')[2]
    expected = ''.join(f'  {line}' if line.strip() else line for line in alerts[alerts.index('groups:'):].splitlines(True))
    return '' if copied == expected else 'components/monitoring/rules.yaml: spec must be deploy/prometheus/rules/backfire.rules.yml'


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--root', type=pathlib.Path, required=True)
    parser.add_argument('--bin', type=pathlib.Path, required=True, help='folder of the programs')
    arguments = parser.parse_args()
    root, checker, found, passed = arguments.root.resolve(), Checker(arguments.root, arguments.bin.resolve()), [], 0

    digest, files = render.inputs_digest(root), {}
    for name in render.OVERLAYS:
        files[name], inputs = manifests.read(root / f'tests/kubernetes/rendered/{name}.jsonl')
        if inputs != digest:
            found.append(f'rendered/{name}.jsonl is of other files than deploy/kubernetes has now: run ./dev kubernetes render')
    together = {title: manifests.Manifests([one for name in names for one in files[name].resources]) for title, names in SETS.items()}
    for title, rendered in together.items():
        faults = checker.faults(rendered)
        found += [f'{title}: {fault}' for fault in faults]
        passed += not faults
        print(f'{title}: {len(rendered.resources)} resources, {len(network.allowed_edges(rendered))} edges')
    for faults in (volume_pod_faults(root), [fault for fault in [rules_fault(root)] if fault]):
        found += faults
        passed += not faults

    for name, (overlay, change, expected) in breakage.BREAKAGES.items():
        broken = manifests.Manifests(copy.deepcopy(together[overlay].resources))
        change(broken)
        seen = checker.faults(broken)
        if any(expected in one for one in seen):
            passed += 1
        else:
            found.append(f'broken: {name}: no fault says "{expected}": {seen}')
    if checker.programs.not_built:
        print(f'not built, so their flags were not looked at: {sorted(checker.programs.not_built)}')
    for fault in found:
        print(f'FAULT: {fault}')
    print(f'{passed} passed, {len(found)} failed')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
