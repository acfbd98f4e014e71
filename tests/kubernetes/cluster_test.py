#!/usr/bin/env python3
"""The planar overlay as rendered, run by a stand-in for nodes (stand_in.py): from nothing to a verdict, through killed pods,
rollouts under load, and a restored backup. Arguments: the build's programs, the project's root. Exits 77 where this machine
gives no namespaces, or lacks `ip` or Python's gRPC."""

import copy
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

import manifests
import references
import stand_in

PROGRAMS, ROOT = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
CLIENTS = 16
ARGUMENTS = '--vertex=v\n--recipe=position\n--set=field=[{collapse: [0, -1.5], half_plane: [0, -1, 0]}]\n'


def workload(of, name):
    return next(one for one in of.workloads if one.name.startswith(name))


class Cluster:
    """What controllers do with the manifests, as far as this test needs it."""

    def __init__(self, rendered, folder):
        self.rendered, self.node = rendered, stand_in.Node(rendered, PROGRAMS, folder)
        self.started, self.killed = {}, []

    def start(self, name):
        one = workload(self.rendered, name)
        number = self.started.get(one.name, 0)
        if one.kind != 'StatefulSet':
            self.started[one.name] = number + 1
        return self.node.start(f'{one.name}-{number}', one)

    def start_all(self):
        for one in self.rendered.workloads:
            if one.kind != 'Job':
                for _ in range(references.fewest(self.rendered, one)):
                    self.start(one.name)

    def end(self, pod):
        pod.end()
        if pod.was_killed:
            self.killed.append(pod.name)

    def end_all(self):
        ends = [threading.Thread(target=self.end, args=[pod]) for pod in list(self.node.pods.values())]
        for one in ends:
            one.start()
        for one in ends:
            one.join()

    def abandon(self):
        """Ends at once what still runs."""
        for pod in list(self.node.pods.values()):
            pod.remove()
            pod.thread.join()

    def job(self, name):
        """Runs a Job's pods to its end, and returns the last one's exit code and log."""
        one = workload(self.rendered, name)
        rule = next(rule['onExitCodes'] for rule in one.spec['podFailurePolicy']['rules'] if 'onExitCodes' in rule)
        for _ in range(one.spec['backoffLimit']):
            pod = self.start(name)
            self.node.wait(name, lambda pod=pod: pod.exit_code is not None)
            code, text = pod.exit_code, pod.text()
            pod.remove()
            if code == 0 or (code in rule['values']) == (rule['operator'] == 'In'):
                return code, text
        raise AssertionError(f'{name}: failed {one.spec["backoffLimit"]} times: {text}')

    def roll_out(self, name):
        """A rolling update: one more, then one less, as maxSurge 1 and maxUnavailable 0 have it."""
        assert workload(self.rendered, name).spec['strategy']['rollingUpdate'] == {'maxSurge': 1, 'maxUnavailable': 0}
        for old in self.node.ready(name):
            new = self.start(name)
            self.node.wait(f'{new.name} ready', lambda new=new: new.is_ready)
            self.end(old)


class Clients:
    """Ask the gateway's pods in turn, again and again, as README.md tells clients of gRPC to; by TLS with the certificate of
    these files (authority, key, chain), if any."""

    def __init__(self, files=()):
        import grpc
        from backfire_service import v2, v2_rpc  # Which may not be there: main looks.
        self.request = v2.ModelInferRequest(model_name='distribution-mismatch', id='test')
        self.request.inputs.add(name='point', datatype='FP64', shape=[2])
        self.request.raw_input_contents.append(struct.pack('<2d', 0.3, -1.4))
        target, options = 'dns:///gateway-pods:7000', [('grpc.lb_policy_name', 'round_robin'), ('grpc.dns_min_time_between_resolutions_ms', 1000)]
        shown = [pathlib.Path(file).read_bytes() for file in files]
        self.channel = (grpc.secure_channel(target, grpc.ssl_channel_credentials(*shown), options) if shown else
                        grpc.insecure_channel(target, options))
        self.call = v2_rpc.GRPCInferenceServiceStub(self.channel).ModelInfer
        self.error = grpc.RpcError
        self.stopping, self.lock = threading.Event(), threading.Lock()
        self.answers, self.failed = {}, []
        self.threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CLIENTS)]

    def _ask(self):
        while not self.stopping.is_set():
            try:
                response = self.call(self.request, timeout=60)
                answer = (response.model_version, b''.join(response.raw_output_contents))
                with self.lock:
                    self.answers[answer] = self.answers.get(answer, 0) + 1
            except self.error as error:
                with self.lock:
                    self.failed.append(f'{error.code()}: {error.details()}')

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        self.channel.close()


def stage(text):
    print(f'[{time.monotonic() - BEGUN:.0f} s] {text}', flush=True)


def manifests_to_run():
    """The overlay planar and the Job of propose/, with this test's proposal."""
    parts = [manifests.read(ROOT / f'tests/kubernetes/rendered/{name}.jsonl')[0].resources for name in ('planar', 'propose')]
    rendered = manifests.Manifests(copy.deepcopy(parts[0] + parts[1]))
    next(one for name, one in rendered.of('ConfigMap').items() if name.startswith('proposal'))['data']['arguments'] = ARGUMENTS
    return rendered


def scenario(cluster, folder):
    node = cluster.node
    stage('from nothing to a release')
    cluster.start_all()
    primary = node.pods['planar-primary-0']
    node.wait('primary and orchestrator', lambda: primary.is_ready and node.pods['orchestrator-0'].is_ready)
    assert not node.ready('gateway') and not node.ready('planar-replicas'), 'ready without a release'
    code, text = cluster.job('system')
    assert code == 0, text
    node.wait('gateways and replicas', lambda: len(node.ready('gateway')) == 2 and len(node.ready('planar-replicas')) == 1)

    stage('a verdict')
    code, text = cluster.job('proposal')
    assert code == 1 and 'SELF_DEFEATING' in text, f'{code}: {text}'
    again, _ = cluster.job('system')
    assert again == 0, 'applying what is in force must change nothing'

    with Clients() as clients:
        stage(f'rollouts, a lost node and a killed orchestrator under {CLIENTS} clients')
        for name in ('planar-replicas', 'gateway', 'planar-replicas'):
            cluster.roll_out(name)
        # A pod that comes back empty gets what is live.
        primary.kill()
        node.wait('the primary is back', lambda: primary.restarts == 1 and primary.is_ready)
        node.pods['orchestrator-0'].kill()
        node.wait('the orchestrator is back', lambda: node.pods['orchestrator-0'].restarts == 1 and node.pods['orchestrator-0'].is_ready)
        replica = node.ready('planar-replicas')[0]
        cluster.end(replica)
        cluster.start('planar-replicas')
        node.wait('a replica is back', lambda: len(node.ready('planar-replicas')) == 1)
    answered = sum(clients.answers.values())
    print(f'{answered} requests, {len(clients.failed)} failed, {len(clients.answers) - 1} mixed')
    assert answered > CLIENTS, 'the clients were hardly answered'
    assert not clients.failed, clients.failed[:5]
    assert len(clients.answers) == 1, clients.answers.keys()

    stage('everything ends, is lost, and restored')
    cluster.end_all()
    assert not cluster.killed, f'not drained within their grace: {cluster.killed}'
    shutil.make_archive(folder / 'backup', 'tar', node.claims)
    shutil.rmtree(node.claims)
    shutil.unpack_archive(folder / 'backup.tar', node.claims)
    cluster.start_all()
    node.wait('all again', lambda: len(node.ready('gateway')) == 2 and len(node.ready('planar-replicas')) == 1)
    with Clients() as restored:
        node.wait('an answer', lambda: sum(restored.answers.values()) > 0 or restored.failed)
    assert set(restored.answers) == set(clients.answers) and not restored.failed, (restored.answers, restored.failed[:5])
    shown = subprocess.run([PROGRAMS / 'backfire', 'update', 'list', f'--orchestrator={node.pods["orchestrator-0"].address}:7000'],
                           stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    assert 'SELF_DEFEATING' in shown, shown
    cluster.end_all()
    stage('done')


BEGUN = time.monotonic()
if __name__ == '__main__':
    sys.path.insert(0, str(PROGRAMS.parent / 'python'))
    try:
        import backfire_service  # noqa: F401, pylint: disable=unused-import
    except ImportError as error:
        print(f'skipped: {error}')
        sys.exit(77)
    if sys.argv[3:] != ['isolated']:
        words = stand_in.isolated()
        if words is None:
            print('skipped: no namespaces of its own, or no `ip`')
            sys.exit(77)
        sys.exit(subprocess.run([*words, sys.executable, '-B', __file__, *sys.argv[1:3], 'isolated'], check=False).returncode)
    with tempfile.TemporaryDirectory(prefix='backfire-cluster.') as temporary:
        its_cluster = Cluster(manifests_to_run(), pathlib.Path(temporary))
        try:
            scenario(its_cluster, pathlib.Path(temporary))
        finally:
            its_cluster.abandon()
