"""Measure tinygraph against NumPy by hand and against its peers: ``python -m benchmarks``."""
