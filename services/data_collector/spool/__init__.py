"""A durable, bounded, ordered buffer on disk between the exchanges and Kafka."""

from data_collector.spool.home import Lease, SpoolHome
from data_collector.spool.records import Entry, Kind
from data_collector.spool.spool import Position, Record, Spool, SpoolOptions

__all__ = [
    "Entry",
    "Kind",
    "Lease",
    "Position",
    "Record",
    "Spool",
    "SpoolHome",
    "SpoolOptions",
]
