#!/usr/bin/python
"""Have Kafka topics as declared."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kafka_cluster import admin_client

DOCUMENTATION = r"""
---
module: kafka_topics
short_description: Have Kafka topics as declared
description:
  - Creates topics, adds partitions, sets configurations; reports each difference.
  - Replication factor and min.insync.replicas follow from the number of brokers (1 gives 1 and 1,
    2 gives 2 and 1, 3 or more give 3 and 2).
options:
  bootstrap: {description: host:port of Kafka., type: str, required: true}
  brokers: {description: Number of brokers., type: int, default: 1}
  topics:
    description: Topics that must be there.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Name., type: str, required: true}
      partitions: {description: Number of partitions., type: int, default: 1}
      config: {description: Topic configuration., type: dict, default: {}}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
differences: {description: One line for each difference., type: list, returned: always}
"""


def main() -> None:
    topic = {
        "name": {"type": "str", "required": True},
        "partitions": {"type": "int", "default": 1},
        "config": {"type": "dict", "default": {}},
    }
    module = AnsibleModule(
        argument_spec={
            "bootstrap": {"type": "str", "required": True},
            "brokers": {"type": "int", "default": 1},
            "topics": {"type": "list", "elements": "dict", "required": True, "options": topic},
        },
        supports_check_mode=True,
    )
    from kafka.errors import KafkaError

    wanted = {
        item["name"]: (item["partitions"], wanted_config(item["config"], module.params["brokers"]))
        for item in module.params["topics"]
    }
    try:
        with admin_client(module.params["bootstrap"]) as client:
            differences = converge(
                client, wanted, replication(module.params["brokers"])[0], check=module.check_mode
            )
    except ValueError as error:
        module.fail_json(msg=str(error))
    except KafkaError as error:
        if module.check_mode:  # on the very first run there is no broker to ask
            module.exit_json(
                changed=True, differences=[f"topic {name}: to be made" for name in wanted]
            )
        module.fail_json(msg=f"Kafka at {module.params['bootstrap']} refuses: {error}")
    module.exit_json(changed=bool(differences), differences=differences)


def replication(brokers: int) -> tuple[int, int]:
    """Return (replication factor, min.insync.replicas) for a number of brokers."""
    factor = min(brokers, 3)
    return factor, max(1, factor - 1)


def wanted_config(config: dict[str, Any], brokers: int) -> dict[str, str]:
    """Return the topic's whole configuration, as Kafka's strings."""
    texts = {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in config.items()
    }
    return {"min.insync.replicas": str(replication(brokers)[1]), **texts}


def converge(
    client: Any, wanted: dict[str, tuple[int, dict[str, str]]], factor: int, *, check: bool
) -> list[str]:
    """Bring the topics to ``wanted``; return what differed.

    Raises `ValueError` for what Kafka cannot do.
    """
    found = {
        topic["name"]: len(topic["partitions"])
        for topic in client.describe_topics()
        if topic["name"] in wanted
    }
    too_many = {name: count for name, count in found.items() if count > wanted[name][0]}
    if too_many:
        name, count = next(iter(too_many.items()))
        raise ValueError(
            f"topic {name} has {count} partitions and Kafka cannot take any away: "
            f"declare at least {count} in inventory/group_vars/all/kafka.yml"
        )
    return [
        *_create(
            client, {n: spec for n, spec in wanted.items() if n not in found}, factor, check=check
        ),
        *_add_partitions(client, wanted, found, check=check),
        *_set_configs(client, {n: wanted[n][1] for n in found}, check=check),
    ]


def _create(
    client: Any, missing: dict[str, tuple[int, dict[str, str]]], factor: int, *, check: bool
) -> list[str]:
    if missing and not check:
        client.create_topics(
            {
                name: {"num_partitions": count, "replication_factor": factor, "configs": config}
                for name, (count, config) in missing.items()
            },
            wait_for_metadata=True,
        )
    return [f"topic {name}: made with {count} partition(s)" for name, (count, _) in missing.items()]


def _add_partitions(
    client: Any,
    wanted: dict[str, tuple[int, dict[str, str]]],
    found: dict[str, int],
    *,
    check: bool,
) -> list[str]:
    grown = {name: wanted[name][0] for name, count in found.items() if count < wanted[name][0]}
    if grown and not check:
        client.create_partitions(grown)
    return [f"topic {name}: partitions {found[name]} -> {count}" for name, count in grown.items()]


def _set_configs(client: Any, wanted: dict[str, dict[str, str]], *, check: bool) -> list[str]:
    from kafka.admin import ConfigResource, ConfigResourceType

    if not wanted:
        return []
    kind = ConfigResourceType.TOPIC
    answer = client.describe_configs(
        [ConfigResource(kind, name) for name in wanted], config_filter="all"
    )
    differences: list[str] = []
    changes: list[Any] = []
    for name, config in wanted.items():
        current = {key: info["value"] for key, info in answer["topic"][name].items()}
        changed = {key: value for key, value in config.items() if current.get(key) != value}
        differences += [
            f"topic {name}: {key} {current.get(key)} -> {value}" for key, value in changed.items()
        ]
        if changed:
            changes.append(ConfigResource(kind, name, changed))
    if changes and not check:
        client.alter_configs(changes)
    return differences


if __name__ == "__main__":
    main()
