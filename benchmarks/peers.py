"""fastnn beside JAX, scikit-learn and PyTorch, a step at a time: `python -m benchmarks.peers [--only ...] [--quick]`.

Every side's step includes its share of the shuffle, the gather of the mini-batch, forward, the loss's value, backward
and Adam. A row first verifies that all sides compute the same losses, from the same weights over the same batches; then
each tries its settings for a moment, and the best of them is measured in turns with the others, each in a process of
its own. Quoted are medians and minima of the rounds. Missing rivals leave their columns empty.
"""

import argparse
import os
import platform
import statistics
import sys

import numpy as np

from benchmarks import ceiling, costs, rivals, rows, worker

RIVALS = ("JAX", "scikit-learn", "torch")
CHECKED_EPOCHS = 3
# float32 rounds to 6e-8, and the sides add thousands of terms in different orders: up to 3e-6 was seen. The last row
# runs the same code in float64.
ALLOWED = {"float64": 1e-6, "float32": 1e-5}
UNITS = {"us": 1e6, "ms": 1e3}


def verify(net, workers):
    """Compare every setting of every side with the first; return the largest difference seen."""
    losses = {(w.side, s): np.array(w.check(s, CHECKED_EPOCHS)) for w in workers for s in w.settings}
    first, *_ = losses.values()
    worst = 0.0
    for (side, setting), values in losses.items():
        difference = np.max(np.abs(values / first - 1))
        if not difference <= ALLOWED[net.dtype]:
            raise worker.Failure(f"{net.name}: {side} ({setting}) has losses {values}, {workers[0].side} {first}")
        worst = max(worst, difference)
    return worst


def best_setting(side, seconds):
    """Let a rival try its settings for a moment each, three times in turns."""
    if len(side.settings) == 1:
        return side.settings[0]
    for setting in side.settings:
        side.settle(setting, seconds / 4)
    tried = worker.in_turns({setting: (side, setting) for setting in side.settings}, 3)
    return min(tried, key=lambda setting: min(tried[setting]))


def measure(net, sides, rounds, seconds):
    """Return ({column: seconds of each round}, note on the check, the load, and the sides' versions)."""
    with worker.team([(side, net) for side in sides]) as workers:
        present = [w for w in workers if not w.missing]
        worst = verify(net, present)
        columns = {}
        for each in present:
            if each.side == "fastnn":
                columns |= {f"{each.side} {setting}": (each, setting) for setting in each.settings}
            else:
                columns[each.side] = each, best_setting(each, seconds)
        for each, setting in columns.values():
            each.settle(setting, seconds)
        load = worker.Load(present)
        measured = worker.in_turns(columns, rounds)
        chosen = {each.side: f" ({setting})" for each, setting in columns.values() if each.side != "fastnn"}
        versions = "; ".join(w.version + chosen.get(w.side, "") for w in workers)
        note = f"losses of {CHECKED_EPOCHS} epochs agree to {worst:.0e} on {len(present)} sides; {load}; {versions}"
        return measured, note


def ours(measured):
    """Columns of fastnn, by setting."""
    return {column.removeprefix("fastnn "): times for column, times in measured.items() if column.startswith("fastnn ")}


def report(row, measured, note, ceilings):
    """Print a row of the table and what there is to say about it."""
    net = row.net
    medians = {column: statistics.median(times) for column, times in measured.items()}
    unit = "us" if min(medians.values()) < 1e-3 else "ms"
    columns = [f"fastnn {s}" for s in (*map(str, sorted({1, ceiling.cores()})), "None")] + list(RIVALS)
    print(f"\n{net.name}: layers {list(net.sizes)}, {net.m} examples, batch {net.batch}, {net.dtype}, Adam")
    print(f"  {unit + ' a step':10}" + "".join(f"{column:>14}" for column in columns))
    for name, choose in (("median", statistics.median), ("minimum", min)):
        texts = [f"{choose(measured[c]) * UNITS[unit]:.4g}" if c in measured else "-" for c in columns]
        print(f"  {name:10}" + "".join(f"{text:>14}" for text in texts))
    own = ours(measured)
    if own:
        mine = medians["fastnn None"]
        ratios = {side: medians[side] / mine for side in RIVALS if side in medians}
        texts = [f"{side} {ratio:.3g}x" for side, ratio in ratios.items()]
        if row.kind == "JAX" and "JAX" in ratios:
            texts[0] += f" ({row.verdict(ratios['JAX'])})"
        print(f"  n_threads=None is faster than: {', '.join(texts) or 'nobody here'}")
        if row.kind == "milliseconds":
            print(f"  {mine * 1e3:.3f} ms a step ({row.verdict(mine * 1e3)})")
        print(f"  {costs.threads_note(own)}")
    if net.wide:
        shares = {}
        for column, median in medians.items():
            n_threads = 1 if column == "fastnn 1" else ceiling.cores()
            shares[column] = net.flops / median / ceilings[net.dtype, n_threads]
        texts = [f"{column} {100 * share:.0f} %" for column, share in shares.items()]
        verdict = f" ({row.verdict(shares['fastnn None'])})" if own and row.kind == "share" else ""
        floor = net.flops / ceilings[net.dtype, ceiling.cores()]
        print(f"  share of the ceiling: {', '.join(texts)}{verdict}; floor {floor * UNITS[unit]:.4g} {unit}")
    print(f"  {note}", flush=True)


def print_machine(cleared):
    """Print where this runs; return the ceilings."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as info:
            model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), model)
    ceilings = ceiling.measure()
    print(f"{model}, {ceiling.cores()} cores, {platform.system()}, Python {platform.python_version()}")
    print(f"NumPy {np.__version__}; environment variables taken out: {cleared}")
    texts = [f"{dtype} {rate / 1e9:.0f} on {n}" for (dtype, n), rate in ceilings.items()]
    print(f"fused multiply-adds between registers, GFLOP/s: {', '.join(texts)} thread(s)", flush=True)
    return ceilings


def main():
    """Print the table, then what dropout, threads, layers, calls and first runs cost."""
    cleared = worker.run_clean("benchmarks.peers")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [row.net.name for row in rows.ROWS] + list(costs.SECTIONS)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of: {', '.join(names)}")
    parser.add_argument("--sides", nargs="+", choices=list(rivals.SIDES), default=["fastnn", *RIVALS])
    parser.add_argument("--quick", action="store_true", help="3 short rounds instead of 9")
    arguments = parser.parse_args()
    chosen = arguments.only or names
    rounds, seconds = (3, 0.1) if arguments.quick else (9, 0.3)
    ceilings = print_machine(cleared)
    try:
        for row in rows.ROWS:
            if row.net.name in chosen:
                report(row, *measure(row.net, arguments.sides, rounds, seconds), ceilings)
        for name, section in costs.SECTIONS.items():
            if name in chosen:
                print(f"\n{name}: {section.__doc__}")
                section(rounds, seconds)
                sys.stdout.flush()
    except worker.Failure as failure:
        sys.exit(f"\n{failure}")


if __name__ == "__main__":
    main()
