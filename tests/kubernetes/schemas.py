"""Checks every rendered resource against the schemas of Kubernetes, unknown fields refused. Needs PyPI's kubernetes-validate;
called by `./dev kubernetes check`. What other projects define (Prometheus' operator, cert-manager) has no schema there, and is named."""

import argparse
import copy
import pathlib
import sys

import kubernetes_validate

import manifests
import render

VERSION = '1.36'
OF_OTHERS = {('monitoring.coreos.com/v1', kind) for kind in ('ServiceMonitor', 'PrometheusRule')} | {
    ('cert-manager.io/v1', kind) for kind in ('Certificate', 'Issuer')}


def fault_of(resource):
    try:
        kubernetes_validate.validate(resource, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f'{".".join(map(str, error.path))}: {error.message}'
    except (kubernetes_validate.InvalidSchemaError, kubernetes_validate.SchemaNotFoundError) as error:
        return f'no schema: {error}'
    return ''


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--root', type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    passed, found, left_out = 0, [], set()
    for name in render.OVERLAYS:
        rendered, _ = manifests.read(arguments.root / f'tests/kubernetes/rendered/{name}.jsonl')
        for resource in rendered.resources:
            kind = (resource['apiVersion'], resource['kind'])
            if kind in OF_OTHERS:
                left_out.add(resource['kind'])
                continue
            fault = fault_of(resource)
            passed += not fault
            if fault:
                found.append(f'{name}: {resource["kind"]} {resource["metadata"]["name"]}: {fault}')
    # The schemas see a misspelt field, a missing one and a wrong type.
    gateway = manifests.read(arguments.root / 'tests/kubernetes/rendered/cpu.jsonl')[0].of('Deployment')['gateway']
    for what, change in (('a misspelt field', lambda spec: spec['template']['spec'].update(serviceAcountName='x')),
                         ('a missing field', lambda spec: spec.pop('selector')),
                         ('a wrong type', lambda spec: spec.update(replicas='two'))):
        broken = copy.deepcopy(gateway)
        change(broken['spec'])
        passed += bool(fault_of(broken))
        if not fault_of(broken):
            found.append(f'broken: {what} is not seen')
    print(f'without a schema: {sorted(left_out)}')
    for fault in found:
        print(f'FAULT: {fault}')
    print(f'{passed} passed, {len(found)} failed')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
