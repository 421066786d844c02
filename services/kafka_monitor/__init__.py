"""A small read-only view of Kafka: brokers, topics, messages and consumer groups."""
