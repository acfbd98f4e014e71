"""Rules of pods by themselves: what they may do, what they are given, when they are ready, and that their commands are such
that the programs understand."""

import re
import subprocess

import references
import trust

LABELS = {f'app.kubernetes.io/{label}' for label in ('name', 'component', 'part-of', 'instance')}
USER = 10001  # Of docker/Dockerfile.
DRAIN_SECONDS = 10  # What --drain-seconds is by default.


def quantity(text):
    """`250m`, `1Gi`, `2` as a number."""
    number, unit = re.fullmatch(r'([0-9.]+)([a-zA-Z]*)', str(text)).groups()
    return float(number) * {'': 1, 'm': 0.001, 'k': 1e3, 'M': 1e6, 'G': 1e9, 'Ki': 2**10, 'Mi': 2**20, 'Gi': 2**30}[unit]


def security_faults(workload):
    pod, context = workload.pod, workload.pod.get('securityContext', {})
    if pod.get('automountServiceAccountToken') is not False:
        yield 'gets a token of Kubernetes, for which it has no use'
    for field in ('hostNetwork', 'hostPID', 'hostIPC', 'shareProcessNamespace'):
        if pod.get(field):
            yield f'{field} must not be set'
    for volume in pod.get('volumes', []):
        if 'hostPath' in volume:
            yield f'mounts {volume["hostPath"]["path"]} of its node'
        if 'emptyDir' in volume and 'sizeLimit' not in volume['emptyDir']:
            yield f'emptyDir {volume["name"]} must have a sizeLimit'
    if context.get('runAsNonRoot') is not True or context.get('runAsUser') != USER or context.get('runAsGroup') != USER:
        yield f'must run as user and group {USER}, and not as root'
    if context.get('seccompProfile') != {'type': 'RuntimeDefault'}:
        yield 'seccompProfile must be RuntimeDefault'
    for container in pod['containers'] + pod.get('initContainers', []):
        own = container.get('securityContext', {})
        if own.get('privileged') or own.get('allowPrivilegeEscalation') is not False:
            yield 'allowPrivilegeEscalation must be false'
        if own.get('readOnlyRootFilesystem') is not True:
            yield 'readOnlyRootFilesystem must be true'
        if own.get('capabilities') != {'drop': ['ALL']}:
            yield 'must drop all capabilities, and add none'
        if {'runAsUser', 'runAsNonRoot', 'seccompProfile'} & set(own):
            yield 'a container must not overrule its pod'


def resource_faults(workload):
    resources = workload.container.get('resources', {})
    for name in ('cpu', 'memory'):
        request, limit = resources.get('requests', {}).get(name), resources.get('limits', {}).get(name)
        if request is None or limit is None:
            yield f'must request {name}, and have a limit of it'
        elif quantity(request) > quantity(limit):
            yield f'requests {request} of {name}, above its limit {limit}'


def gpu_faults(workload):
    gpus = workload.container.get('resources', {}).get('limits', {}).get('nvidia.com/gpu')
    device = workload.flag('device') or ''
    if (gpus is not None) != device.startswith('cuda'):
        yield f'--device={device} with a limit of {gpus} GPUs'
    if gpus is None:
        return
    if not any(toleration.get('key') == 'nvidia.com/gpu' for toleration in workload.pod.get('tolerations', [])):
        yield 'must tolerate the taint of nodes with GPUs'
    if 'nodeAffinity' not in workload.pod.get('affinity', {}):
        yield 'must ask for a node with GPUs'
    if workload.kind == 'Deployment' and workload.spec['strategy']['rollingUpdate'].get('maxSurge') != 0:
        yield 'maxSurge must be 0: a second pod finds no GPU'


def lifecycle_faults(workload):
    """Of servers: probes, ports, time to drain."""
    container = workload.container
    for flag, port in (('listen', 'grpc'), ('metrics-listen', 'metrics')):
        if workload.flag(flag) != f'0.0.0.0:{workload.port(port)}':
            yield f'--{flag}={workload.flag(flag)}: its port {port} is {workload.port(port)}'
    for probe, service in (('startupProbe', 'liveness'), ('readinessProbe', 'readiness'), ('livenessProbe', 'liveness')):
        command = ['backfire', 'healthcheck', f'localhost:{workload.port("grpc")}', f'--service={service}', '--timeout=60']
        if {key: value for key, value in container.get(probe, {}).items() if key in ('grpc', 'exec')} != (
                {'exec': {'command': command}} if trust.has_tls(workload) else {'grpc': {'port': workload.port('grpc'), 'service': service}}):
            yield f'{probe} must ask the port grpc for `{service}`, with TLS by a command: got {container.get(probe)}'
    slept = container.get('lifecycle', {}).get('preStop', {}).get('sleep', {}).get('seconds', 0)
    drained = slept + float(workload.flag('drain-seconds') or DRAIN_SECONDS)
    if workload.pod.get('terminationGracePeriodSeconds', 30) < drained + 5:
        yield f'is killed before it has drained, which takes {drained:g} s'
    if slept and workload.flag('max-connection-seconds') and slept < 1.1 * float(workload.flag('max-connection-seconds')) + 1:
        yield f'ends while clients have connections: preStop of {slept} s, --max-connection-seconds={workload.flag("max-connection-seconds")}'
    directory = workload.flag('data-dir')
    mounts = {mount['mountPath']: mount for mount in container.get('volumeMounts', [])}
    if directory and (directory not in mounts or mounts[directory].get('readOnly')):
        yield f'--data-dir={directory}: there is no volume to write to'
    if workload.kind == 'StatefulSet' and mounts.get(directory, {}).get('name') not in [
            claim['metadata']['name'] for claim in workload.spec.get('volumeClaimTemplates', [])]:
        yield f'--data-dir={directory}: must be on a claim, which outlives the pod'


def words_of(workload, manifests):
    """The command's words; of `bash -c '... exec COMMAND "${arguments[@]}"'` those of COMMAND and of the ConfigMap's file."""
    command = workload.command
    if command[:2] != ['bash', '-c']:
        return command
    words = [word for word in command[2].partition('exec ')[2].split() if not word.startswith('"$')]
    for kind, name, _ in references.referenced(workload.pod):
        if kind == 'ConfigMap':
            words += manifests.of(kind).get(name, {'data': {}})['data'].get('arguments', '').splitlines()
    return words


def command_faults(workload, manifests, programs):
    words = words_of(workload, manifests)
    names = [word for word in words if re.fullmatch('[a-z][a-z-]*', word)]
    known = programs.flags(names)
    if known is None:
        yield f'there is no command `{" ".join(names)}`'
        return
    for word in words:
        if word.startswith('--') and word.partition('=')[0] not in known:
            yield f'`{" ".join(names)}` has no flag {word.partition("=")[0]}'
        if word.startswith('/') and not any(word.startswith(mount['mountPath'] + '/')
                                            for mount in workload.container.get('volumeMounts', [])):
            yield f'{word} is on no volume'
    for flag in known:
        if known[flag] and flag not in [word.partition('=')[0] for word in words]:
            yield f'`{" ".join(names)}` needs {flag}'


def image_faults(workload, programs, registry):
    image = workload.container['image']
    name, digest, tag = re.fullmatch(r'([^@:]+(?::\d+/[^@:]+)?)(@sha256:[0-9a-f]{64})?(?::([\w.-]+))?', image).groups()
    if not name.startswith(f'{registry}/'):
        yield f'image {image}: must come from {registry}'
    short = name.rpartition('/')[2]
    if short not in programs.images:
        yield f'image {image}: there is no image {short}'
    elif workload.command[0] not in programs.images[short] | {'bash'}:
        yield f'image {image} has no program {workload.command[0]}'
    if not digest and tag != programs.version:
        yield f'image {image}: must be named by digest, or by the version {programs.version}'


class Programs:
    """What the build folder's programs understand, and which image has them."""

    def __init__(self, bin_folder, root):
        self.bin = bin_folder
        self.not_built = set()
        self._flags = {}
        stage = (root / 'docker/stage.sh').read_text(encoding='utf-8')
        control, models = (set(re.search(rf'^readonly {name}=\((.*)\)', stage, re.MULTILINE)[1].split())
                           for name in ('control', 'models'))
        self.images = {'backfire': control, 'backfire-models': control | models, 'backfire-models-cuda': control | models}
        self.version = re.search(r'^project\(backfire VERSION ([\d.]+)', (root / 'CMakeLists.txt').read_text(encoding='utf-8'),
                                 re.MULTILINE)[1]

    def flags(self, names):
        """Flag -> whether it is required, of the command of these words; None: there is no such command."""
        key = tuple(names)
        if key not in self._flags:
            program = self.bin / names[0]
            if not program.exists():
                self.not_built.add(names[0])
                return AnyFlag()
            told = subprocess.run([program, *names[1:], '--help'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  timeout=60, check=False)
            known = not told.returncode and re.search(rf'^Usage: {" ".join(names)} ', told.stdout, re.MULTILINE)
            self._flags[key] = None if not known else {
                flag: 'REQUIRED' in rest for flag, rest in re.findall(r'^ +(?:-\w,)?(--[\w-]+)(.*)$', told.stdout, re.MULTILINE)}
        return self._flags[key]


class AnyFlag(dict):
    """The flags of a program that is not there to be asked."""

    def __contains__(self, flag):
        return True


def faults(manifests, programs, registry):
    for workload in manifests.workloads:
        rules = [security_faults(workload), resource_faults(workload), gpu_faults(workload),
                 command_faults(workload, manifests, programs), image_faults(workload, programs, registry)]
        if workload.kind != 'Job':
            rules.append(lifecycle_faults(workload))
        for rule in rules:
            for fault in rule:
                yield f'{workload}: {fault}'
        missing = LABELS - set(workload.labels)
        if workload.component == 'cli':  # It may be of any system.
            missing -= {'app.kubernetes.io/instance'}
        if missing:
            yield f'{workload}: its pods have no label {sorted(missing)}'
    for name, account in manifests.of('ServiceAccount').items():
        if account.get('automountServiceAccountToken') is not False:
            yield f'ServiceAccount {name}: automountServiceAccountToken must be false'
    for name, namespace in manifests.of('Namespace').items():
        if namespace['metadata']['labels'].get('pod-security.kubernetes.io/enforce') != 'restricted':
            yield f'Namespace {name}: must enforce the pod security standard `restricted`'
