"""What holds for every test."""

from tests.support.kafka_sockets import close_dropped_sockets

close_dropped_sockets()
