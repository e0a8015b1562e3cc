"""Benchmarks: what each stage from frame to mask costs."""
