"""The chaos drill: faults against real workers and a real broker, and the audit of what came of it."""
