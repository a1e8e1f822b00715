"""The HTTP API: one more Kafka client, which sends events and follows slates."""
