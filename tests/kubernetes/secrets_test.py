#!/usr/bin/env python3
"""secrets.sh against a stand-in for kubectl: it makes each Secret that pods of overlays with TLS mount, with the identity and at
least the names that cert-manager's Certificates have. Argument: the project's root. Exits 77 without openssl."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import manifests
import trust

ROOT = pathlib.Path(sys.argv[1]).resolve()
KUBECTL = '#!/usr/bin/env bash\n[[ $3 != create ]] || printf "%s\\n" "${*:5}" >>"$0.log"\n'


def rendered(name):
    return manifests.read(ROOT / f'tests/kubernetes/rendered/{name}.jsonl')[0]


def secrets_sh(folder, *arguments):
    """Secrets that it makes: name -> file of each key."""
    log = folder / 'kubectl.log'
    log.unlink(missing_ok=True)
    subprocess.run([ROOT / 'deploy/kubernetes/secrets.sh', folder / 'certificates', *arguments], check=True, stdout=subprocess.DEVNULL,
                   env={'PATH': '/usr/local/bin:/usr/bin:/bin', 'KUBECTL': str(folder / 'kubectl')})
    lines = [line.split() for line in log.read_text(encoding='utf-8').splitlines()]
    return {words[1]: dict(word.removeprefix('--from-file=').split('=') for word in words if word.startswith('--from-file=')) for words in lines}


def names_of(path):
    """The identities and the names of a certificate."""
    text = subprocess.run(['openssl', 'x509', '-in', path, '-noout', '-ext', 'subjectAltName'], check=True, stdout=subprocess.PIPE, text=True).stdout
    return set(re.findall('URI:([^,\\s]+)', text)), set(re.findall('DNS:([^,\\s]+)', text))


def mounted(*names):
    return {volume['secret']['secretName'] for name in names for one in rendered(name).workloads
            for volume in one.pod['volumes'] if 'secret' in volume}


def main():
    if shutil.which('openssl') is None:
        print('skipped: openssl is missing')
        return 77
    with tempfile.TemporaryDirectory(prefix='backfire-secrets.') as temporary:
        folder = pathlib.Path(temporary)
        (folder / 'kubectl').write_text(KUBECTL, encoding='utf-8')
        (folder / 'kubectl').chmod(0o755)
        models = ['disparity', 'pointcloud', 'proposals', 'car', 'pedestrian']
        made = secrets_sh(folder, *models)
        wanted = mounted('cpu-tls', 'propose-tls')
        assert set(made) == wanted and len(wanted) == 9, f'{sorted(made)} are made, and {sorted(wanted)} are mounted'
        certificates = trust.certificates(rendered('cpu-tls'))
        for secret, files in made.items():
            assert set(files) == {'tls.crt', 'tls.key', 'ca.crt'}, files
            identities, names = names_of(files['tls.crt'])
            expected = certificates[secret]
            assert identities == set(expected['uris']), f'{secret}: {identities}, and by cert-manager {expected["uris"]}'
            assert names >= set(expected['dnsNames']), f'{secret}: {names}, and by cert-manager {expected["dnsNames"]}'
        planar = secrets_sh(folder, 'planar')
        assert set(planar) == mounted('planar-tls', 'propose-tls'), sorted(planar)
        assert names_of(planar['planar-tls']['tls.crt']) == (
            {'spiffe://backfire/model/planar'}, {'planar', 'planar-primary', 'planar-replicas', 'localhost'})
        # Another authority: certificates stay, and what they are verified by has both.
        before = pathlib.Path(planar['gateway-tls']['tls.crt']).read_bytes()
        after = secrets_sh(folder, '--new-ca', 'planar')
        assert pathlib.Path(after['gateway-tls']['tls.crt']).read_bytes() == before, 'a certificate of an authority that nobody knows yet'
        assert pathlib.Path(after['gateway-tls']['ca.crt']).read_text(encoding='utf-8').count('BEGIN') == 2
    wrong = subprocess.run([ROOT / 'deploy/kubernetes/secrets.sh', 'x'], stderr=subprocess.DEVNULL, check=False).returncode
    assert wrong == 2, wrong
    print(f'{len(made) + len(planar)} Secrets')
    return 0


if __name__ == '__main__':
    sys.exit(main())
