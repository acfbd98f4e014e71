"""A control plane of Kubernetes' own programs (control_plane/) with nothing in it, for as long as it is used."""

import json
import secrets
import ssl
import subprocess
import time
import urllib.error
import urllib.request

SECONDS = 120  # For its start, which takes a few.
PORT = 6443


class ApiError(Exception):
    """What the API server refused: `code` is HTTP's."""

    def __init__(self, code, text):
        super().__init__(f'{code}: {text}')
        self.code = code


class ControlPlane:
    """etcd, API server and controller manager; the one user may do everything."""

    def __init__(self, program, folder, address):
        """`address`: one of this machine's, and not loopback's; where the API server is."""
        self.program, self.folder, self.processes = program, folder, []
        self.url = f'https://{address}:{PORT}'
        self.folder.mkdir()
        self.token = secrets.token_hex(16)
        (self.folder / 'tokens').write_text(f'{self.token},admin,admin,system:masters\n', encoding='utf-8')
        subprocess.run(['openssl', 'genrsa', '-out', self.folder / 'accounts.key', '2048'], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(['openssl', 'rsa', '-in', self.folder / 'accounts.key', '-pubout', '-out', self.folder / 'accounts.pub'],
                       check=True, stderr=subprocess.DEVNULL)
        self._start('etcd', f'--data-dir={folder}/etcd', '--listen-client-urls=http://127.0.0.1:2379',
                    '--advertise-client-urls=http://127.0.0.1:2379', '--listen-peer-urls=http://127.0.0.1:2380', '--unsafe-no-fsync')
        self._start('kube-apiserver', '--etcd-servers=http://127.0.0.1:2379', f'--bind-address={address}', f'--secure-port={PORT}', '--endpoint-reconciler-type=none', f'--cert-dir={folder}/certificates',
                    f'--token-auth-file={folder}/tokens', '--authorization-mode=RBAC', '--service-cluster-ip-range=10.96.0.0/16',
                    '--service-account-issuer=https://kubernetes.default.svc', f'--service-account-key-file={folder}/accounts.pub',
                    f'--service-account-signing-key-file={folder}/accounts.key')
        self._wait_until_ready()
        # Nodes here have no leases; a pod is bound by the stand-in.
        self._start('kube-controller-manager', f'--kubeconfig={self._kubeconfig()}', '--leader-elect=false', '--bind-address=127.0.0.1',
                    f'--cert-dir={folder}/certificates', f'--service-account-private-key-file={folder}/accounts.key',
                    '--controllers=*,-node-lifecycle-controller,-taint-eviction-controller,-node-ipam-controller')

    def _start(self, name, *arguments):
        with open(self.folder / f'{name}.log', 'ab') as log:
            self.processes.append(subprocess.Popen([self.program, name, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def _wait_until_ready(self):
        until = time.monotonic() + SECONDS
        while True:
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f'{process.args[1]} ended: {(self.folder / (process.args[1] + ".log")).read_text(encoding="utf-8")[-2000:]}')
            try:
                self.context = ssl.create_default_context(cafile=self.folder / 'certificates' / 'apiserver.crt')
                with self._open('GET', '/readyz'):
                    return
            except (OSError, ApiError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)  # Between two questions.

    def _kubeconfig(self):
        path = self.folder / 'kubeconfig'
        path.write_text(json.dumps({
            'apiVersion': 'v1', 'kind': 'Config', 'current-context': 'test',
            'clusters': [{'name': 'test', 'cluster': {'server': self.url,
                                                      'certificate-authority': str(self.folder / 'certificates' / 'apiserver.crt')}}],
            'users': [{'name': 'admin', 'user': {'token': self.token}}],
            'contexts': [{'name': 'test', 'context': {'cluster': 'test', 'user': 'admin'}}]}), encoding='utf-8')
        return path

    def _open(self, method, path, body=None, content='application/json'):
        request = urllib.request.Request(self.url + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={'Authorization': f'Bearer {self.token}', 'Content-Type': content})
        try:
            return urllib.request.urlopen(request, context=self.context, timeout=30)
        except urllib.error.HTTPError as error:
            raise ApiError(error.code, error.read().decode(errors='replace')) from error

    def ask(self, method, path, body=None, content='application/json'):
        """The API server's answer, decoded. ApiError: it refused."""
        with self._open(method, path, body, content) as response:
            return json.load(response)

    def kubectl(self, *arguments, seconds=SECONDS, codes=(0,)):
        """What kubectl prints. RuntimeError: another exit code than these, with what it said."""
        ended = subprocess.run([self.program, 'kubectl', f'--kubeconfig={self.folder}/kubeconfig', *arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, check=False, timeout=seconds)
        if ended.returncode not in codes:
            raise RuntimeError(f'kubectl {" ".join(map(str, arguments))}: exit code {ended.returncode}: {ended.stdout}{ended.stderr}')
        return ended.stdout + ended.stderr

    def end(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
