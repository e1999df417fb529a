"""Time of a step against the batch and against the weights, beside the floor: `python -m benchmarks.scaling`.

The floor is the arithmetic of a step over the measured rate of multiply-adds on all cores; the share of that rate
should never fall as the work grows. float32, relu, softmax, Adam; medians of rounds.
"""

import argparse
import statistics
import sys
from pathlib import Path

from benchmarks import ceiling, nets, peers, rivals, worker

BATCHES = tuple(64 * 2**power for power in range(11))
# Three layers of weights; 2 w^2 + 10 w of them for a width of w.
WIDTHS = (20, 36, 68, 120, 220, 384, 704, 1222, 2234)
FALL = 0.10


def sweeps():
    """Return {what grows: [net, ...]}, by growing work."""
    return {
        "batch": [nets.WIDE.but(batch=batch, m=max(8192, batch)) for batch in BATCHES],
        "weights": [nets.WIDE.but(sizes=(w, w, w, 10), batch=1024) for w in WIDTHS],
    }


def step_seconds(side, net, rounds, seconds):
    """Median seconds of a step, all cores or as many as pay."""
    with worker.Worker(side, net) as ours:
        if ours.missing:
            raise worker.Failure(ours.version)
        setting = "None" if "None" in ours.settings else peers.best_setting(ours, seconds)
        ours.settle(setting, seconds)
        return statistics.median(ours.measure(setting) for _ in range(rounds))


def falls(shares):
    """Return the largest relative fall below an earlier point's share."""
    return max(1 - share / max(shares[: index + 1]) for index, share in enumerate(shares))


def draw(tables, path):
    """Draw times and shares of {what grows: [(work, seconds, floor), ...]} into a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7), layout="constrained")
    axes = figure.subplots(2, 2, sharex="col")
    for column, (name, table) in enumerate(tables.items()):
        work, times, floors = zip(*table, strict=True)
        above, below = axes[:, column]
        above.loglog(work, [1e3 * time for time in times], "o-", label="step")
        above.loglog(work, [1e3 * floor for floor in floors], "--", color="gray", label="floor: products alone")
        above.set(ylabel="ms a step", title=f"against the {name}")
        above.legend()
        below.semilogx(work, [100 * floor / time for _, time, floor in table], "o-")
        below.set(xlabel=name, ylabel="% of the ceiling", ylim=(0, 100))
        for each in (above, below):
            each.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main():
    """Print and draw both sweeps; end with an error if a share falls."""
    cleared = worker.run_clean("benchmarks.scaling")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", choices=list(rivals.SIDES), default="fastnn")
    parser.add_argument("--output", type=Path, default=Path("fastnn-results/scaling.png"))
    parser.add_argument("--quick", action="store_true", help="every other point, 3 short rounds instead of 9")
    arguments = parser.parse_args()
    rounds, seconds = (3, 0.1) if arguments.quick else (9, 0.3)
    rate = peers.print_machine(cleared)["float32", ceiling.cores()]
    tables, worst = {}, 0.0
    for name, points in sweeps().items():
        print(f"\n{name:>10}{'ms a step':>14}{'floor':>12}{'share':>10}")
        tables[name] = []
        for net in points[:: 2 if arguments.quick else 1]:
            try:
                seconds_a_step = step_seconds(arguments.side, net, rounds, seconds)
            except worker.Failure as failure:
                sys.exit(str(failure))
            work, floor = net.batch if name == "batch" else net.weights, net.flops / rate
            tables[name].append((work, seconds_a_step, floor))
            share = 100 * floor / seconds_a_step
            print(f"{work:10}{1e3 * seconds_a_step:14.4g}{1e3 * floor:12.4g}{share:8.1f} %", flush=True)
        fall = falls([floor / time for _, time, floor in tables[name]])
        worst = max(worst, fall)
        print(f"the share falls by at most {100 * fall:.1f} % as the {name} grows: allowed {100 * FALL:.0f} %")
    draw(tables, arguments.output)
    print(f"\ndrawn into {arguments.output}")
    if worst > FALL:
        sys.exit("MISSED: the share of the ceiling falls as the work grows")


if __name__ == "__main__":
    main()
