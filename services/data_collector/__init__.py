"""Collects one tick each second from the exchanges and delivers it to Kafka, losing none."""
