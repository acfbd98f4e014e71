"""Rendered manifests as Python objects, and what Kubernetes makes of their labels and names."""

import dataclasses
import json
import pathlib

WORKLOADS = ('Deployment', 'StatefulSet', 'Job')


@dataclasses.dataclass
class Workload:
    """What makes pods: its template, as all rules want to see it."""
    resource: dict

    @property
    def kind(self):
        return self.resource['kind']

    @property
    def name(self):
        return self.resource['metadata']['name']

    def __str__(self):
        return f'{self.kind} {self.name}'

    @property
    def spec(self):
        return self.resource['spec']

    @property
    def labels(self):
        return self.spec['template']['metadata'].get('labels', {})

    @property
    def pod(self):
        return self.spec['template']['spec']

    @property
    def container(self):
        return self.pod['containers'][0]

    @property
    def command(self):
        return self.container.get('command', []) + self.container.get('args', [])

    @property
    def component(self):
        return self.labels.get('app.kubernetes.io/component', '')

    def flag(self, name):
        """The value of `--name=value` in its command; None: it is not there."""
        for argument in self.command:
            if argument.startswith(f'--{name}='):
                return argument.partition('=')[2]
        return None

    def port(self, name):
        """The number of a container's port by its name; None: there is none."""
        for port in self.container.get('ports', []):
            if port['name'] == name:
                return port['containerPort']
        return None


class Manifests:
    """All resources of one rendering, by kind and name."""

    def __init__(self, resources):
        self.resources = resources
        self.workloads = [Workload(resource) for resource in resources if resource['kind'] in WORKLOADS]

    def of(self, kind):
        return {resource['metadata']['name']: resource for resource in self.resources if resource['kind'] == kind}

    def selected(self, selector):
        """Workloads whose pods a selector of labels chooses."""
        return [workload for workload in self.workloads if matches(selector, workload.labels)]

    def behind(self, service):
        """Workloads whose pods a Service has."""
        return self.selected({'matchLabels': service['spec'].get('selector', {})})


def matches(selector, labels):
    """Whether a label selector chooses these labels; an empty one chooses all."""
    if any(labels.get(key) != value for key, value in selector.get('matchLabels', {}).items()):
        return False
    for rule in selector.get('matchExpressions', []):
        value = labels.get(rule['key'])
        holds = {
            'In': lambda value=value, rule=rule: value in rule['values'],
            'NotIn': lambda value=value, rule=rule: value not in rule['values'],
            'Exists': lambda value=value: value is not None,
            'DoesNotExist': lambda value=value: value is None,
        }[rule['operator']]
        if not holds():
            return False
    return True


def read(path):
    """The manifests of a rendered file, and the digest of the files that it was rendered from."""
    lines = pathlib.Path(path).read_text(encoding='utf-8').splitlines()
    return Manifests([json.loads(line) for line in lines[1:]]), json.loads(lines[0])['inputs']
