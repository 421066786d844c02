"""Settings of the Kafka monitor."""

from typing import Annotated

from pydantic import Field, field_validator

from common.settings import CommaSeparated, Port, ServiceSettings, split_commas

__all__ = ["MonitorSettings"]


class MonitorSettings(ServiceSettings):
    """What the Kafka monitor is told besides what every service is."""

    service_name: str = "kafka-ui"
    web_host: str = "127.0.0.1"
    web_port: Port = 8080
    listen_fd: Annotated[int, Field(ge=0)] | None = None  # a listening socket that we inherit
    web_allowed_hosts: CommaSeparated = ("localhost", "127.0.0.1")  # against DNS rebinding
    web_max_tails: Annotated[int, Field(ge=1, le=100)] = 16

    @field_validator("web_allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        return split_commas(value)

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            host, _, port = address.rpartition(":")
            if not (host and port.isdigit() and 0 < int(port) < 65536):
                raise ValueError(f"{address!r} is no address; type host:port, e.g. 127.0.0.1:9092")
        if not value:
            raise ValueError("name at least one broker, for example 127.0.0.1:9092")
        return value
