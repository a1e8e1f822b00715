"""What a shop lays down between the candidates and the policy: exclusions, boosts, limits, diversity."""
