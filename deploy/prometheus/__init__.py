"""Prometheus rules, and Prometheus itself for tests and benchmarks."""
