"""Wire types and edges shared by every service: settings, logs, health, Kafka, store."""
