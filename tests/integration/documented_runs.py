"""What documented_runs_test.py knows of pages: what stands for their placeholders, how their commands end, and which can't run there."""

from typing import Dict, NamedTuple, Tuple

# Pages whose commands are run.
WHICH = r'README\.md|docs/.*\.md|deploy/.*README\.md|services/python/README\.md'
# Systems that pages name, whose services get sockets in place of ports.
SYSTEMS = ['deploy/systems/planar/figure2-benign.yaml', 'deploy/systems/nearest-neighbour.yaml']
# What else is changed in them: no reference solutions, which only the diagnosis reads and which take longest; replicates for two looks; and
# a retention, as pages ask what it lets go of.
CHANGES = {r'^  references:\n(    .*\n)+': '', r'^replicates: 5$': 'replicates: 10\nretention: {keep_updates: 20}'}


class Run(NamedTuple):
    """How a command ends."""
    code: int = 0
    says: Tuple[str, ...] = ()  # Parts of its output.
    block: bool = False  # Its output has every line of the page's next block.
    do: str = ''  # What is typed, where the text leaves more open than a placeholder.
    once: bool = False  # Its page may show it again; that is not run.
    needs: str = ''  # A program that a machine need not have: without it, the command is skipped.


class Page(NamedTuple):
    needs: str = ''  # A module of Debian's Python, without which the page is skipped.
    by: str = ''  # The test that runs all of the page.
    setup: str = ':'  # Shell, before the page's first command.
    fills: Dict[str, str] = {}  # Regular expression: what stands for it.
    runs: Dict[str, Run] = {}  # By the command as the page shows it, without its comment; of several lines, the first.


# Five seeds of records of an encoder and its reader, as docs/gate.md makes them: runs/main, and runs/pr, which harms.
RECORDS = r"""
export PYTHONPATH=$CLONE/services/python
sed -n "/^import random$/,/^PY$/p" docs/gate.md | sed '/^PY$/d' >evaluate.py
sed -n "/^candidate: encoder$/,/^YAML$/p" docs/gate.md | sed '/^YAML$/,$d' >backfire-gate.yaml
python3 evaluate.py && mkdir runs && mv before runs/main && mv after runs/pr
"""
# A mesh whose update is safe: updates/1 is its baseline.
MESH = 'backfire up deploy/systems/planar/figure2-benign.yaml --replicates 5 --gateway $GATEWAY && backfire update watch baseline >baseline.txt\n'
SAFE = "--vertex v --recipe position --set 'field=[{bend: -0.1}]'"
HARMFUL = "--vertex v --recipe position --set 'field=[{bend: -0.6}]'"
# Six frames of a rendered world, and detections of its own labels.
WORLD = r"""
backfire vision dataset render --profile tiny --train 2 --validation 1 --test 3 --out world || return
mkdir -p detections
for frame in $(cat world/ImageSets/test.txt); do sed 's/$/ 0.9/' world/training/label_2/$frame.txt >detections/$frame.txt; done
"""

# A toy that fails when it is told to: updates/2 has failed, updates/3 and 4 are decided.
TOY_MESH = r"""
sed "s|TOY|$TOY|; s|FOLDER|$SCRATCH|" >toy.yaml <<'YAML'
name: toy
request:
- {name: x, datatype: FP64, shape: [1]}
outputs: {y: first.y}
dataset: toy:50
replicates: 1
retention: {keep_updates: 20}
vertices:
- {name: first, endpoint: "unix:FOLDER/first", inputs: {x: request.x}, recipe: {name: least-squares}, process: {program: TOY}}
YAML
backfire up toy.yaml --gateway $GATEWAY && backfire update watch baseline >1.txt || return
propose() { backfire update propose --vertex first --recipe least-squares "$@"; }
propose --set fail=1 --wait; (($? == 5)) && propose --set offset=0.01 --wait && propose --set offset=0.02 --wait || return
"""
# A command that shows until it is ended.
WATCH = 'backfire release watch >watched &\nuntil grep -q releases/1 watched; do :; done\nkill $!; cat watched'

PAGES = {
    'README.md': Page(
        setup=RECORDS + WORLD,
        fills={r'SYSTEM\.yaml': 'deploy/systems/planar/figure2-benign.yaml --gateway $GATEWAY', r'--vertex V --recipe R': SAFE,
               r'--before DIR --after DIR': '--before runs/main --after runs/pr', r'--out FILE': '--out evidence.jsonl',
               r'--evidence FILE': '--evidence evidence.jsonl', r'\bN\b': '2', r'--labels DIR --detections DIR':
               '--labels world/training/label_2 --detections detections', r'validate FILE': 'validate deploy/systems/planar/figure2.yaml',
               r'\[VERTEX\]': 'w', r'\[DIR\.\.\.\]': '', r'TARGET|unix:PATH': '$BACKFIRE_ORCHESTRATOR'},
        runs={
            './dev demo harm': Run(0, block=True, once=True, do='backfire demo harm --state $SCRATCH/demo --gateway unix:$SCRATCH/demo-gateway'),
            'backfire-gate --policy backfire-gate.yaml --before runs/main --after runs/pr --junit gate.xml --html gate.html':
                Run(1, ('REFUSED (SELF_DEFEATING)',)),
            'backfire up SYSTEM.yaml': Run(0, ('system figure2-benign, revision 1',)),
            'backfire update watch baseline': Run(0, ('baseline, PROMOTED',)),
            'backfire update propose --vertex V --recipe R --watch': Run(0, ('SAFE',)),
            '... --version N': Run(0, ('updates/3',), do='backfire update propose --vertex w --version 1'),
            '... --looks 2': Run(0, ('updates/4',), do=f'backfire update propose {HARMFUL} --looks 2'),
            'backfire update list': Run(0, ('updates/2',)),
            'backfire history --since yesterday': Run(0, ('system applied', 'updates/2')),
            'backfire update prune --dry-run': Run(0, ('nothing to let go of',)),
            'backfire update promote N': Run(0, ('releases/2',)),
            'backfire gate --before DIR --after DIR': Run(1, ('REFUSED (SELF_DEFEATING)',)),
            'backfire report N --out report.html': Run(0),
            'backfire update export N --out FILE': Run(0, ('evidence.jsonl',)),
            'backfire gate --evidence FILE': Run(0, ('PASSED',)),
            'backfire release list': Run(0, ('releases/2  LIVE',)),
            'backfire version list': Run(0, ('models/w/versions/1',)),
            'backfire system validate FILE': Run(0),
            'backfire system recipes [VERTEX]': Run(0, ('training_size',)),
            'backfire vision eval kitti --labels DIR --detections DIR': Run(0, ('Car',)),
            'backfire fsck [DIR...]': Run(0),
            'backfire healthcheck TARGET': Run(0),
            'backfire status': Run(0, ('gateway',)),
            'grpcurl -plaintext localhost:7000 list': Run(0, ('inference.GRPCInferenceService',), needs='grpcurl',
                                                          do='grpcurl -plaintext -unix ${GATEWAY#unix:} list'),
            'backfire healthcheck unix:PATH': Run(0),
            'backfire conformance ENDPOINT': Run(0, (' hold, 0 broken',), do='$TOY --listen unix:$SCRATCH/toy --data-dir toy &\n'
                'backfire conformance unix:$SCRATCH/toy --model first --dataset toy:20 --inert seconds_of_work --inert fail'),
            'backfire vision dataset render': Run(0, do='backfire vision dataset render --profile tiny --train 1 --validation 1 --test 1 --out small'),
            'backfire update propose ... --gate --retry': Run(0, ('SAFE',), do=f'backfire update propose {SAFE} --gate --retry'),
        }),
    'docs/cli.md': Page(
        runs={
            'backfire --version': Run(0, ('backfire ',)),
            'source <(backfire completion bash)': Run(0, ('_backfire',), do='source <(backfire completion bash) && complete -p backfire'),
        }),
    'docs/figures.md': Page(
        setup=TOY_MESH,
        runs={
            'backfire planar draw deploy/systems/planar/figure2.yaml --out figure2.svg': Run(),
            'backfire update show latest': Run(0, ('updates/4',)),
            'backfire system generate': Run(0, ('planar-service',)),
            'backfire study figures --system figure2 --format json': Run(0, ('"verdict": "SELF_DEFEATING"',)),
            'backfire study figures --system figure2': Run(0, ('SELF_DEFEATING',)),
            'backfire study figures --system figure3': Run(0, ('SELF_DEFEATING',)),
            'backfire study figures --system figure4a': Run(0, ('SELF_DEFEATING',)),
            'backfire study figures --system figure4b': Run(0, ('SELF_DEFEATING',)),
            'backfire study figures --system loss-mismatch': Run(0, ('SELF_DEFEATING',)),
            'backfire study figures --system distribution-mismatch': Run(0, ('SELF_DEFEATING',)),
        }),
    'docs/gate.md': Page(
        needs='pytest',
        setup=MESH + f"backfire update propose {SAFE} --wait >update.txt\n" + WORLD + 'mkdir study && backfire update export 2 --out study/one.jsonl',
        fills={r'/tmp/gate': '$SCRATCH/gate', r'--labels DIR --detections DIR': '--labels $CLONE/world/training/label_2 --detections $CLONE/detections',
               r'--records after/': '--records ', r'\bN\b': '2', r'report DIR': 'report $CLONE/study', '--html FILE': '--html gate.html', r'--propose \S+ --set steps=800':
               "--propose v=position --set 'field=[{bend: -0.1}]'", r'^pytest': '/usr/bin/python3 -m pytest'},
        runs={
            'export PATH="$PWD/build/gate/bin:$PATH" PYTHONPATH="$PWD/services/python"': Run(),
            "mkdir -p /tmp/gate && cd /tmp/gate && cat > evaluate.py <<'PY'": Run(),
            'python3 evaluate.py': Run(),
            "cat > backfire-gate.yaml <<'YAML'": Run(),
            'backfire-gate --before before --after after; echo "exit code $?"': Run(0, ('exit code 1',), block=True),
            'backfire vision eval kitti --labels DIR --detections DIR --bootstrap 1000 --records after/seed0.jsonl --replicate 0': Run(0, ('Car',)),
            'backfire-gate --self-test --before before': Run(0, ('The gate can decide on these records.', 'Of 1000 simulated updates')),
            'pytest -p backfire_records backfire-gate.yaml --backfire-before before --backfire-after after': Run(1, ('failed',)),
            'backfire update export N --out evidence.jsonl': Run(0, ('evidence.jsonl',)),
            'backfire gate --evidence evidence.jsonl': Run(0, ('PASSED',)),
            'backfire gate --update N --wait': Run(0, ('PASSED',)),
            'backfire gate --update N --html FILE': Run(0, ('PASSED',)),
            'backfire gate --propose disparity=psmnet-disparity-mae --set steps=800 --wait': Run(0, ('PASSED', 'updates/2')),
            'backfire report N --out report.html': Run(),
            'backfire report DIR --out study.html': Run(),
        }),
    'docs/on-call.md': Page(by='tests/integration/on_call_test.sh'),
    'docs/operations.md': Page(
        setup=TOY_MESH,
        fills={r'\[DIR\.\.\.\]': '', r'\bNAME\b': 'readiness', 'TARGET': '$BACKFIRE_ORCHESTRATOR', r'cancel N': 'cancel 3', r'show N': 'show 1',
               r'certs DIR': 'certs certificates', r'ROLE/readiness,HOST\.\.\.': 'operator/ada'},
        runs={
            'backfire fsck [DIR...]': Run(),
            'backfire update retry N': Run(5, ('the recipe asked to fail',), do='backfire update retry 2 && backfire update watch 2'),
            'backfire version import --weights': Run(0, ('least-squares, imported',), do='printf 2.5 >weights\n'
                'backfire version import --vertex first --recipe least-squares --weights weights'),
            'backfire update cancel N': Run(0, ('updates/3',)),
            'backfire update prune': Run(0, ('nothing to let go of',)),
            'backfire release watch': Run(0, ('releases/1',), do=WATCH),
            'backfire release show N': Run(0, ('releases/1: LIVE',)),
            'backfire history': Run(0, ('system applied',)),
            # A second system, by hand: one process for all vertices, and sockets in place of ports.
            'car-service --listen=0.0.0.0:7004 --data-dir=/var/lib/backfire/car --metrics-listen=0.0.0.0:8004': Run(
                do='planar-service --listen=unix:$BACKFIRE_DATA_DIR/run/v --data-dir=planar --system deploy/systems/planar/figure2-benign.yaml &'),
            'orchestrator --listen=0.0.0.0:7010 --data-dir=/var/lib/backfire/orchestrator': Run(
                do='orchestrator --listen=unix:$CLONE/7010 --data-dir=orchestrated &'),
            'gateway --listen=0.0.0.0:7000 --orchestrator=HOST:7010': Run(do='gateway --listen=unix:$CLONE/7000 --orchestrator=unix:$CLONE/7010 &'),
            'backfire system apply deploy/systems/compose/stereo.yaml --orchestrator=HOST:7010': Run(
                0, ('system figure2-benign is in force, revision 1',),
                do='for place in $BACKFIRE_DATA_DIR/run/v $CLONE/7010; do until backfire healthcheck unix:$place --service liveness; do :; done; done\n'
                   'backfire system apply deploy/systems/planar/figure2-benign.yaml --orchestrator=unix:$CLONE/7010'),
            'backfire healthcheck TARGET --service NAME': Run(0, ('SERVING',)),
            'backfire healthcheck unix:$HOME/.local/state/backfire/run/car': Run(do='backfire healthcheck unix:$BACKFIRE_DATA_DIR/run/v --service liveness'),
            './dev certs DIR ROLE/NAME,HOST...': Run(),
            './dev certs DIR --new-ca': Run(),
            './dev certs DIR': Run(),
        }),
    'docs/own-models.md': Page(
        needs='grpc, google.protobuf, numpy, prometheus_client',
        setup="sed -n '/<!-- example: begin -->/,/<!-- example: end -->/p' docs/own-models.md | sed '1,2d; /^```$/,$d' >ridge.py",
        fills={r'localhost:7102': 'unix:$SCRATCH/nearest', '/tmp/nearest': '$SCRATCH/nearest-data', r'localhost:7103': 'unix:$SCRATCH/ridge',
               '/tmp/ridge': '$SCRATCH/ridge-data',
               r'up (deploy/\S+)': r'up \1 --gateway $GATEWAY'},
        runs={
            'build/bin/nearest-neighbour-service --listen localhost:7102 --data-dir /tmp/nearest &': Run(),
            'build/bin/backfire conformance localhost:7102 --feed-all': Run(0, (' hold, 0 broken',)),
            'chmod +x ridge.py && export PYTHONPATH=$PWD/build/python': Run(),
            './ridge.py --listen localhost:7103 --data-dir /tmp/ridge &': Run(),
            'build/bin/backfire conformance localhost:7103 --feed-all': Run(0, (' hold, 0 broken',)),
            'build/bin/backfire up deploy/systems/nearest-neighbour.yaml': Run(0, ('system nearest-neighbour, revision 1',)),
            'build/bin/backfire update watch baseline': Run(0, ('disagreement',)),
            'build/bin/backfire update propose --vertex label --recipe linear --set training_size=20 --watch': Run(0, ('disagreement', 'DECIDED')),
            'backfire update propose --version N': Run(0, ('updates/3', 'a first look', 'DECIDED'), do='backfire update propose --vertex label --version 1 --wait'),
        }),
    'docs/recipes.md': Page(by='tests/integration/recipes_page_test.py'),
    'docs/reliability.md': Page(
        fills={r'1000000': '1000'},
        runs={'BACKFIRE_FUZZ_RUNS=1000000 build/tests/tensor_fuzz_test': Run()}),
    'docs/results/plan.md': Page(
        fills={r'--test 500': '--test 4'},
        runs={
            'backfire vision dataset render rendered:lidar --train 1 --validation 1 --test 500 --seed 201 --out world && cd world': Run(),
            'for type in Car Pedestrian; do': Run(0, do=''),
            'backfire study stereo --tables': Run(0, ('AP_3D',), do='backfire study stereo --tables --out $CLONE/docs/results/evidence'),
            'backfire study stereo --tables --out docs/results/evidence --figures docs/results': Run(0, ('AP_3D',), do='cd $CLONE\n'
                'backfire study stereo --tables --out docs/results/evidence --figures docs/results'),
        }),
    'docs/results/stereo.md': Page(
        runs={
            r'python3 tests/integration/study_page_test.py build/bin . --write': Run(),
            'backfire vision dataset render rendered:lidar --train 1 --validation 1 --test 8 --seed 201 --out frames && cd frames': Run(),
            'counts() {': Run(),
            'cat -n ImageSets/test.txt | while read -r position frame; do': Run(0, ('test 0\ntest 1\ntest 2\n',)),
            r"sed -e 's/^seed: 1$/seed: 6/' -e '/^- name: .*rcnn$/,/^$/d' deploy/systems/study/stereo.yaml >piece.yaml": Run(0, ('no faults',), do='cd $CLONE\n'
                r"sed -e 's/^seed: 1$/seed: 6/' -e '/^- name: .*rcnn$/,/^$/d' deploy/systems/study/stereo.yaml >piece.yaml && grep -x 'seed: 6' piece.yaml && "
                'backfire system validate piece.yaml'),
            'export BACKFIRE_DATA_DIR=$PWD/meshes/6': Run(),
            'backfire down': Run(),
        }),
    'docs/runbooks.md': Page(
        setup=TOY_MESH + WORLD,
        fills={r'(show|retry) 7': r'\1 2', r'cancel 7': 'cancel 3', 'promote 7': 'promote 4', r'reason \.\.\.': 'reason tried', 'HOST:PORT': '$BACKFIRE_ORCHESTRATOR',
               'GATEWAY': '$GATEWAY', r'fsck DIR': 'fsck $BACKFIRE_DATA_DIR', r'check DIR': 'check world', r'rollback N': 'rollback 1'},
        runs={
            'backfire update show latest': Run(0, ('updates/4',)),
            'backfire update cancel 7': Run(0, ('updates/3',)),
            'backfire update promote 7 --override --reason ...': Run(0, ('is live',)),
            'backfire update show 7': Run(5, ('updates/2', 'the recipe asked to fail')),
            'backfire update retry 7': Run(0, ('updates/2',)),
            'backfire vision dataset check DIR': Run(),
            'backfire status': Run(0, ('live: releases/',)),
            'backfire healthcheck HOST:PORT': Run(0, ('SERVING',)),
            'backfire fsck DIR': Run(),
            'backfire release rollback N --reason ...': Run(0, ('releases/1 is live',)),
            'backfire release list': Run(0, ('releases/1  LIVE',)),
            'backfire healthcheck GATEWAY --service orchestrator': Run(0, ('SERVING',)),
            'backfire release watch': Run(0, ('releases/1',), do=WATCH),
            'backfire version list': Run(0, ('models/first/versions/1',)),
        }),
    'deploy/ci/example/README.md': Page(by='tests/integration/gate/example_test.py'),
    'deploy/kubernetes/README.md': Page(
        runs={
            'registry=ghcr.io/example': Run(),
            'echo "registry=$registry" > deploy/kubernetes/components/images/registry.env': Run(),
            "cat > deploy/kubernetes/propose/arguments <<'ARGUMENTS'": Run(),
            './dev certs certificates client/my-app': Run(),
            './dev certs certificates operator/ada': Run(),
            'export BACKFIRE_TLS_CERTIFICATE=$PWD/certificates/ada.pem BACKFIRE_TLS_KEY=$PWD/certificates/ada.key BACKFIRE_TLS_CA=$PWD/certificates/ca.pem':
                Run(do='ls certificates/ada.pem certificates/ada.key certificates/ca.pem'),
        }),
}


class Instead(NamedTuple):
    """Why a command is run nowhere as its page shows it, and a test that runs the like: `path: part of it`."""
    why: str
    test: str = ''


# What can't run there, as regular expressions, each with the test that runs it and a part of that test, or with what is run instead.
ELSEWHERE = {
    # Compilers.
    r'\./dev build( (gate|python_examples backfire|--profile))?': Instead('this test needs it done'),
    r'\./dev test( --processors| (unit|integration) -R \S+)?|BACKFIRE_PICTURES=.* \./dev test compose': Instead('it would run this test'),
    r'\./dev bench (NAME|gate|idle-connections|verdict)': Instead('measures for minutes on a machine that does nothing else'),
    r'\./dev fuzz (TARGET|records --minutes 0 --runs 1000000|--coverage records)': Instead('takes clang, and has no end; unit tests run the same inputs bounded', 'tests/fuzz/CMakeLists.txt: fuzz'),
    # Trainings of minutes.
    r'\./dev demo|backfire demo': Instead('takes ten minutes', 'tests/unit/scripts/demo_test.sh: backfire-demo" stereo'),
    r'\./dev demo --effort full': Instead('takes hours', 'tests/unit/scripts/demo_test.sh: stereo --state "$state" --effort full'),
    r'\./dev chaos( --kills 100)?': Instead('takes minutes', 'tests/chaos/CMakeLists.txt: e2e.chaos'),
    r'\./dev parity DIR': 'tests/parity/parity_reference_test.sh: BACKFIRE_MODEL_VECTORS',
    r'backfire study figures( --evidence DIR)?': Instead('docs/figures.md has each of its systems, which are run', 'deploy/ci/self-gate: --evidence'),
    r'backfire study scale --shape chain --vertices 1000': Instead('takes minutes', 'tests/e2e/figures_test.sh: study scale --shape chain --vertices 200'),
    r'(OMP_NUM_THREADS=1 taskset -c 1 )?backfire study stereo (--out DIR|.*--effort (full|point-rcnn) .*)':
        Instead('a piece takes half an hour', 'tests/e2e/study_test.sh: study stereo --systems'),
    r'backfire vision flips --dataset URI --before N --after M --out flips.json': 'tests/e2e/stereo_test.sh: vision flips --dataset',
    r'backfire up piece\.yaml --gateway unix:\$PWD/gateway': Instead("takes a piece's mesh", 'tests/e2e/study_test.sh: up "$directory/piece.yaml"'),
    r'backfire vision compare --dataset .*': Instead("takes a piece's mesh", 'tests/e2e/study_test.sh: vision compare --dataset'),
    r'backfire vision perceive --left L\.png --right R\.png --calib C\.txt --out view\.png': 'tests/e2e/stereo_test.sh: vision perceive --left',
    r'\./dev certs': 'tests/integration/python_security_test.py: certs',
    # Containers and clusters.
    r'\./dev compose (up|demo|down|certs)': 'tests/compose/cluster_test.sh: docker/compose.sh',
    r'docker compose( -f docker/compose\.yaml run --rm cli| ps)|docker inspect': Instead('asks an engine for containers', 'tests/compose/common.sh: docker inspect'),
    r'for image in backfire backfire-models; do docker tag .* docker push .*': Instead('pushes to a registry'),
    r'\./dev kubernetes check': Instead('fetches schemas from a network', 'tests/kubernetes/CMakeLists.txt: check.py'),
    r'\./dev kubernetes test': Instead('builds a control plane of Kubernetes for an hour'),
    r'kubectl (apply|delete)( -k)?( deploy/kubernetes/(propose|overlays/planar(-tls)?))?':
        Instead('takes a cluster, as ./dev kubernetes test has', "tests/kubernetes/api_server_test.py: self.kubectl('apply'"),
    r'(job=\$\()?kubectl -n backfire (wait|get|logs|port-forward) .*': Instead('takes a cluster', 'tests/kubernetes/cluster_test.py: cluster.job('),
    r'backfire update (show 2|list --orchestrator localhost:7010)': Instead('takes a port that kubectl forwards from a cluster',
                                                                         'tests/kubernetes/cluster_test.py: --orchestrator='),
    r'deploy/kubernetes/secrets\.sh certificates planar': 'tests/kubernetes/secrets_test.py: secrets.sh',
    r'deploy/kubernetes/volumes\.sh (backup|restore) backup/': 'tests/kubernetes/volumes_test.sh: volumes.sh',
    r'promtool test rules': 'tests/compose/monitoring_test.sh: promtool test rules',
    # What a machine need not have.
    r'sudo apt-get install .*': Instead('installs; ./dev deps has done it'),
    r'npm ci .*': Instead('fetches from a network'),
    # A name of something that is run by others.
    r'backfire (gate|update propose --gate)': 'tests/integration/gate/exit_code_test.py: --before',
}
