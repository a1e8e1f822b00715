"""Tests that every policy and every candidate source passes, for pytest to inherit: see docs/plugins.md."""
