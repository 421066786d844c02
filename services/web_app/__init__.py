"""The page and the API: history from the store, live data from Kafka, server-sent events."""
