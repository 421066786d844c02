"""Exceptions of the Kafka monitor; each knows the HTTP status that it becomes."""

from http import HTTPStatus

from common.errors import PlatformError

__all__ = ["BadInputError", "BusyError", "KafkaAwayError", "MonitorError", "NotFoundError"]


class MonitorError(PlatformError):
    """Base; the message is shown to the user as it is."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class BadInputError(MonitorError):
    """Tell the client what is wrong with the request and what to type instead."""

    status = HTTPStatus.BAD_REQUEST


class NotFoundError(MonitorError):
    """Tell the client that there is no such thing in this cluster."""

    status = HTTPStatus.NOT_FOUND


class KafkaAwayError(MonitorError):
    """Come again: Kafka does not answer now."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class BusyError(MonitorError):
    """Come again: as much is going on at once as this service allows."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
