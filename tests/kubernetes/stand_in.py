"""A stand-in for a cluster's nodes: runs what manifests say as processes of this machine, each pod in namespaces of its own.

Every pod gets an address on a bridge, its volumes as folders at the manifest's paths, a root file system that it can't write
to, and the manifest's command, unchanged. Its probes are made, it is restarted when it ends or is no longer alive, and is told
to end by SIGTERM within its grace. Names of Services are in a hosts file: addresses of pods that are ready, or of all where
the Service says so. Instead of a Service's own address, a pod that comes back by its name has the one that it had. There is no API server: controllers' rules are in cluster_test.py, and NetworkPolicies, resources and
users are not enforced. It must run in network, mount and process namespaces of its own (`isolated`), which end all of it.
"""

import base64
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

SECONDS = 120  # For anything that is waited for; much more than it takes.


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def mac_of(address):
    """By its address, so that others need not learn a new one when a pod comes back."""
    return '02:00:' + ':'.join(f'{int(part):02x}' for part in address.split('.'))


class Pod:
    """One pod: its network, root and volumes outlive its container, which is started again while it should run."""

    def __init__(self, node, name, workload, address):
        self.node, self.name, self.workload, self.address = node, name, workload, address
        self.labels = workload.labels
        self.is_ready = self.is_started = self.is_ending = False
        self.exit_code = None  # Of a Job's pod.
        self.restarts = self.was_killed = 0
        self.secrets, self.written = {}, {}  # Folder -> name of a Secret, and what of it is there.
        self.folder = node.folder / 'pods' / name
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / 'root').mkdir(parents=True)
        self.log = self.folder / 'log'
        volumes = []
        for mount in workload.container.get('volumeMounts', []):
            volumes += [mount['mountPath'], str(self._volume(mount['name']))]
        self.sandbox = subprocess.Popen(
            ['unshare', '--net', '--mount', '--uts', 'bash', pathlib.Path(__file__).with_name('enter_pod.sh'), self.folder / 'root',
             node.programs, node.hosts, *volumes], stdout=subprocess.PIPE, text=True)
        if self.sandbox.stdout.readline() != 'ready\n':
            raise RuntimeError(f'{name}: no sandbox')
        link, inside = f'p{self.sandbox.pid}', ['nsenter', '-t', str(self.sandbox.pid), '-n', '-u']
        run('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'address', mac_of(address),
            'netns', str(self.sandbox.pid))
        run('ip', 'link', 'set', link, 'master', 'pods', 'up')
        run(*inside, 'ip', 'link', 'set', 'lo', 'up')
        run(*inside, 'ip', 'address', 'add', f'{address}/16', 'dev', 'eth0')
        run(*inside, 'ip', 'link', 'set', 'eth0', 'up')
        run(*inside, 'hostname', name)
        self.container = None
        self._start()
        self.thread = threading.Thread(target=self._look_after, daemon=True)
        self.thread.start()

    def _volume(self, name):
        """The folder of a volume: a claim's outlives the pod."""
        for volume in self.workload.pod.get('volumes', []):
            if volume['name'] == name and 'persistentVolumeClaim' not in volume:
                folder = self.folder / 'volumes' / name
                folder.mkdir(parents=True)
                if 'configMap' in volume:
                    for key, text in self.node.manifests.of('ConfigMap')[volume['configMap']['name']]['data'].items():
                        (folder / key).write_text(text, encoding='utf-8')
                if 'secret' in volume:
                    self.secrets[folder] = volume['secret']['secretName']
                    self.refresh_secrets(self.node.manifests.of('Secret'))
                return folder
        folder = self.node.claims / f'{name}-{self.name}'  # As a StatefulSet names its claims.
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def refresh_secrets(self, secrets):
        """As a kubelet does: what changes does so at once, by another folder behind a symbolic link; what is gone stays as it was."""
        for folder, name in self.secrets.items():
            data = secrets[name]['data'] if name in secrets else self.written[folder]
            if self.written.get(folder) == data:
                continue
            number = len(list(folder.glob('..data-*')))
            (folder / f'..data-{number}').mkdir()
            for key, text in data.items():
                (folder / f'..data-{number}' / key).write_bytes(base64.b64decode(text))
                if not (folder / key).is_symlink():
                    (folder / key).symlink_to(f'..data/{key}')
            (folder / '..new').symlink_to(f'..data-{number}')
            (folder / '..new').rename(folder / '..data')
            self.written[folder] = data

    def _inside(self, command):
        """What runs a command in the container, with the environment of the image and of the manifest."""
        variables = [f'{one["name"]}={one["value"]}' for one in self.workload.container.get('env', [])]
        return ['nsenter', '-t', str(self.sandbox.pid), '-n', '-m', '-u', 'chroot', self.folder / 'root', 'env', '-i',
                'PATH=/opt/backfire/bin:/usr/local/bin:/usr/bin:/bin', 'BACKFIRE_DATA_DIR=/var/lib/backfire', *variables, *command]

    def _start(self):
        with open(self.log, 'ab') as log:
            self.container = subprocess.Popen(self._inside(self.workload.command), stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _probe(self, name):
        probe = self.workload.container[name]
        seconds = probe.get('timeoutSeconds', 1)
        if 'exec' in probe:
            command = self._inside(probe['exec']['command'])
        else:
            # As Kubernetes itself asks, which knows of no certificates.
            command = ['env', '-i', self.node.programs / 'backfire', 'healthcheck', f'{self.address}:{probe["grpc"]["port"]}', '--service',
                       probe['grpc']['service'], '--timeout', str(seconds)]
        try:
            return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
                                  timeout=seconds + 1).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def _look_after(self):
        if self.workload.kind == 'Job':
            self.exit_code = self.container.wait()
            self.node.tell()
            return
        failures = {'startupProbe': 0, 'livenessProbe': 0}
        next_liveness = 0.0
        while not self.is_ending:
            if self.container.poll() is not None:
                self.is_ready = self.is_started = False
                self.restarts += 1
                failures = dict.fromkeys(failures, 0)
                self._start()
            names = ['startupProbe'] if not self.is_started else ['readinessProbe']
            if self.is_started and time.monotonic() > next_liveness:
                names.append('livenessProbe')
                next_liveness = time.monotonic() + self.workload.container['livenessProbe']['periodSeconds']
            for name in names:
                holds = self._probe(name)
                if name == 'readinessProbe':
                    self.is_ready = holds and not self.is_ending
                    continue
                self.is_started |= holds
                failures[name] = 0 if holds else failures[name] + 1
                if failures[name] >= self.workload.container[name].get('failureThreshold', 3) and self.container.poll() is None:
                    self.container.kill()
                    self.container.wait()
            self.node.tell()
            with self.node.changed:
                self.node.changed.wait_for(lambda: self.is_ending, timeout=0.5)

    def kill(self):
        """What a node does that runs out of memory."""
        self.container.kill()

    def end(self):
        """What a kubelet does with a pod that is deleted."""
        self.is_ready, self.is_ending = False, True
        self.node.tell()
        slept = self.workload.container.get('lifecycle', {}).get('preStop', {}).get('sleep', {}).get('seconds', 0)
        until = time.monotonic() + self.workload.pod.get('terminationGracePeriodSeconds', 30)
        self.thread.join()
        time.sleep(slept)  # The manifest's own.
        self.container.send_signal(signal.SIGTERM)
        try:
            self.container.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            self.was_killed = True
            self.container.kill()
            self.container.wait()
        self.remove()

    def remove(self):
        self.is_ready, self.is_ending = False, True
        for process in (self.container, self.sandbox):
            process.kill()
            process.wait()
        self.node.pods.pop(self.name, None)
        self.node.tell()

    def text(self):
        return self.log.read_text(encoding='utf-8', errors='replace')


class Node:
    """Where all pods run."""

    def __init__(self, manifests, programs, folder):
        self.manifests, self.programs, self.folder = manifests, programs, pathlib.Path(folder)
        self.hosts, self.claims = self.folder / 'hosts', self.folder / 'claims'
        self.pods, self.addresses, self.kept = {}, {}, {}
        self.changed = threading.Condition()
        self.hosts.write_text('127.0.0.1 localhost\n', encoding='utf-8')
        self.claims.mkdir()
        run('ip', 'link', 'set', 'lo', 'up')
        run('ip', 'link', 'add', 'pods', 'type', 'bridge')
        run('ip', 'address', 'add', '10.77.0.1/16', 'dev', 'pods')
        run('ip', 'link', 'set', 'pods', 'up')
        # For clients of this test, which are pods of another namespace to the cluster.
        run('mount', '--bind', self.hosts, '/etc/hosts')

    def start(self, name, workload):
        number = len(self.addresses)
        address = self.addresses.setdefault(name, f'10.77.{number // 250}.{number % 250 + 2}')
        pod = Pod(self, name, workload, address)
        self.pods[name] = pod
        self.tell()
        return pod

    def addresses_of_services(self):
        """(name, namespace, whether it has an address of its own, addresses of its pods) of each Service."""
        for name, service in sorted(self.manifests.of('Service').items()):
            spec = service['spec']
            pods = [pod for pod in list(self.pods.values())
                    if all(pod.labels.get(key) == value for key, value in spec['selector'].items())]
            chosen = [pod.address for pod in pods if pod.is_ready or spec.get('publishNotReadyAddresses')]
            is_own = spec.get('clusterIP') != 'None'
            yield name, service['metadata']['namespace'], is_own, chosen or [pod.address for pod in pods if is_own]

    def notify(self):
        with self.changed:
            self.changed.notify_all()

    def tell(self):
        """Writes the names anew, and wakes who waits."""
        with self.changed:
            lines = ['127.0.0.1 localhost']
            for name, namespace, is_own, addresses in self.addresses_of_services():
                if is_own:  # Its name and address stay, whatever is behind them.
                    addresses = self.kept[name] = addresses or self.kept.get(name, [])
                lines += [f'{address} {name} {name}.{namespace}' for address in addresses]
            text = '\n'.join(lines) + '\n'
            # Into the same file, which is mounted; one write, so that nobody reads half of it.
            if text != self.hosts.read_text(encoding='utf-8'):
                with open(self.hosts, 'r+b', buffering=0) as file:
                    data = text.encode()
                    file.write(data + b'\n' * max(0, os.fstat(file.fileno()).st_size - len(data)))
                    file.truncate(len(data))
            self.changed.notify_all()

    def wait(self, what, done, seconds=SECONDS):
        with self.changed:
            if not self.changed.wait_for(done, timeout=seconds):
                raise TimeoutError(f'{what}: not after {seconds} s; ready: {sorted(pod.name for pod in self.pods.values() if pod.is_ready)}')

    def ready(self, start):
        return [pod for name, pod in list(self.pods.items()) if pod.is_ready and re.match(f'{start}-\\d+$', name)]


def isolated():
    """The words before a command that give it namespaces of its own; None: this machine gives none, or has no `ip`."""
    words = ['unshare', '--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc']
    for more in ([], ['--user', '--map-root-user']):
        try:
            if subprocess.run([*words, *more, 'ip', 'link', 'add', 'pods', 'type', 'bridge'], stderr=subprocess.DEVNULL, check=False).returncode == 0:
                return words + more
        except FileNotFoundError:
            return None
    return None
