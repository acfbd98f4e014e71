"""What a node does for a control plane, with the stand-in's pods (stand_in.py): binds them, runs them, says how they are, and ends
them. Names of Services are what EndpointSlices say; claims are bound to folders. No scheduler, kube-proxy or container engine:
resources, users, NetworkPolicies and images are not looked at."""

import threading
import time

import control_plane
import manifests
import stand_in

NODE = 'stand-in'


def now():
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())


def workload_of(resource):
    """A pod of the API as what the stand-in runs. One that isn't restarted is a Job's."""
    kind = 'Job' if resource['spec'].get('restartPolicy') == 'Never' else 'Pod'
    return manifests.Workload({'kind': kind, 'metadata': resource['metadata'],
                               'spec': {'template': {'metadata': resource['metadata'], 'spec': resource['spec']}}})


class Resources:
    """What pods mount, as the API server has it."""

    def __init__(self, api, namespace):
        self.api, self.namespace = api, namespace

    def of(self, kind):
        path = {'ConfigMap': 'configmaps', 'Secret': 'secrets', 'Service': 'services'}[kind]
        items = self.api.ask('GET', f'/api/v1/namespaces/{self.namespace}/{path}')['items']
        return {one['metadata']['name']: one for one in items}


class Kubelet(stand_in.Node):
    """The one node. `join` before it runs anything, `leave` at the end."""

    def __init__(self, namespace, programs, folder):
        super().__init__(None, programs, folder)
        self.namespace, self.api = namespace, None
        self.path = f'/api/v1/namespaces/{namespace}'
        self.running, self.ending, self.said, self.since = {}, set(), {}, {}  # By uid.
        self.services = {}  # Name -> (whether it has an address of its own, addresses).
        self.is_leaving = self.is_cordoned = False
        self.faults = []

    def join(self, api):
        self.api, self.manifests = api, Resources(api, self.namespace)
        api.ask('POST', '/api/v1/nodes', {'metadata': {'name': NODE, 'labels': {'kubernetes.io/hostname': NODE}}})
        api.ask('PATCH', f'/api/v1/nodes/{NODE}/status',
                {'status': {'conditions': [{'type': 'Ready', 'status': 'True', 'reason': 'StandIn', 'lastHeartbeatTime': now()}]}},
                'application/strategic-merge-patch+json')
        self.loop = threading.Thread(target=self._follow, daemon=True)
        self.loop.start()

    def leave(self):
        self.is_leaving = True
        self.notify()
        self.loop.join()
        for pod in list(self.pods.values()):
            pod.remove()
            pod.thread.join()

    def addresses_of_services(self):
        return [(name, self.namespace, is_own, list(addresses)) for name, (is_own, addresses) in sorted(self.services.items())]

    def _follow(self):
        while not self.is_leaving:
            try:
                self._reconcile()
            except (control_plane.ApiError, OSError) as error:
                # Another may have changed what was looked at: the next round sees it.
                if getattr(error, 'code', 0) not in (404, 409):
                    self.faults.append(str(error))
                    print(f'kubelet: {error}', flush=True)
            with self.changed:
                self.changed.wait(timeout=0.25)

    def _reconcile(self):
        self._bind_claims()
        pods = {one['metadata']['uid']: one for one in self.api.ask('GET', f'{self.path}/pods')['items']}
        for uid, resource in pods.items():
            self._look_at(uid, resource)
        for uid in [uid for uid in self.running if uid not in pods and uid not in self.ending]:
            self.running.pop(uid).remove()  # Deleted by force.
        if any(pod.secrets for pod in self.running.values()):
            secrets = self.manifests.of('Secret')
            for pod in list(self.running.values()):
                pod.refresh_secrets(secrets)
        self._follow_services()
        self.tell()

    def _look_at(self, uid, resource):
        name, is_deleted = resource['metadata']['name'], 'deletionTimestamp' in resource['metadata']
        if uid in self.ending or self.is_cordoned and uid not in self.running and not is_deleted:
            return
        if is_deleted:
            self.ending.add(uid)
            threading.Thread(target=self._end, args=[uid, name], daemon=True).start()
        elif 'nodeName' not in resource['spec']:
            self.api.ask('POST', f'{self.path}/pods/{name}/binding',
                         {'metadata': {'name': name}, 'target': {'apiVersion': 'v1', 'kind': 'Node', 'name': NODE}})
        elif uid not in self.running:
            self.since[uid] = now()
            self.running[uid] = self.start(name, workload_of(resource))
        else:
            self._say(uid, name)

    def _say(self, uid, name):
        """How a pod is, where that has changed."""
        pod = self.running[uid]
        has_ended, is_job = pod.exit_code is not None, pod.workload.kind == 'Job'
        ready = not has_ended and (is_job or pod.is_ready)
        state = {'running': {'startedAt': self.since[uid]}}
        if has_ended:
            state = {'terminated': {'exitCode': pod.exit_code, 'reason': 'Error' if pod.exit_code else 'Completed',
                                    'startedAt': self.since[uid], 'finishedAt': now()}}
        key = (has_ended, ready, pod.restarts, pod.is_started)
        if self.said.get(uid) == key:
            return
        image = pod.workload.container['image']
        status = {
            'phase': 'Running' if not has_ended else 'Failed' if pod.exit_code else 'Succeeded',
            'podIP': pod.address, 'podIPs': [{'ip': pod.address}], 'hostIP': '10.77.0.1', 'startTime': self.since[uid],
            'conditions': [{'type': kind, 'status': str(holds), 'lastTransitionTime': now()}
                           for kind, holds in (('Initialized', True), ('ContainersReady', ready), ('Ready', ready))],
            'containerStatuses': [{'name': pod.workload.container['name'], 'image': image, 'imageID': image, 'ready': ready, 'state': state,
                                   'started': is_job or pod.is_started, 'restartCount': pod.restarts}]}
        self.api.ask('PATCH', f'{self.path}/pods/{name}/status', {'metadata': {'uid': uid}, 'status': status},
                     'application/strategic-merge-patch+json')
        self.said[uid] = key

    def _end(self, uid, name):
        pod = self.running.pop(uid, None)
        if pod is not None:
            pod.end()
            if pod.was_killed:
                self.faults.append(f'{name}: not drained within its grace')
        try:
            self.api.ask('DELETE', f'{self.path}/pods/{name}', {'gracePeriodSeconds': 0, 'preconditions': {'uid': uid}})
        except control_plane.ApiError as error:
            if error.code not in (404, 409):
                self.faults.append(str(error))

    def _bind_claims(self):
        for claim in self.api.ask('GET', f'{self.path}/persistentvolumeclaims')['items']:
            if claim['status'].get('phase') != 'Pending' or 'volumeName' in claim['spec']:
                continue
            name, uid = claim['metadata']['name'], claim['metadata']['uid']
            if uid in self.said:
                continue
            self.api.ask('POST', '/api/v1/persistentvolumes', {
                'metadata': {'name': f'pv-{uid}'},
                'spec': {'capacity': claim['spec']['resources']['requests'], 'accessModes': claim['spec']['accessModes'],
                         'persistentVolumeReclaimPolicy': 'Retain', 'hostPath': {'path': str(self.claims / name)},
                         'claimRef': {'namespace': self.namespace, 'name': name, 'uid': uid}}})
            self.said[uid] = 'bound'

    def _follow_services(self):
        slices = self.api.ask('GET', f'/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices')['items']
        found = {}
        for one in self.api.ask('GET', f'{self.path}/services')['items']:
            found[one['metadata']['name']] = (one['spec'].get('clusterIP') != 'None', [])
        for one in slices:
            service = found.get(one['metadata']['labels'].get('kubernetes.io/service-name'))
            if service is not None:
                service[1].extend(address for endpoint in one.get('endpoints') or [] if endpoint['conditions'].get('ready') is not False
                                  for address in endpoint['addresses'])
        self.services = found
