"""What other vendors' clients send and expect, in terms of our own contract; docs/fronts.md."""
