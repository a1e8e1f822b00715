"""Baselines: what is published or simple, to be set beside the engine under the same protocol."""
