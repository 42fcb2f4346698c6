"""Benchmarks: each row has its yardstick beside it, in the same run, because machines are noisy."""
