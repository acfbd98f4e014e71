"""Ways to break manifests, each with words of the fault that a check must find."""


def workload(manifests, name):
    return next(one for one in manifests.workloads if one.name == name)


def container(manifests, name):
    return workload(manifests, name).container


def policy(manifests, name):
    return manifests.of('NetworkPolicy')[name]['spec']


def drop(manifests, kind, name):
    manifests.resources = [one for one in manifests.resources if (one['kind'], one['metadata']['name']) != (kind, name)]


def set_flag(manifests, name, flag, value):
    command = container(manifests, name)['command']
    command[next(i for i, word in enumerate(command) if word.startswith(f'--{flag}='))] = f'--{flag}={value}'


def change_system(manifests, old, new):
    data = next(one['data'] for one in manifests.of('ConfigMap').values() if 'system.yaml' in one['data'])
    assert old in data['system.yaml'], f'the system file has no "{old}"'
    data['system.yaml'] = data['system.yaml'].replace(old, new)


# Name -> (what is broken, how, words of the fault).
BREAKAGES = {
    # Names, labels, ports.
    'a Service that chooses nothing': (
        'cpu', lambda m: m.of('Service')['gateway']['spec']['selector'].update({'app.kubernetes.io/name': 'gate'}), 'Service gateway: chooses no pods'),
    'a targetPort that no pod has': (
        'cpu', lambda m: m.of('Service')['gateway']['spec']['ports'][0].update(targetPort='http'), 'targetPort http'),
    'a headless port that is not the pods\'': (
        'cpu', lambda m: m.of('Service')['gateway-pods']['spec']['ports'][0].update(port=7001), 'port 7001: must be that of the pods'),
    'a selector of two workloads\' pods': (
        'cpu', lambda m: workload(m, 'car-replicas').spec['selector']['matchLabels'].pop('app.kubernetes.io/name'), 'must choose its own pods alone'),
    'a ConfigMap that is not there': ('planar', lambda m: [
        volume['configMap'].update(name='systems') for volume in workload(m, 'planar-primary').pod['volumes'] if 'configMap' in volume],
        'there is no ConfigMap systems'),
    'a Secret that is not there': (
        'cpu', lambda m: workload(m, 'gateway').pod.update(imagePullSecrets=[{'name': 'registry'}]), 'there is no Secret registry'),
    'a claim that is not there': ('cpu', lambda m: workload(m, 'gateway').pod['volumes'].append(
        {'name': 'kitti', 'persistentVolumeClaim': {'claimName': 'kitti'}}), 'there is no PersistentVolumeClaim kitti'),
    'a volume that is not there': (
        'cpu', lambda m: container(m, 'gateway')['volumeMounts'].append({'name': 'kitti', 'mountPath': '/kitti'}), 'mounts kitti'),
    'a ServiceAccount that is not there': ('cpu', lambda m: drop(m, 'ServiceAccount', 'backfire'), 'there is no ServiceAccount backfire'),
    'a StatefulSet without its Service': (
        'cpu', lambda m: workload(m, 'orchestrator').spec.update(serviceName='gateway'), 'must be a Service of its pods'),
    'an autoscaler of nothing': ('cpu', lambda m: m.of('HorizontalPodAutoscaler')['gateway']['spec']['scaleTargetRef'].update(
        name='gateways'), 'there is no Deployment gateways'),
    'replicas that each apply sets anew': ('cpu', lambda m: workload(m, 'gateway').spec.update(replicas=2), 'must have an autoscaler'),
    'a budget that lets nothing be drained': (
        'cpu', lambda m: m.of('PodDisruptionBudget')['gateway']['spec'].update(minAvailable=2), 'no node that has one could be drained'),
    'a Job that would not run anew': (
        'cpu', lambda m: next(one for one in m.workloads if one.kind == 'Job').resource['metadata'].update(name='system'), 'must be that of a ConfigMap'),
    'a primary of another name': ('cpu', lambda m: set_flag(m, 'car-replicas', 'replica-of', 'cars-primary:7000'), 'there is no such Service'),
    'a port that a Service has not': ('cpu', lambda m: set_flag(m, 'gateway', 'orchestrator', 'orchestrator:7010'), 'the Service has no such port'),
    'replicas that are hidden until they are ready': (
        'cpu', lambda m: m.of('Service')['car-replicas']['spec'].pop('publishNotReadyAddresses'), 'name pods that are not ready'),
    'a primary whose name ends with its pod': (
        'cpu', lambda m: m.of('Service')['car-primary']['spec'].update(clusterIP='None'), 'must not be headless'),
    'another namespace': ('cpu', lambda m: m.of('Service')['gateway']['metadata'].update(namespace='default'), 'its namespace default'),
    # Edges.
    'no policy for parents': ('cpu', lambda m: drop(m, 'NetworkPolicy', 'disparity-is-read'), 'pointcloud-primary must reach disparity-primary:7000'),
    'an edge that the system has not': (
        'cpu', lambda m: policy(m, 'detectors-read')['podSelector']['matchExpressions'][0]['values'].append('disparity'),
        'car-primary can reach disparity-primary:7000'),
    'an edge that the system got': ('cpu', lambda m: change_system(m, '{left: request.left}', '{left: request.left, disparity: disparity.disparity}'),
                                    'proposals-primary must reach disparity-primary:7000'),
    'no default': ('cpu', lambda m: drop(m, 'NetworkPolicy', 'nothing-else'), 'no NetworkPolicy restricts Ingress'),
    'a gateway for everybody': (
        'cpu', lambda m: policy(m, 'gateway')['ingress'][0]['from'].append({'namespaceSelector': {}}), 'opens more of the namespace'),
    'replicas that copy from others': ('cpu', lambda m: policy(m, 'car-copies')['ingress'][0]['from'][0]['podSelector']['matchLabels'].pop(
        'app.kubernetes.io/name') and policy(m, 'pedestrian-copying')['egress'][0]['to'][0]['podSelector']['matchLabels'].pop(
            'app.kubernetes.io/name'), 'pedestrian-replicas can reach car-primary:7000'),
    # Pods' rights.
    'root': ('cpu', lambda m: workload(m, 'gateway').pod['securityContext'].update(runAsUser=0), 'not as root'),
    'a token': ('cpu', lambda m: workload(m, 'gateway').pod.pop('automountServiceAccountToken'), 'gets a token'),
    'a root file system to write to': (
        'cpu', lambda m: container(m, 'gateway')['securityContext'].update(readOnlyRootFilesystem=False), 'readOnlyRootFilesystem'),
    'capabilities': ('cpu', lambda m: container(m, 'gateway')['securityContext'].update(
        capabilities={'drop': ['ALL'], 'add': ['NET_RAW']}), 'must drop all capabilities'),
    'no seccomp': ('cpu', lambda m: workload(m, 'gateway').pod['securityContext'].pop('seccompProfile'), 'seccompProfile'),
    'a folder of the node': ('cpu', lambda m: workload(m, 'gateway').pod['volumes'].append(
        {'name': 'host', 'hostPath': {'path': '/'}}), 'of its node'),
    'no limit': ('cpu', lambda m: container(m, 'gateway')['resources']['limits'].pop('memory'), 'must request memory'),
    'an open namespace': ('cpu', lambda m: m.of('Namespace')['backfire']['metadata']['labels'].clear(), 'must enforce the pod security standard'),
    # Life, commands, images.
    'a probe of another port': ('cpu', lambda m: container(m, 'gateway')['readinessProbe']['grpc'].update(port=8000), 'readinessProbe must ask'),
    'a liveness that waits for a release': (
        'cpu', lambda m: container(m, 'gateway')['livenessProbe']['grpc'].pop('service'), 'livenessProbe must ask'),
    'a program that listens elsewhere': ('cpu', lambda m: set_flag(m, 'gateway', 'listen', '0.0.0.0:7010'), '--listen=0.0.0.0:7010'),
    'a program that only its pod reaches': ('cpu', lambda m: set_flag(m, 'gateway', 'listen', 'localhost:7000'), '--listen=localhost:7000'),
    'too little time to drain': ('cpu', lambda m: workload(m, 'gateway').pod.update(terminationGracePeriodSeconds=15), 'is killed before it has drained'),
    'connections that outlast preStop': ('cpu', lambda m: set_flag(m, 'gateway', 'max-connection-seconds', '60'), 'ends while clients have connections'),
    'versions in the container': ('cpu', lambda m: set_flag(m, 'car-primary', 'data-dir', '/data'), 'no volume to write to'),
    'versions that go with the pod': ('cpu', lambda m: set_flag(m, 'car-primary', 'data-dir', '/tmp'), 'must be on a claim'),
    'a flag that the program has not': ('cpu', lambda m: container(m, 'gateway')['command'].append('--replicas=3'), 'has no flag --replicas'),
    'a flag that the program needs': ('planar', lambda m: container(m, 'planar-primary')['command'].pop(), 'needs --system'),
    'a command that there is not': ('cpu', lambda m: container(m, next(
        one.name for one in m.workloads if one.kind == 'Job'))['command'].insert(2, 'put'), 'there is no command'),
    'a file that is not mounted': ('cpu', lambda m: container(m, next(
        one.name for one in m.workloads if one.kind == 'Job'))['volumeMounts'][0].update(mountPath='/system'), 'is on no volume'),
    'a proposal with a wrong flag': ('cpu, propose', lambda m: next(one['data'] for name, one in m.of('ConfigMap').items() if name.startswith(
        'proposal')).update(arguments='--vertex=car\n--recipies=x\n'), 'has no flag --recipies'),
    'a program of another image': (
        'planar', lambda m: container(m, 'planar-primary')['command'].__setitem__(0, 'car-service'), 'has no program car-service'),
    'an image from elsewhere': ('cpu', lambda m: container(m, 'gateway').update(image='docker.io/backfire:0.1.0'), 'must come from'),
    'an image that may be another tomorrow': ('cpu', lambda m: container(m, 'gateway').update(
        image=container(m, 'gateway')['image'].rpartition(':')[0] + ':latest'), 'must be named by digest'),
    # Trust.
    'a process that listens in the open': ('cpu-tls', lambda m: container(m, 'gateway').update(
        env=[{'name': 'BACKFIRE_ALLOW_INSECURE', 'value': '1'}]), 'some have TLS, and some have not'),
    'TLS that can be done without': ('cpu-tls', lambda m: container(m, 'gateway')['env'].append(
        {'name': 'BACKFIRE_ALLOW_INSECURE', 'value': '1'}), 'and nothing beside'),
    'neither TLS nor leave to do without': ('cpu', lambda m: container(m, 'gateway').pop('env'), 'does not start'),
    'a probe that speaks no TLS': ('cpu-tls', lambda m: container(m, 'gateway').update(
        readinessProbe={'grpc': {'port': 7000, 'service': 'readiness'}}), 'readinessProbe must ask'),
    'the certificate of somebody else': ('planar-tls, propose-tls', lambda m: workload(m, 'planar-primary').pod['volumes'][0]['secret'].update(
        secretName='orchestrator-tls'), 'the certificate of somebody else'),
    'files that are never renewed': ('cpu-tls', lambda m: next(one for one in container(m, 'gateway')['volumeMounts'] if one['name'] == 'tls').update(
        subPath='x'), 'must mount its Secret'),
    'a certificate that nobody makes': ('cpu-tls', lambda m: drop(m, 'Certificate', 'car'), 'there is no Secret car-tls'),
    'a certificate of another role': ('cpu-tls', lambda m: m.of('Certificate')['car']['spec'].update(
        uris=['spiffe://backfire/orchestrator/car']), 'must say that it is model/car'),
    'a certificate without the name of replicas': ('cpu-tls', lambda m: m.of('Certificate')['car']['spec']['dnsNames'].remove(
        'car-replicas'), "['car-replicas']"),
    'a certificate that signed itself': ('cpu-tls', lambda m: m.of('Certificate')['car']['spec']['issuerRef'].update(
        name='self-signed'), 'of the namespace\'s authority'),
    'a proxy that expects plain text': ('cpu-tls', lambda m: m.of('Service')['gateway']['spec']['ports'][0].update(
        appProtocol='kubernetes.io/h2c'), 'is not what is spoken'),
    # GPUs.
    'a surge of GPUs': ('gpu', lambda m: workload(m, 'car-replicas').spec['strategy']['rollingUpdate'].update(maxSurge=1), 'maxSurge must be 0'),
    'a GPU that is not used': ('gpu', lambda m: container(m, 'car-primary')['command'].remove('--device=cuda:0'), 'GPUs'),
    'a node without GPUs': ('gpu', lambda m: workload(m, 'car-primary').pod.pop('affinity'), 'must ask for a node'),
    # The system.
    'a faulty system': ('cpu', lambda m: change_system(m, 'pointcloud.points', 'clouds.points'), 'there is no vertex'),
    'an endpoint that there is not': ('cpu', lambda m: change_system(m, 'endpoint: car-primary:7000', 'endpoint: car:7000'), 'car:7000: there is no such Service'),
}
