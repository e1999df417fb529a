"""asv benchmarks: `asv run --python=same --quick`."""
