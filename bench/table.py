"""Samples in, one table out: for a terminal, for Markdown, or as JSON."""
import collections
import dataclasses
import json
import statistics
import typing


def percentile(samples, share):
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


STATISTICS = {'median': statistics.median, 'min': min, 'max': max,
              'p99': lambda samples: percentile(samples, 0.99)}


class Results:
    """metric → program → samples."""

    def __init__(self):
        self.samples = collections.defaultdict(lambda: collections.defaultdict(list))
        self.peers = []

    def add(self, metric, program, *values):
        self.samples[metric][program].extend(values)

    def has(self, metric):
        return metric in self.samples

    def value(self, metric, program, statistic='median'):
        """None where nothing was measured."""
        samples = self.samples[metric].get(program) if metric in self.samples else None
        return STATISTICS[statistic](samples) if samples else None

    def best_peer(self, metric, statistic='median'):
        values = [self.value(metric, p, statistic) for p in self.peers]
        return min((v for v in values if v is not None), default=None)

    def ratio(self, metric, statistic):
        """shim ÷ the best peer; None without one, or when both or the peer are at zero."""
        ours, best = self.value(metric, 'shim', statistic), self.best_peer(metric, statistic)
        return ours / best if ours is not None and best else None


@dataclasses.dataclass
class Row:
    metric: str
    label: str
    statistic: str = 'median'
    digits: int = 1
    target: typing.Optional[tuple] = None


def at_most(words, limit):
    """A target: what it says, and a function that gives the number once all is measured."""
    return words, limit


def verdict(results, row):
    """'' without a target; else its words, and met or missed when it can be told."""
    if not row.target:
        return ''
    words, limit = row.target
    ours = results.value(row.metric, 'shim', row.statistic)
    try:
        bound = limit()
    except TypeError:  # a peer that was not measured
        bound = None
    if ours is None or bound is None:
        return words
    return f'{words}: {"met" if ours <= bound else "MISSED"}'


def number(value, digits):
    if value is None:
        return '-'
    if value == int(value) or abs(value) >= 1000:
        return f'{value:,.0f}'
    return f'{value:,.{digits}f}'


def cells(results, row, names):
    ratio = results.ratio(row.metric, row.statistic)
    return [row.label,
            *(number(results.value(row.metric, n, row.statistic), row.digits) for n in names),
            f'{ratio:.2f}' if ratio is not None else '-',
            verdict(results, row)]


def heading(names):
    return ['', *names, '÷ best peer', 'target']


def baseline(results):
    start, end = results.value('start', 'direct exec'), results.value('exit', 'direct exec')
    if start is None:
        return ''
    return (f'direct exec of the same app: {start:.0f} µs to its first instruction, '
            f'{end:.0f} µs from its end')


def circumstances(facts):
    yield (f'{facts["cpu"]}, {facts["cpus"]} CPUs, Linux {facts["kernel"]}, '
           f'load {facts["load"]:.1f}, {facts["date"]}, {facts["seconds"]} s')
    yield ', '.join(f'{name}: {text}' for name, text in facts['versions'].items() if text)


def print_table(results, table, names, facts):
    lines = [heading(names)] + [cells(results, row, names) for row in table]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        middle = '  '.join(c.rjust(w) for c, w in zip(line[1:-1], widths[1:-1]))
        print(f'{line[0].ljust(widths[0])}  {middle}  {line[-1]}'.rstrip())
    print('', baseline(results), *circumstances(facts), sep='\n')


def print_markdown(results, table, names, facts):
    print('| ' + ' | '.join(heading(names)) + ' |')
    print('|---|' + '---:|' * (len(names) + 1) + '---|')
    for row in table:
        line = cells(results, row, names)
        line[0] = line[0].replace('  ', '&nbsp;&nbsp;')
        print('| ' + ' | '.join(line) + ' |')
    print('', *(f'{line}  ' for line in (baseline(results), *circumstances(facts))), sep='\n')


def print_json(results, table, names, facts):
    figures = []
    for metric, programs in results.samples.items():
        figures.append({
            'metric': metric,
            'label': next((r.label for r in table if r.metric == metric), metric),
            'programs': {n: {'samples': len(s),
                             **{k: round(f(s), 3) for k, f in STATISTICS.items()}}
                         for n, s in programs.items()},
            'ratio_to_best_peer': {k: results.ratio(metric, k) for k in STATISTICS}})
    targets = [{'label': r.label.strip(), 'metric': r.metric, 'statistic': r.statistic,
                'verdict': verdict(results, r)} for r in table if r.target]
    print(json.dumps({'machine': facts, 'programs': names, 'figures': figures, 'targets': targets},
                     indent=1, ensure_ascii=False))
