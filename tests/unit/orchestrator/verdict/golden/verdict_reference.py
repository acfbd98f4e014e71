"""Verdicts of 240 small evidences by docs/statistics.md, for comparison with the C++.

Prints `evidence` lines, each followed by a `loss` line per loss. Probabilities come from numerical
convolution of two Student's t distributions; of every ninth evidence one is simulated as well. The
last 40 begin with examples in clusters, which are resampled as model_service.proto says.
"""

import argparse
import math
import os
import sys

import numpy as np

COUNT = 240
FIRST_CLUSTERED = 200
MASK = 2**64 - 1
NAN = float('nan')
MIN_REPLICATES = 5


# The rule by which an evidence follows from its number, shared with golden_test.cc.


def split_mix(x):
    z = (x + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Draws:
    """Uniform numbers in [0, 1) that depend on a seed alone."""

    def __init__(self, seed):
        self.key = split_mix((split_mix(seed) + 7) & MASK)
        self.counter = 0

    def uniform(self):
        bits = split_mix((self.key + self.counter) & MASK)
        self.counter += 1
        return (bits >> 11) * 2.0**-53

    def pick(self, values):
        return values[int(self.uniform() * len(values))]

    def noise(self):
        return self.uniform() + self.uniform() + self.uniform() + self.uniform() - 2


def draw_evidence(number):
    draws = Draws(number)
    replicates = draws.pick([2, 3, 5, 5, 5, 6, 8, 10])
    resamples = draws.pick([6, 10, 25])
    examples = draws.pick([2, 12, 200, 10000])
    losses = []
    for index in range(draws.pick([1, 2, 3, 5])):
        kind = draws.pick(['plain'] * 9 + ['nan', 'equal', 'constant'])
        bearing = draws.pick([examples, examples, max(2, examples // 2)])
        percent = draws.pick([False, False, True])
        margin = draws.pick([None, 0.0, 0.25, 1.0])
        judged = draws.pick([True] * 5 + [False])
        shift = draws.pick([-2.0, -0.5, 0.0, 0.0, 0.5, 1.0, 3.0])
        training = draws.pick([0.01, 0.1, 0.5, 1.0])
        example = draws.pick([0.01, 0.1, 0.5])
        interaction = draws.pick([0.0, 0.1, 1.0])
        if kind != 'plain':
            training = interaction = 0.0
        if kind == 'equal':
            shift = example = 0.0
        shared = [example * draws.noise() for _ in range(resamples)]
        before, after = [], []
        for replicate in range(replicates):
            was = 20 + training * draws.noise()
            value = was + shift + training * draws.noise()
            before.append((was, [was] * resamples))
            resampled = [value + shared[b] + interaction * draws.noise() for b in range(resamples)]
            if kind == 'nan' and replicate == 0:
                value = NAN
            after.append((value, resampled))
        losses.append({
            'name': f'loss-{index}', 'candidate': index == 0, 'judged': judged or index == 0,
            'percent': percent, 'margin': margin, 'examples': examples, 'bearing': bearing,
            'before': before, 'after': after})
    return losses


def draw_clustered(number):
    """Losses that are means over examples in clusters of different sizes."""
    draws = Draws(number)
    replicates = draws.pick([5, 5, 6, 8])
    resamples = draws.pick([12, 25, 40])
    sizes = [draws.pick([1, 2, 5, 9]) for _ in range(draws.pick([3, 5, 8, 16]))]
    # One of each in turn, while it has some.
    cluster_of = [c for turn in range(max(sizes)) for c, size in enumerate(sizes) if size > turn]
    drawn = []
    for b in range(resamples):
        key = split_mix((number + b) & MASK)
        drawn.append([split_mix((key + i) & MASK) * len(sizes) >> 64 for i in range(len(sizes))])
    losses = []
    for index in range(draws.pick([1, 2, 3])):
        share = draws.pick([1.0, 0.7, 0.3])
        margin = draws.pick([0.0, 0.25, 1.0])
        shift = draws.pick([-1.0, 0.0, 0.5, 1.0, 2.0])
        scales = [draws.pick([0.05, 0.2, 1.0]) for _ in range(4)]
        of_cluster = [scales[0] * draws.noise() for _ in sizes]
        of_example = [of_cluster[c] + scales[1] * draws.noise() for c in cluster_of]
        bears = [draws.uniform() < share for _ in cluster_of]
        before, after = [], []
        for _ in range(replicates):
            was = 20 + scales[2] * draws.noise()
            value = was + shift + scales[2] * draws.noise()
            values = [value + one + scales[3] * draws.noise() for one in of_example]

            def mean(counts):
                weights = [counts[c] * bear for c, bear in zip(cluster_of, bears)]
                if not any(weights):
                    return NAN
                return math.fsum(w * v for w, v in zip(weights, values)) / sum(weights)

            counts = [[row.count(c) for c in range(len(sizes))] for row in drawn]
            before.append((was if any(bears) else NAN,
                           [was if math.isfinite(mean(row)) else NAN for row in counts]))
            after.append((mean([1] * len(sizes)), [mean(row) for row in counts]))
        bearing = [sum(b for c, b in zip(cluster_of, bears) if c == one) for one in range(len(sizes))]
        fourth = sum(m**4 for m in bearing)
        losses.append({
            'name': f'loss-{index}', 'candidate': index == 0, 'judged': True, 'percent': False,
            'margin': margin, 'examples': len(sizes),
            'bearing': sum(m**2 for m in bearing) ** 2 / fourth if fourth else 0,
            'before': before, 'after': after})
    return losses


# Student's t and Behrens-Fisher's distribution.


def beta_fraction(a, b, x):
    """Lentz's continued fraction of the incomplete beta function, for x < (a + 1) / (a + b + 2)."""
    tiny = 1e-300
    c = np.ones_like(x)
    d = 1 / np.where(np.abs(1 - (a + b) * x / (a + 1)) < tiny, tiny, 1 - (a + b) * x / (a + 1))
    h = d.copy()
    for m in range(1, 5000):
        for step in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                     -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1 + step * d
            d = 1 / np.where(np.abs(d) < tiny, tiny, d)
            c = 1 + step / c
            c = np.where(np.abs(c) < tiny, tiny, c)
            factor = c * d
            h = h * factor
        if np.all(np.abs(factor - 1) < 1e-16):
            break
    return h


def incomplete_beta(a, b, x, complement):
    """I_x(a, b), with 1 - x given by itself."""
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    result = np.empty_like(x)
    small = x < (a + 1) / (a + b + 2)
    for mask, p, q, u, v, mirrored in ((small, a, b, x, complement, False),
                                       (~small, b, a, complement, x, True)):
        u, v = u[mask], v[mask]
        with np.errstate(divide='ignore'):
            front = np.exp(p * np.log(u) + q * np.log(v) - log_beta) / p
        part = front * beta_fraction(p, q, u)
        result[mask] = 1 - part if mirrored else part
    return result


def student_tail(t, freedom):
    half = incomplete_beta(freedom / 2, 0.5, np.array([freedom / (freedom + t * t)]),
                           np.array([t * t / (freedom + t * t)]))[0] / 2
    return half if t > 0 else 1 - half


def student_tail_of_integer(t, freedom):
    """The finite sums for whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    sine = t / np.sqrt(freedom + t * t)
    square = freedom / (freedom + t * t)
    term = sine if freedom % 2 == 0 else sine * np.sqrt(square)
    total = np.zeros_like(t)
    for power in range(2 if freedom % 2 == 0 else 3, freedom + 1, 2):
        total += term
        term = term * square * (power - 1) / power
    if freedom % 2 == 0:
        return (1 - total) / 2
    return 0.5 - (np.arctan(t / math.sqrt(freedom)) + total) / math.pi


class Convolution:
    """sqrt(v1) t_f1 + sqrt(v2) t_f2, f1 whole: trapezoidal rule over t_f2 = sqrt(f2) sinh(u)."""

    def __init__(self, v1, f1, v2, f2):
        self.s1, self.f1, self.s2, self.f2 = math.sqrt(v1), f1, math.sqrt(v2), f2
        self.parts = [(s, f) for s, f in ((self.s1, f1), (self.s2, f2)) if s > 0]

    def tail(self, x):
        if not self.parts:
            return 1.0 if x < 0 else 0.0
        if len(self.parts) == 1:
            return student_tail(x / self.parts[0][0], self.parts[0][1])
        reach = math.acosh(math.exp(42 / self.f2))
        points, before = 256, math.inf
        while points < 2**24:
            u = np.linspace(-reach, reach, points + 1)
            weight = np.exp(-self.f2 * np.log(np.cosh(u)))
            inner = student_tail_of_integer(
                (x - self.s2 * math.sqrt(self.f2) * np.sinh(u)) / self.s1, self.f1)
            mean = float(np.sum(weight * inner) / np.sum(weight))
            # Each halving of the steps squares the error.
            if abs(mean - before) < 1e-9 * abs(mean) + 1e-15:
                return mean
            points, before = 2 * points, mean
        raise ArithmeticError(f'no convergence at {x} of {self.parts}')

    def quantile(self, p):
        """What is exceeded with probability p < 1 / 2: the secant method on logarithms."""
        if not self.parts:
            return 0.0
        x = math.log(max(s for s, _ in self.parts))
        y = x + 1
        at_x, at_y = math.log(self.tail(math.exp(x)) / p), math.log(self.tail(math.exp(y)) / p)
        while abs(at_y) > 1e-11 and abs(y - x) > 1e-14 and at_x != at_y:
            z = y - at_y * (y - x) / (at_y - at_x)
            z = min(max(z, y - 3), y + 3)
            x, at_x, y = y, at_y, z
            at_y = math.log(self.tail(math.exp(y)) / p)
        return math.exp(y)

    def simulate(self, x, rng, draws=4_000_000):
        """Share of simulated sums beyond x, and its standard error."""
        total = np.zeros(draws)
        for s, f in self.parts:
            total += s * rng.standard_normal(draws) / np.sqrt(2 * rng.standard_gamma(f / 2, draws) / f)
        share = float(np.mean(total > x))
        return share, math.sqrt(max(share * (1 - share), 1 / draws) / draws)


# The rules.


def variance(values, rounding):
    values = np.asarray(values)
    return 0.0 if len(values) < 2 or np.ptp(values) <= rounding else float(np.var(values, ddof=1))


def estimate(loss):
    before, after = loss['before'], loss['after']
    count = len(before)
    values = [abs(v) for v, _ in before + after if math.isfinite(v)]
    rounding = max(values) * 2.0**-40
    d = [a - b for (b, _), (a, _) in zip(before, after)]
    d = [0.0 if abs(one) <= rounding else one for one in d]
    r = np.array([np.subtract(a, b) for (_, b), (_, a) in zip(before, after)])
    undefined = ~np.isfinite(r.sum(axis=0))
    r = r[:, ~undefined]
    n = loss['examples']
    result = {'rounding': rounding, 'mean': sum(d) / count, 'c': 0.0}
    result['a'] = variance(d, rounding) / count
    unbiased = n / (n - 1)
    e = unbiased * variance(r.mean(axis=0), rounding)
    apart = unbiased * np.mean([variance(row, rounding) for row in r])
    c = max(apart - e, 0) / (count - 1)
    result['c'] = min(c, result['a'], e)
    result['e'] = e - result['c']
    result['fa'] = count - 1
    if loss['bearing'] < 2 or r.shape[1] < max(2, undefined.sum()):
        result['e'] = result['c'] = result['fe'] = NAN
    else:
        result['fe'] = 1 / (1 / (loss['bearing'] - 1) + 1 / (r.shape[1] - 1))
    if loss['margin'] is not None:
        result['margin'] = loss['margin']
    elif loss['percent']:
        result['margin'] = 1.0
    else:
        result['margin'] = 0.01 * abs(sum(v for v, _ in before) / count)
    return result


def judge(number, alpha=0.05):
    losses = (draw_clustered if number >= FIRST_CLUSTERED else draw_evidence)(number)
    rows = []
    for loss in losses:
        row = dict(loss, **estimate(loss))
        row['known'] = math.isfinite(row['mean']) and math.isfinite(row['e'])
        row['error'] = Convolution(row['a'], row['fa'], row['e'], row['fe']) if row['known'] else None
        silent = row['a'] == 0 and row['e'] == 0

        def tail(distance):
            if silent:
                return 0.0 if distance > row['rounding'] else 1.0
            return row['error'].tail(distance)

        if row['known']:
            row['p_worse'] = tail(row['mean'])
            row['p_better'] = tail(-row['mean'])
            row['p_beyond'] = tail(row['mean'] - row['margin'])
            row['p_within'] = tail(row['margin'] - row['mean'])
            if silent and row['mean'] <= row['margin'] + row['rounding']:
                row['p_beyond'], row['p_within'] = 1.0, 0.0
        rows.append(row)
    # Holm's step-down procedure over all that can block.
    family = [row for row in rows if row['judged']]
    waiting = sorted(family, key=lambda row: row['p_beyond'] if row['known'] else 2.0)
    rejecting = True
    for position, row in enumerate(waiting):
        if rejecting:
            level = alpha / (len(waiting) - position)
        row['level'] = level
        row['beyond'] = rejecting and row['known'] and row['p_beyond'] < level
        rejecting = row['beyond']
    for row in rows:
        if not row['judged']:
            row['level'], row['beyond'] = alpha, row['known'] and row['p_beyond'] < alpha
        row['outcome'] = 'UNRESOLVED'
        row['low'] = row['high'] = NAN
        if not row['known']:
            continue
        row['low'] = row['mean'] - row['error'].quantile(row['level'])
        row['high'] = row['mean'] + row['error'].quantile(alpha)
        if row['beyond']:
            row['outcome'] = 'WORSE'
        elif row['p_better'] < alpha:
            row['outcome'] = 'BETTER'
        elif row['p_within'] < alpha:
            worse = row['p_worse'] < row['level']
            row['outcome'] = 'WORSE_WITHIN_MARGIN' if worse else 'NO_WORSE'
    own = [row['outcome'] for row in family if row['candidate']]
    others = [row['outcome'] for row in family if not row['candidate']]
    if len(losses[0]['before']) < MIN_REPLICATES or 'UNRESOLVED' in own and 'WORSE' not in own:
        verdict = 'INCONCLUSIVE'
    elif 'WORSE' in own:
        verdict = 'NOT_AN_IMPROVEMENT'
    elif 'WORSE' in others:
        verdict = 'SELF_DEFEATING'
    else:
        verdict = 'INCONCLUSIVE' if 'UNRESOLVED' in others else 'SAFE'
    blocks = len(losses[0]['before']) >= MIN_REPLICATES and 'WORSE' in own + others
    lines = [f'evidence {number} {verdict} {"blocks" if blocks else "passes"}']
    for row in rows:
        numbers = [row['a'], row['e'], row['c'], row['low'], row['high']]
        numbers += [row.get(name, NAN) for name in ('p_worse', 'p_beyond', 'p_within')]
        lines.append(f'loss {row["name"]} {row["outcome"]} ' + ' '.join(f'{x:.12g}' for x in numbers))
    if number % 9 == 0:
        row = next((row for row in rows if row['known'] and row['error'].parts), None)
        if row is not None:
            share, error = row['error'].simulate(row['mean'], np.random.default_rng(number))
            lines.append(f'simulated {row["name"]} {share:.6g} {error:.3g}')
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', type=int, default=0, metavar='N',
                        help='compare every N-th evidence with verdicts.txt instead')
    options = parser.parse_args()
    if not options.check:
        for number in range(COUNT):
            print('\n'.join(judge(number)), flush=True)
        return 0
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'verdicts.txt')
    with open(path, encoding='utf-8') as file:
        kept = file.read()
    blocks = ['evidence ' + block.strip() for block in kept.split('evidence ')[1:]]
    if len(blocks) != COUNT:
        print(f'{path}: {len(blocks)} evidences')
        return 1
    faults = 0
    for number in range(1, COUNT, options.check):
        expected, got = blocks[number].split('\n'), judge(number)
        same = len(expected) == len(got) and all(
            similar(a, b) for x, y in zip(expected, got)
            for a, b in zip(x.split(' '), y.split(' ')))
        if not same:
            faults += 1
            print('\n'.join([f'{path} has'] + expected + ['and the reference says'] + got))
    return min(faults, 1)


def similar(a, b):
    try:
        x, y = float(a), float(b)
    except ValueError:
        return a == b
    return abs(x - y) <= 1e-10 * max(1, abs(x)) or (math.isnan(x) and math.isnan(y))


if __name__ == '__main__':
    sys.exit(main())
