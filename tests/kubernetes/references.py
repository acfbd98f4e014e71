"""Rules of what manifests say of each other: names that must exist, selectors that must choose, ports that must agree."""

import trust
from manifests import matches


def referenced(pod):
    """(kind, name, optional) of what a pod's volumes and environment need."""
    for volume in pod.get('volumes', []):
        for field, kind, key in (('configMap', 'ConfigMap', 'name'), ('secret', 'Secret', 'secretName'),
                                 ('persistentVolumeClaim', 'PersistentVolumeClaim', 'claimName')):
            if field in volume:
                yield kind, volume[field][key], volume[field].get('optional', False)
    for container in pod['containers'] + pod.get('initContainers', []):
        for source in container.get('envFrom', []):
            for field, kind in (('configMapRef', 'ConfigMap'), ('secretRef', 'Secret')):
                if field in source:
                    yield kind, source[field]['name'], source[field].get('optional', False)
        for variable in container.get('env', []):
            for field, kind in (('configMapKeyRef', 'ConfigMap'), ('secretKeyRef', 'Secret')):
                if field in variable.get('valueFrom', {}):
                    source = variable['valueFrom'][field]
                    yield kind, source['name'], source.get('optional', False)
    for secret in pod.get('imagePullSecrets', []):
        yield 'Secret', secret['name'], False


def pod_faults(manifests, workload):
    pod = workload.pod
    for kind, name, optional in referenced(pod):
        if name not in manifests.of(kind) and not optional and not (kind == 'Secret' and trust.makes(manifests, name)):
            yield f'there is no {kind} {name}'
    account = manifests.of('ServiceAccount').get(pod.get('serviceAccountName', 'default'))
    if account is None:
        yield f'there is no ServiceAccount {pod.get("serviceAccountName", "default")}'
    claims = [claim['metadata']['name'] for claim in workload.spec.get('volumeClaimTemplates', [])]
    volumes = [volume['name'] for volume in pod.get('volumes', [])] + claims
    if len(set(volumes)) != len(volumes):
        yield f'a volume twice: {volumes}'
    for container in pod['containers']:
        mounts = container.get('volumeMounts', [])
        for mount in mounts:
            if mount['name'] not in volumes:
                yield f'mounts {mount["name"]}: there is no such volume'
        paths = [mount['mountPath'] for mount in mounts]
        if len(set(paths)) != len(paths):
            yield f'mounts a path twice: {paths}'
    for spread in pod.get('topologySpreadConstraints', []):
        if not matches(spread['labelSelector'], workload.labels):
            yield 'spreads over other pods than its own'


def workload_faults(manifests, workload):
    yield from pod_faults(manifests, workload)
    if workload.kind == 'Job':
        if workload.name not in manifests.of('ConfigMap'):
            yield 'its name must be that of a ConfigMap, so that it runs anew with what it reads'
        return
    selector = workload.spec['selector']
    chosen = [other.name for other in manifests.selected(selector)]
    if chosen != [workload.name]:
        yield f'its selector must choose its own pods alone: it chooses {chosen}'
    if workload.kind == 'StatefulSet':
        service = manifests.of('Service').get(workload.spec['serviceName'])
        if service is None or workload not in manifests.behind(service):
            yield f'serviceName {workload.spec["serviceName"]}: must be a Service of its pods'
    scalers = [scaler for scaler in manifests.of('HorizontalPodAutoscaler').values()
               if scaler['spec']['scaleTargetRef']['name'] == workload.name]
    if workload.kind == 'Deployment' and (len(scalers) != 1 or 'replicas' in workload.spec):
        yield 'must have an autoscaler, which alone says how many there are'


def service_faults(manifests, service):
    behind = manifests.behind(service)
    if not behind:
        yield 'chooses no pods'
    for workload in behind:
        for port in service['spec']['ports']:
            if workload.port(port['targetPort']) is None:
                yield f'targetPort {port["targetPort"]}: {workload} has no such port'
            elif workload.port(port['targetPort']) != port['port']:
                yield f'port {port["port"]}: must be that of the pods, whose addresses clients get: {workload.port(port["targetPort"])}'


def fewest(manifests, workload):
    """Pods of a workload that there are when nothing is asked for."""
    for scaler in manifests.of('HorizontalPodAutoscaler').values():
        if scaler['spec']['scaleTargetRef'] == {'apiVersion': 'apps/v1', 'kind': workload.kind, 'name': workload.name}:
            return scaler['spec']['minReplicas']
    return workload.spec.get('replicas', 1)


def budget_faults(manifests, budget):
    chosen = manifests.selected(budget['spec']['selector'])
    pods = sum(fewest(manifests, workload) for workload in chosen)
    if budget['spec']['minAvailable'] >= pods:
        yield f'keeps {budget["spec"]["minAvailable"]} of {pods} pods: no node that has one could be drained'


def scaler_faults(manifests, scaler):
    target = scaler['spec']['scaleTargetRef']
    if target['name'] not in manifests.of(target['kind']):
        yield f'there is no {target["kind"]} {target["name"]}'
    if scaler['spec']['minReplicas'] > scaler['spec']['maxReplicas']:
        yield 'minReplicas is above maxReplicas'


def endpoint_faults(manifests, endpoint):
    """Of `NAME:PORT`, as a flag or a system file has it."""
    name, _, port = endpoint.rpartition(':')
    every_pod = name.startswith('dns:')
    service = manifests.of('Service').get(name.removeprefix('dns:').lstrip('/'))
    if service is None:
        yield f'{endpoint}: there is no such Service'
        return
    if int(port) not in [one['port'] for one in service['spec']['ports']]:
        yield f'{endpoint}: the Service has no such port'
    if not every_pod and service['spec'].get('clusterIP') == 'None':
        yield f'{endpoint}: its Service must not be headless: the name ends with its pod, and gRPC asks for it less and less often'
    if every_pod and (service['spec'].get('clusterIP') != 'None' or not service['spec'].get('publishNotReadyAddresses')):
        yield f'{endpoint}: its Service must be headless, and name pods that are not ready: they get ready by what they are told'


def faults(manifests, system):
    """Every fault, a line each. `system`: the system file as its message in JSON."""
    rules = [('Service', service_faults), ('PodDisruptionBudget', budget_faults), ('HorizontalPodAutoscaler', scaler_faults)]
    for workload in manifests.workloads:
        for fault in workload_faults(manifests, workload):
            yield f'{workload}: {fault}'
    for kind, rule in rules:
        for name, resource in manifests.of(kind).items():
            for fault in rule(manifests, resource):
                yield f'{kind} {name}: {fault}'
    namespaces = set(manifests.of('Namespace'))
    for resource in manifests.resources:
        namespace = resource['metadata'].get('namespace')
        if resource['kind'] != 'Namespace' and namespace not in namespaces | {'monitoring'}:
            yield f'{resource["kind"]} {resource["metadata"]["name"]}: its namespace {namespace} is none of {sorted(namespaces)}'
    for workload in manifests.workloads:
        for flag in ('orchestrator', 'replica-of'):
            if workload.flag(flag):
                for fault in endpoint_faults(manifests, workload.flag(flag)):
                    yield f'{workload}: --{flag}: {fault}'
    for vertex in system['vertices']:
        for endpoint in [vertex['endpoint'], *vertex.get('replicas', [])]:
            for fault in endpoint_faults(manifests, endpoint):
                yield f'vertex {vertex["name"]}: {fault}'
