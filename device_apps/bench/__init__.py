"""Benchmark of models on this machine: latency, startup time, memory, and the Pareto front of accuracy and latency."""
