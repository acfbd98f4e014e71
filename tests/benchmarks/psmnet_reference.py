#!/usr/bin/python3
"""PSMNet as one writes it in PyTorch, for bench-disparity to be compared with.

Runs one mode of one network on given weights, and prints one line: seconds of the fastest repetition,
by the clock and of processor time, the process's largest memory in MiB, a number that says what was computed, and the GFLOP of its
convolutions.
Takes python3-torch and python3-numpy of Debian 12.
"""
import argparse
import struct
import time
import zlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--network", choices=["small", "stackhourglass", "basic"], required=True)
parser.add_argument("--mode", choices=["inference", "training"], required=True)
parser.add_argument("--weights", required=True, help="as learning::SaveWeights writes them")
parser.add_argument("--channels", type=int, default=16, help="of the small network")
parser.add_argument("--max-disparity", type=int, required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--height", type=int, required=True)
parser.add_argument("--width", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--repetitions", type=int, required=True)
args = parser.parse_args()
torch.set_num_threads(args.threads)

SMALL = args.network == "small"
C = args.channels if SMALL else 32
DEEP = 2 * C if SMALL else 4 * C
BLOCKS = (1, 2, 1, 1) if SMALL else (3, 16, 3, 3)
PYRAMID = (16, 8, 4) if SMALL else (64, 32, 16, 8)
BRANCH = C // 2 if SMALL else 32
FEATURES = C // 2 if SMALL else 32
HOURGLASSES = 1 if SMALL else (0 if args.network == "basic" else 3)
OUTPUT_WEIGHTS = {1: (1.0,), 3: (0.5, 0.7, 1.0)}


def convbn(i, o, kernel, stride, dilation):
    padding = dilation if dilation > 1 else kernel // 2
    return nn.Sequential(nn.Conv2d(i, o, kernel, stride, padding, dilation, bias=False),
                         nn.BatchNorm2d(o))


def convbn3d(i, o, stride=1):
    return nn.Sequential(nn.Conv3d(i, o, 3, stride, 1, bias=False), nn.BatchNorm3d(o))


def up3d(i, o):
    return nn.Sequential(nn.ConvTranspose3d(i, o, 3, 2, 1, output_padding=1, bias=False),
                         nn.BatchNorm3d(o))


def relu():
    return nn.ReLU(inplace=True)


class Block(nn.Module):
    def __init__(self, i, o, stride, dilation):
        super().__init__()
        self.conv1 = nn.Sequential(convbn(i, o, 3, stride, dilation), relu())
        self.conv2 = convbn(o, o, 3, 1, dilation)
        self.downsample = None
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False),
                                            nn.BatchNorm2d(o))

    def forward(self, x):
        return self.conv2(self.conv1(x)) + (x if self.downsample is None else self.downsample(x))


class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.firstconv = nn.Sequential(convbn(3, C, 3, 2, 1), relu(), convbn(C, C, 3, 1, 1), relu(),
                                       convbn(C, C, 3, 1, 1), relu())
        i = C
        for n, (o, stride, dilation) in enumerate(((C, 1, 1), (2 * C, 2, 1), (DEEP, 1, 1),
                                                   (DEEP, 1, 2))):
            blocks = []
            for b in range(BLOCKS[n]):
                blocks.append(Block(i, o, stride if b == 0 else 1, dilation))
                i = o
            setattr(self, f"layer{n + 1}", nn.Sequential(*blocks))
        for n, window in enumerate(PYRAMID):
            setattr(self, f"branch{n + 1}", nn.Sequential(nn.AvgPool2d(window, window),
                                                          convbn(i, BRANCH, 1, 1, 1), relu()))
        self.lastconv = nn.Sequential(convbn(2 * C + DEEP + len(PYRAMID) * BRANCH, DEEP, 3, 1, 1),
                                      relu(), nn.Conv2d(DEEP, FEATURES, 1, bias=False))

    def forward(self, x):
        raw = self.layer2(self.layer1(self.firstconv(x)))
        x = self.layer4(self.layer3(raw))
        joined = [raw, x]
        for n in reversed(range(len(PYRAMID))):
            branch = getattr(self, f"branch{n + 1}")(x)
            joined.append(F.interpolate(branch, x.shape[2:], mode="bilinear", align_corners=False))
        return self.lastconv(torch.cat(joined, 1))


class Hourglass(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1 = nn.Sequential(convbn3d(c, 2 * c, 2), relu())
        self.conv2 = convbn3d(2 * c, 2 * c)
        self.conv3 = nn.Sequential(convbn3d(2 * c, 2 * c, 2), relu())
        self.conv4 = nn.Sequential(convbn3d(2 * c, 2 * c), relu())
        self.conv5 = up3d(2 * c, 2 * c)
        self.conv6 = up3d(2 * c, c)

    def forward(self, x, pre0, post0):
        pre = self.conv2(self.conv1(x))
        pre = F.relu(pre if post0 is None else pre + post0, inplace=True)
        out = self.conv4(self.conv3(pre))
        post = F.relu(self.conv5(out) + (pre if pre0 is None else pre0), inplace=True)
        return self.conv6(post), pre, post


class PSMNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.feature_extraction = Features()
        c = C if SMALL else 32
        self.dres0 = nn.Sequential(convbn3d(2 * FEATURES, c), relu(), convbn3d(c, c), relu())
        pair = lambda: nn.Sequential(convbn3d(c, c), relu(), convbn3d(c, c))
        head = lambda: nn.Sequential(convbn3d(c, c), relu(), nn.Conv3d(c, 1, 3, 1, 1, bias=False))
        self.dres1 = pair()
        if HOURGLASSES == 0:
            self.dres2, self.dres3, self.dres4 = pair(), pair(), pair()
            self.classify = head()
        for n in range(HOURGLASSES):
            setattr(self, f"dres{n + 2}", Hourglass(c))
        for n in range(HOURGLASSES):
            setattr(self, f"classif{n + 1}", head())

    def volume(self, left, right):
        planes = args.max_disparity // 4
        b, f, h, w = left.shape
        cost = left.new_zeros(b, 2 * f, planes, h, w)
        for i in range(planes):
            l = left[:, :, :, i:]
            r = right[:, :, :, :w - i] if i else right
            cost[:, :f, i, :, i:] = l
            cost[:, f:, i, :, i:] = (l - r).abs() if SMALL else r
        return cost

    def regress(self, cost, size):
        cost = F.interpolate(cost, [args.max_disparity, *size], mode="trilinear",
                             align_corners=False)
        p = F.softmax(cost.squeeze(1), dim=1)
        disparities = torch.arange(args.max_disparity, dtype=torch.float32).view(1, -1, 1, 1)
        return (p * disparities).sum(1)

    def forward(self, left, right):
        if SMALL:
            fl, fr = self.feature_extraction(torch.cat([left, right])).chunk(2)
        else:
            fl, fr = self.feature_extraction(left), self.feature_extraction(right)
        cost0 = self.dres0(self.volume(fl, fr).contiguous())
        cost0 = self.dres1(cost0) + cost0
        if HOURGLASSES == 0:
            for layer in (self.dres2, self.dres3, self.dres4):
                cost0 = layer(cost0) + cost0
            return [self.regress(self.classify(cost0), left.shape[2:])]
        out, pre1, post, costs = cost0, None, None, []
        for n in range(HOURGLASSES):
            out, pre, post = getattr(self, f"dres{n + 2}")(out, pre1, post)
            pre1 = pre if pre1 is None else pre1
            out = out + cost0
            cost = getattr(self, f"classif{n + 1}")(out)
            costs.append(cost + costs[-1] if costs else cost)
        if not self.training:
            costs = costs[-1:]
        return [self.regress(cost, left.shape[2:]) for cost in costs]


def formula(name, shape):
    """u(name, i) of the reference vectors' formula."""
    with np.errstate(over="ignore"):
        base = np.uint64(zlib.crc32(name.encode())) << np.uint64(32)
        z = base + np.arange(int(np.prod(shape)), dtype=np.uint64)
        z += np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    u = (z >> np.uint64(11)).astype(np.float64) * 2.0 ** -53
    return torch.from_numpy(u.reshape(shape)).float()


def load(network, path):
    with open(path, "rb") as file:
        data = file.read()
    magic = b"backfire-weights-1\n"
    assert data.startswith(magic), path
    at = len(magic)

    def number():
        nonlocal at
        at += 8
        return struct.unpack_from("<q", data, at - 8)[0]

    state = {}
    for _ in range(number()):
        length = number()
        name = data[at:at + length].decode()
        at += length
        kind = {6: np.float32, 4: np.int64}[data[at]]
        at += 1
        shape = [number() for _ in range(number())]
        values = np.frombuffer(data, kind, int(np.prod(shape, dtype=np.int64)), at).reshape(shape)
        at += values.nbytes
        state[name] = torch.from_numpy(values.copy())
    network.load_state_dict(state)


def count_flop(network):
    """Of one forward pass, multiplications and additions, convolutions alone."""
    total = [0]

    def hook(module, inputs, output):
        if isinstance(module, nn.ConvTranspose3d):
            total[0] += 2 * inputs[0].numel() * module.weight[0].numel()
        else:
            total[0] += 2 * output.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(hook) for m in network.modules()
             if isinstance(m, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose3d))]
    return total, hooks


def peak_mib():
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0


network = PSMNet()
load(network, args.weights)
shape = (args.batch, 3, args.height, args.width)
left, right = (4 * formula(f"bench.{side}", shape) - 2 for side in ("left", "right"))
truth = args.max_disparity * 0.9 * formula("bench.truth", (args.batch, args.height, args.width)) + 1
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)


def inference():
    network.eval()
    with torch.no_grad():
        return network(left, right)[-1].mean().item()


def training():
    network.train()
    optimizer.zero_grad()
    outputs = network(left, right)
    mask = truth < args.max_disparity
    loss = sum(w * F.smooth_l1_loss(o[mask], truth[mask])
               for w, o in zip(OUTPUT_WEIGHTS[len(outputs)], outputs))
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 100)
    optimizer.step()
    return loss.item()


step = inference if args.mode == "inference" else training
flop, hooks = count_flop(network)
value = step()  # The first warms up, and is the one that is compared.
for hook in hooks:
    hook.remove()
best = best_cpu = float("inf")
for _ in range(args.repetitions):
    start, start_cpu = time.perf_counter(), time.process_time()
    step()
    best = min(best, time.perf_counter() - start)
    best_cpu = min(best_cpu, time.process_time() - start_cpu)
# A backward pass is two convolutions for each of the forward pass.
print(f"{best:.6f} {best_cpu:.6f} {peak_mib():.1f} {value:.9g} {flop[0] * (1 if args.mode == 'inference' else 3) / 1e9:.4f}")
