"""Every figure that Wherefrom gives of itself, beside its peers: `python -m benchmarks`, or `make bench`."""
