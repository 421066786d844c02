"""Live data: one reader of Kafka for the process, a bounded ring, and a queue for each client."""

from web_app.live.event import Event, Position
from web_app.live.hub import Hub, Subscription
from web_app.live.reader import KafkaReader

__all__ = ["Event", "Hub", "KafkaReader", "Position", "Subscription"]
