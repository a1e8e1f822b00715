"""Everything that touches bytes, Kafka, disk and the environment; it decides nothing about users or items."""
