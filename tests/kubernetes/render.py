"""Renders every overlay with kustomize, and writes it as one resource a line: ../kubernetes/rendered. Called by
`./dev kubernetes render`; without kustomize the checks see by a digest whether what is rendered is what there is."""

import argparse
import hashlib
import json
import pathlib
import subprocess
import sys

OVERLAYS = {'cpu': 'overlays/cpu', 'gpu': 'overlays/gpu', 'planar': 'overlays/planar', 'cpu-monitoring': 'overlays/cpu-monitoring',
            'planar-tls': 'overlays/planar-tls', 'cpu-tls': 'overlays/cpu-tls', 'propose': 'propose', 'propose-tls': 'overlays/propose-tls'}
# Folders of the project that kustomize reads. Dashboards are rendered by name alone: who draws one anew need not render.
INPUTS = ('deploy/kubernetes', 'deploy/systems/kubernetes')


def inputs_digest(root):
    """SHA-256 over the names and bytes of all that is rendered, but for documentation."""
    digest = hashlib.sha256()
    for folder in INPUTS:
        for path in sorted((root / folder).rglob('*')):
            if path.is_file() and path.suffix not in ('.json', '.md', '.sh'):
                digest.update(f'{path.relative_to(root)}\0{path.stat().st_size}\0'.encode() + path.read_bytes())
    return digest.hexdigest()


def as_lines(resources, digest):
    for resource in resources:
        if resource['kind'] == 'ConfigMap' and resource['metadata']['name'] == 'backfire-dashboards':
            resource['data'] = {name: '' for name in resource['data']}
    lines = [json.dumps(resource, sort_keys=True, ensure_ascii=False) for resource in resources]
    return '\n'.join([json.dumps({'inputs': digest}), *lines]) + '\n'


def build(kustomize, root, overlay):
    """The resources of an overlay, in kustomize's order. `kustomize`: the command, as `kubectl kustomize`."""
    import yaml  # Only what is rendered here needs it.
    built = subprocess.run([*kustomize, root / 'deploy/kubernetes' / overlay], stdout=subprocess.PIPE, check=True)
    return list(yaml.safe_load_all(built.stdout))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--root', type=pathlib.Path, required=True)
    parser.add_argument('--kustomize', required=True, help='the command that renders a folder: "kustomize build"')
    parser.add_argument('--compare', action='store_true', help='write nothing; exit 1 where the files differ')
    arguments = parser.parse_args()
    folder, digest, status = arguments.root / 'tests/kubernetes/rendered', inputs_digest(arguments.root), 0
    folder.mkdir(exist_ok=True)
    for name, overlay in OVERLAYS.items():
        text = as_lines(build(arguments.kustomize.split(), arguments.root, overlay), digest)
        path = folder / f'{name}.jsonl'
        if not arguments.compare:
            path.write_text(text, encoding='utf-8')
        elif not path.exists() or path.read_text(encoding='utf-8') != text:
            print(f'FAULT: {path.relative_to(arguments.root)} is not what {overlay} renders to: ./dev kubernetes render')
            status = 1
    return status


if __name__ == '__main__':
    sys.exit(main())
