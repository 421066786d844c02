"""What holds for every test."""

import hypothesis
from tests.support.kafka_sockets import close_dropped_sockets

close_dropped_sockets()
# No test is timed: a busy machine would fail it.
hypothesis.settings.register_profile("untimed", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("untimed")
