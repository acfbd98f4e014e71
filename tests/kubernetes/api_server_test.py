#!/usr/bin/env python3
"""Every overlay applied to a real API server, and the planar one run to a verdict with its controllers' pods: rolled out, evicted and
killed under load, deleted and restored. The pods' node is a stand-in (kubelet.py). `./dev kubernetes test` builds the control plane.
Arguments: the control plane's program, the build's programs, the project's root, custom resources' definitions. Exits 77 where this
machine gives no namespaces, or lacks `ip` or Python's gRPC."""

import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import time

import cluster_test
import control_plane
import kubelet
import stand_in

NAMESPACE = 'backfire'


class Cluster:
    """A control plane and its node, with the overlays' own folder."""

    def __init__(self, program, programs, root, definitions, folder):
        self.node = kubelet.Kubelet(NAMESPACE, programs, folder)
        self.root, self.programs, self.folder, self.definitions = root, programs, folder, definitions
        self.plane = control_plane.ControlPlane(program, folder / 'control-plane', '10.77.0.1')
        self.kubectl = self.plane.kubectl
        if definitions:
            # What a cluster with Prometheus' operator and cert-manager has.
            self.kubectl('create', 'namespace', 'monitoring')
            self.kubectl('apply', '--server-side', '-f', str(definitions))
        self.node.join(self.plane)

    def apply(self, path, *more):
        """As users do: client-side, and refused by the server if a field is unknown or twice there."""
        return self.kubectl('apply', '--validate=strict', '-k', str(path), *more)

    def delete_namespace(self):
        self.kubectl('delete', 'namespace', NAMESPACE, '--timeout=120s')
        # Volumes are retained, as the claims say.
        self.kubectl('delete', 'persistentvolumes', '--all', '--timeout=60s')

    def pods(self, name):
        """Pods of the API whose name begins so, that aren't to end."""
        items = self.plane.ask('GET', f'/api/v1/namespaces/{NAMESPACE}/pods')['items']
        return [one for one in items if one['metadata']['name'].startswith(name) and 'deletionTimestamp' not in one['metadata']]

    def generations(self):
        """What the API server counts changes of specifications by. kubectl itself says `configured` wherever it left out a default."""
        text = self.kubectl('get', '-n', NAMESPACE, 'deployments,statefulsets,jobs,poddisruptionbudgets,networkpolicies', '-o', 'json')
        return {(one['kind'], one['metadata']['name']): one['metadata']['generation'] for one in json.loads(text)['items']}

    def evict(self, name):
        """The HTTP code of an eviction."""
        try:
            self.plane.ask('POST', f'/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction',
                           {'apiVersion': 'policy/v1', 'kind': 'Eviction', 'metadata': {'name': name, 'namespace': NAMESPACE}})
            return 201
        except control_plane.ApiError as error:
            return error.code

    def job(self, resources, condition):
        """Waits for a Job's end; its last pod's log."""
        name = next(line.split('/')[1].split(' ')[0] for line in resources.splitlines() if line.startswith('job.batch/'))
        self.kubectl('wait', '-n', NAMESPACE, f'--for=condition={condition}', f'job/{name}', '--timeout=120s')
        pods = [pod for key, pod in self.node.pods.items() if key.startswith(name)]
        return pods[-1].text() if pods else ''

    def make_secrets(self, folder, *more):
        """secrets.sh, as users call it."""
        kubectl = f'{self.plane.program} kubectl --kubeconfig={self.plane.folder}/kubeconfig'
        subprocess.run([self.root / 'deploy/kubernetes/secrets.sh', folder, *more, 'planar'], check=True, stdout=subprocess.DEVNULL,
                       env=os.environ | {'KUBECTL': kubectl})

    def wait_for_rollouts(self):
        for kind in ('statefulset/orchestrator', 'statefulset/planar-primary', 'deployment/gateway', 'deployment/planar-replicas'):
            self.kubectl('rollout', 'status', '-n', NAMESPACE, kind, '--timeout=120s')

    def wait(self, what, done):
        until = time.monotonic() + control_plane.SECONDS
        while not done():
            if time.monotonic() > until:
                raise TimeoutError(f'{what}: not after {control_plane.SECONDS} s')
            with self.node.changed:
                self.node.changed.wait(timeout=0.25)

    def end(self):
        self.node.leave()
        self.plane.end()


def take(cluster, overlay):
    """Applies an overlay whose pods nobody runs: all are made, so each passed admission."""
    cluster.node.is_cordoned = True
    cluster.apply(cluster.root / 'deploy/kubernetes/overlays' / overlay)
    path = f'/apis/apps/v1/namespaces/{NAMESPACE}'
    for kind in ('deployments', 'statefulsets'):
        workloads = [one['metadata']['name'] for one in cluster.plane.ask('GET', f'{path}/{kind}')['items']]
        assert workloads, f'{overlay}: no {kind}'
        for name in workloads:
            cluster.wait(f'{overlay}: a pod of {name}', lambda name=name: cluster.pods(f'{name}-'))
    print(f'{overlay}: {len(cluster.pods(""))} pods made', flush=True)
    cluster.delete_namespace()
    cluster.node.is_cordoned = False


def proposal(cluster, path):
    """A folder of deploy/kubernetes that proposes this test's update, as README.md has people edit it."""
    copy = cluster.folder / 'deploy/kubernetes'
    shutil.copytree(cluster.root / 'deploy/kubernetes', copy, dirs_exist_ok=True)
    (copy / 'propose/arguments').write_text(cluster_test.ARGUMENTS, encoding='utf-8')
    return copy / path


def disturb(cluster):
    """Rollouts, evictions, deletions and kills, as they come to a cluster."""
    node, kubectl = cluster.node, cluster.kubectl
    # Another image, which is the same programs to the stand-in.
    kubectl('set', 'image', '-n', NAMESPACE, 'deployment/gateway', 'gateway=registry.example/backfire:0.1.1')
    kubectl('rollout', 'status', '-n', NAMESPACE, 'deployment/gateway', '--timeout=120s')
    kubectl('set', 'image', '-n', NAMESPACE, 'deployment/planar-replicas', 'model=registry.example/backfire:0.1.1')
    cluster.wait_for_rollouts()
    gateways = [pod['metadata']['name'] for pod in cluster.pods('gateway-')]
    assert len(gateways) == 2, gateways
    codes = [cluster.evict(name) for name in gateways]
    assert codes == [201, 429], f'the budget keeps one gateway: {codes}'
    cluster.wait_for_rollouts()
    kubectl('delete', 'pod', '-n', NAMESPACE, '-l', 'app.kubernetes.io/component=replica', '--wait=false')
    cluster.wait_for_rollouts()
    # Out of memory, and a pod that goes for good and comes back to its claim.
    primary = node.pods['planar-primary-0']
    primary.kill()
    cluster.wait('the primary is back', lambda: primary.restarts == 1 and primary.is_ready)
    kubectl('delete', 'pod', '-n', NAMESPACE, 'orchestrator-0', '--timeout=60s')
    cluster.wait_for_rollouts()


def answers_of(cluster):
    with cluster_test.Clients() as clients:
        cluster.wait('an answer', lambda: sum(clients.answers.values()) > 0 or clients.failed)
    assert not clients.failed, clients.failed[:5]
    return set(clients.answers)


def asked(cluster, shown, *arguments):
    """The command line, which shows the certificate of an identity of secrets.sh' folder: its exit code and what it says."""
    folder = cluster.folder / 'certificates'
    files = {f'BACKFIRE_TLS_{key}': str(folder / name) for key, name in
             (('CERTIFICATE', f'{shown}.pem'), ('KEY', f'{shown}.key'), ('CA', 'ca.pem'))} if shown else {}
    ended = subprocess.run([cluster.programs / 'backfire', *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           check=False, timeout=60, env=os.environ | files)
    return ended.returncode, ended.stdout


def shows(pod, folder):
    """Whether who calls the pod sees the certificate that the folder of secrets.sh has for it."""
    if pod.workload.kind == 'Job':
        return True
    name = pod.labels['app.kubernetes.io/name']
    return ssl.get_server_certificate((pod.address, 7000)).split() == (folder / f'{name}.pem').read_text(encoding='utf-8').split()


def with_certificates(cluster):
    """The planar overlay with TLS: to its verdict, with who is nobody or has another role refused, and certificates renewed
    under load."""
    stage, folder = cluster_test.stage, cluster.folder / 'certificates'
    stage('with TLS: from nothing to a verdict, by secrets.sh and kubectl')
    cluster.make_secrets(folder)
    subprocess.run([cluster.root / 'deploy/certs/certs.sh', folder, 'client/visitor', 'viewer/onlooker'], check=True, stdout=subprocess.DEVNULL)
    applied = cluster.apply(cluster.root / 'deploy/kubernetes/overlays/planar-tls')
    cluster.job(applied, 'complete')
    cluster.wait_for_rollouts()
    text = cluster.job(cluster.apply(proposal(cluster, 'overlays/propose-tls')), 'failed')
    assert 'SELF_DEFEATING' in text, text

    stage('with TLS: each may do what its certificate says')
    orchestrator, promote = '--orchestrator=orchestrator:7000', ('update', 'promote', 'latest', '--override', '--reason=a test')
    code, text = asked(cluster, 'onlooker', 'update', 'list', orchestrator)
    assert code == 0 and 'SELF_DEFEATING' in text, text
    for shown, said in (('onlooker', '"onlooker" has viewer'), ('planar', '"planar" has model'), ('propose', '"propose" has gate')):
        code, text = asked(cluster, shown, *promote, orchestrator)
        assert code != 0 and said in text, f'{shown}: {code}: {text}'
    code, text = asked(cluster, None, 'update', 'list', orchestrator)
    assert code != 0, text

    files = [folder / name for name in ('ca.pem', 'visitor.key', 'visitor.pem')]
    with cluster_test.Clients(files) as clients:
        stage(f'with TLS: renewed certificates, lost replicas and new gateways under {cluster_test.CLIENTS} clients')
        cluster.wait('an answer', lambda: sum(clients.answers.values()) > 0 or clients.failed)
        cluster.make_secrets(folder)
        cluster.wait('what is renewed, in every pod', lambda: all(shows(pod, folder) for pod in list(cluster.node.pods.values())))
        assert not any(pod.restarts for pod in cluster.node.pods.values()), 'certificates are read again by processes that go on'
        cluster.kubectl('delete', 'pod', '-n', NAMESPACE, '-l', 'app.kubernetes.io/component=replica', '--wait=false')
        cluster.wait_for_rollouts()
        cluster.kubectl('rollout', 'restart', '-n', NAMESPACE, 'deployment/gateway')
        cluster.wait_for_rollouts()
    answered = sum(clients.answers.values())
    print(f'{answered} requests, {len(clients.failed)} failed, {len(clients.answers) - 1} mixed')
    assert answered > cluster_test.CLIENTS and not clients.failed, clients.failed[:5]
    assert len(clients.answers) == 1, clients.answers.keys()
    cluster.delete_namespace()


def scenario(cluster):
    stage = cluster_test.stage
    version = json.loads(cluster.kubectl('version', '-o', 'json'))['serverVersion']['gitVersion']
    stage(f'an API server of Kubernetes {version} takes every overlay')
    for overlay in ('cpu', 'gpu', 'cpu-monitoring', 'cpu-tls') if cluster.definitions else ('cpu', 'gpu'):
        take(cluster, overlay)

    stage('from nothing to a verdict, by kubectl alone')
    planar = cluster.root / 'deploy/kubernetes/overlays/planar'
    applied = cluster.apply(planar)
    cluster.job(applied, 'complete')
    cluster.wait_for_rollouts()
    proposed = cluster.apply(proposal(cluster, 'propose'))
    text = cluster.job(proposed, 'failed')
    assert 'SELF_DEFEATING' in text, text
    before = cluster.generations()
    cluster.apply(planar)
    assert cluster.generations() == before, 'what is applied again must change nothing'

    with cluster_test.Clients() as clients:
        stage(f'a new image, evictions, deletions and a kill under {cluster_test.CLIENTS} clients')
        disturb(cluster)
    answered = sum(clients.answers.values())
    print(f'{answered} requests, {len(clients.failed)} failed, {len(clients.answers) - 1} mixed')
    assert answered > cluster_test.CLIENTS and not clients.failed, clients.failed[:5]
    assert len(clients.answers) == 1, clients.answers.keys()

    stage('deleted, lost, and restored')
    # As volumes.sh does, while nothing writes: the claims outlive their pods, and not their namespace.
    cluster.delete_namespace()
    shutil.make_archive(cluster.folder / 'backup', 'tar', cluster.node.claims)
    shutil.rmtree(cluster.node.claims)
    shutil.unpack_archive(cluster.folder / 'backup.tar', cluster.node.claims)
    cluster.apply(planar)
    cluster.wait_for_rollouts()
    assert answers_of(cluster) == set(clients.answers), 'another release is served'
    orchestrator = cluster.node.pods['orchestrator-0'].address
    shown = subprocess.run([cluster.programs / 'backfire', 'update', 'list', f'--orchestrator={orchestrator}:7000'],
                           stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    assert 'SELF_DEFEATING' in shown, shown
    cluster.delete_namespace()
    with_certificates(cluster)
    assert not cluster.node.faults, cluster.node.faults
    stage('done')


def main():
    sys.path.insert(0, str(pathlib.Path(sys.argv[2]).parent / 'python'))
    try:
        import backfire_service  # noqa: F401, pylint: disable=unused-import
    except ImportError as error:
        print(f'skipped: {error}')
        return 77
    if sys.argv[5:] != ['isolated']:
        words = stand_in.isolated()
        if words is None:
            print('skipped: no namespaces of its own, or no `ip`')
            return 77
        return subprocess.run([*words, sys.executable, '-B', __file__, *sys.argv[1:5], 'isolated'], check=False).returncode
    program, programs, root, definitions = (pathlib.Path(path).resolve() if path else None for path in sys.argv[1:5])
    with tempfile.TemporaryDirectory(prefix='backfire-api-server.') as temporary:
        cluster = Cluster(program, programs, root, definitions, pathlib.Path(temporary))
        try:
            scenario(cluster)
        finally:
            cluster.end()
    return 0


if __name__ == '__main__':
    sys.exit(main())
