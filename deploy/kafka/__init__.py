"""What the Kafka cluster needs to know of Freshslate."""
