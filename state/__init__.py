"""What the engine knows and decides: pure, synchronous, deterministic."""
