"""Who may reach whom, by the NetworkPolicies, compared with what the system and ARCHITECTURE.md make of it."""

from manifests import matches

GRPC, METRICS = 7000, 8000
# What may come from outside the namespace, or go there: policy -> (labels of the other namespace, ports).
OUTSIDE = {
    'names': ({'kubernetes.io/metadata.name': 'kube-system'}, {53}),
    'gateway': ({'backfire/clients': 'true'}, {GRPC}),
    'metrics': ({'kubernetes.io/metadata.name': 'monitoring'}, {METRICS}),
}


def peer_allows(peer, labels):
    """Whether a policy's peer is a pod of this namespace with these labels."""
    if 'namespaceSelector' in peer or 'ipBlock' in peer:
        return False
    return matches(peer['podSelector'], labels)


def allows(manifests, direction, pods, others, port):
    """Whether policies give pods leave to talk to (`Egress`) or be called by (`Ingress`) others."""
    rules, key = direction.lower(), {'Ingress': 'from', 'Egress': 'to'}[direction]
    restricted = False
    for policy in manifests.of('NetworkPolicy').values():
        spec = policy['spec']
        if direction not in spec['policyTypes'] or not matches(spec['podSelector'], pods):
            continue
        restricted = True
        for rule in spec.get(rules, []):
            ports = [one['port'] for one in rule.get('ports', [])]
            if (not ports or port in ports) and (not rule.get(key) or any(peer_allows(peer, others) for peer in rule[key])):
                return True
    return not restricted


def allowed_edges(manifests):
    return {(source.name, target.name, port)
            for source in manifests.workloads for target in manifests.workloads for port in (GRPC, METRICS)
            if source is not target and allows(manifests, 'Egress', source.labels, target.labels, port)
            and allows(manifests, 'Ingress', target.labels, source.labels, port)}


def workload_at(manifests, endpoint):
    """The name of the workload behind `NAME:PORT` or `dns:NAME:PORT`; None: there is none."""
    service = manifests.of('Service').get(endpoint.rpartition(':')[0].removeprefix('dns:').lstrip('/'))
    behind = manifests.behind(service) if service else []
    return behind[0].name if len(behind) == 1 else None


def needed_edges(manifests, system):
    """Control plane to all models, gateway likewise, command line to both; a vertex to its parents, a replica to its
    primary."""
    edges = {('gateway', 'orchestrator')}
    for workload in manifests.workloads:
        if workload.component == 'cli':
            edges |= {(workload.name, 'orchestrator'), (workload.name, 'gateway')}
    primaries = {vertex['name']: workload_at(manifests, vertex['endpoint']) for vertex in system['vertices']}
    for vertex in system['vertices']:
        primary = primaries[vertex['name']]
        replicas = [workload_at(manifests, replica) for replica in vertex.get('replicas', [])]
        for served in [primary, *replicas]:
            edges |= {('orchestrator', served), ('gateway', served)}
        edges |= {(replica, primary) for replica in replicas}
        for source in vertex['inputs'].values():
            parent = primaries.get(source.partition('.')[0])
            if parent not in (None, primary):
                edges.add((primary, parent))
    return {(*edge, GRPC) for edge in edges}


def faults(manifests, system):
    needed, allowed = needed_edges(manifests, system), allowed_edges(manifests)
    for source, target, port in sorted(needed - allowed, key=str):
        yield f'NetworkPolicy: {source} must reach {target}:{port}, and no pair of policies lets it'
    for source, target, port in sorted(allowed - needed, key=str):
        yield f'NetworkPolicy: {source} can reach {target}:{port}, and has nothing to do there'
    for workload in manifests.workloads:
        for direction in ('Ingress', 'Egress'):
            if not any(direction in policy['spec']['policyTypes'] and matches(policy['spec']['podSelector'], workload.labels)
                       for policy in manifests.of('NetworkPolicy').values()):
                yield f'{workload}: no NetworkPolicy restricts {direction}, so all is allowed'
    for name, policy in manifests.of('NetworkPolicy').items():
        for direction, key in (('ingress', 'from'), ('egress', 'to')):
            for rule in policy['spec'].get(direction, []):
                ports = {port['port'] for port in rule.get('ports', [])}
                for peer in rule.get(key, []):
                    outside = peer.get('namespaceSelector', {}).get('matchLabels')
                    if 'ipBlock' in peer or ('namespaceSelector' in peer and OUTSIDE.get(name) != (outside, ports)):
                        yield f'NetworkPolicy {name}: opens more of the namespace than it should: {peer}'
                if not rule.get(key):
                    yield f'NetworkPolicy {name}: a rule of {direction} without peers allows all'
