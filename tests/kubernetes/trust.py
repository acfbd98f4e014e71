"""Rules of who processes are to each other: TLS with a certificate of its own for each, or none for all of them."""

PATH = '/run/backfire/tls'
FILES = {'BACKFIRE_TLS_CERTIFICATE': f'{PATH}/tls.crt', 'BACKFIRE_TLS_KEY': f'{PATH}/tls.key', 'BACKFIRE_TLS_CA': f'{PATH}/ca.crt'}
ROLES = {'orchestrator': 'orchestrator', 'gateway': 'gateway', 'primary': 'model', 'replica': 'model'}
ROLES_OF_JOBS = {'apply-system': 'operator', 'propose': 'gate'}


def environment(workload):
    return {one['name']: one.get('value') for one in workload.container.get('env', [])}


def has_tls(workload):
    return 'BACKFIRE_TLS_CERTIFICATE' in environment(workload)


def name_of(workload):
    return workload.labels.get('app.kubernetes.io/name', '')


def certificates(manifests):
    """Of cert-manager, by the Secrets that they become."""
    return {one['spec']['secretName']: one['spec'] for one in manifests.of('Certificate').values()}


def makes(manifests, secret):
    """Whether a Secret that no manifest has will be there: by cert-manager, or where there is none by secrets.sh."""
    made = certificates(manifests)
    return secret in made if made else secret in {f'{name_of(one)}-tls' for one in manifests.workloads if has_tls(one)}


def callers_names(manifests, workload, system):
    """By which the others call it: names of flags and of the system, and of Services that outsiders are told of."""
    targets = [one.flag(flag) for one in manifests.workloads for flag in ('orchestrator', 'replica-of') if one.flag(flag)]
    targets += [endpoint for vertex in system['vertices'] for endpoint in [vertex['endpoint'], *vertex.get('replicas', [])]]
    targets += ['gateway:7000', 'gateway-pods:7000', 'gateway.backfire:7000', 'gateway-pods.backfire:7000']
    for target in targets:
        name = target.rpartition(':')[0].removeprefix('dns:').lstrip('/')
        service = manifests.of('Service').get(name.partition('.')[0])
        if service and workload in manifests.behind(service):
            yield name


def certificate_faults(manifests, workload, system, spec):
    name = name_of(workload)
    role = ROLES.get(workload.component) or ROLES_OF_JOBS.get(name)
    if spec.get('uris') != [f'spiffe://backfire/{role}/{name}']:
        yield f'its certificate must say that it is {role}/{name}: {spec.get("uris")}'
    missing = {*callers_names(manifests, workload, system), 'localhost'} - set(spec.get('dnsNames', []))
    if missing:
        yield f'its certificate lacks names by which it is called: {sorted(missing)}'
    issuer = manifests.of('Issuer').get(spec.get('issuerRef', {}).get('name'))
    if issuer is None or 'ca' not in issuer['spec']:
        yield f'its certificate must be of the namespace\'s authority: {spec.get("issuerRef")}'
    if not {'server auth', 'client auth'} <= set(spec.get('usages', [])):
        yield 'its certificate must do for both sides'


def workload_faults(manifests, workload, system):
    variables = environment(workload)
    if not has_tls(workload):
        if workload.kind != 'Job' and variables != {'BACKFIRE_ALLOW_INSECURE': '1'}:
            yield f'listens neither by TLS nor in the open, so it does not start: {variables}'
        return
    if variables != FILES:
        yield f'must have the files of its certificate, and nothing beside: {variables}'
    secrets = {volume['name']: volume['secret'] for volume in workload.pod.get('volumes', []) if 'secret' in volume}
    mounts = [mount for mount in workload.container['volumeMounts'] if mount['name'] in secrets]
    # By a path within it Kubernetes would never renew the files.
    if [(mount['mountPath'], mount.get('subPath')) for mount in mounts] != [(PATH, None)]:
        yield f'must mount its Secret, and no other, at {PATH}: {mounts}'
        return
    secret = secrets[mounts[0]['name']]['secretName']
    if secret != f'{name_of(workload)}-tls':
        yield f'mounts the certificate of somebody else: {secret}'
    elif secret in certificates(manifests):
        yield from certificate_faults(manifests, workload, system, certificates(manifests)[secret])


def faults(manifests, system):
    for workload in manifests.workloads:
        for fault in workload_faults(manifests, workload, system):
            yield f'{workload}: {fault}'
    kinds = {has_tls(workload) for workload in manifests.workloads}
    if len(kinds) > 1:
        yield f'some have TLS, and some have not: {sorted(one.name for one in manifests.workloads if not has_tls(one))}'
    for name, service in manifests.of('Service').items():
        for port in service['spec']['ports']:
            if port['name'] == 'grpc' and port.get('appProtocol') != ('https' if True in kinds else 'kubernetes.io/h2c'):
                yield f'Service {name}: appProtocol {port.get("appProtocol")} is not what is spoken'
