"""What the status screen says of an instance on a cluster, and its logs."""

import datetime
from typing import Any

import pytest
from plugins.module_utils import cluster_view as view
from plugins.module_utils.pod_lines import chosen_pods, prefixes
from plugins.modules import cluster_status, pod_logs

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
COMMANDS = {"logs": "LOGS", "startup": "STARTUP", "build": "BUILD", "namespace": "space"}


def pod(name: str = "web-app-1-a", **container: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/name": name.partition("-1")[0]},
            "creationTimestamp": "2026-01-01T11:00:00Z",
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [{"name": "c", "ready": True, "restartCount": 0, **container}],
        },
    }


def deployment(replicas: int = 1, ready: int = 1) -> dict[str, Any]:
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"},
                 "limits": {"cpu": "1", "memory": "128Mi"}}  # fmt: skip
    return {
        "kind": "Deployment",
        "metadata": {"name": "web-app", "uid": "u", "generation": 1},
        "spec": {
            "replicas": replicas,
            "template": {"spec": {"containers": [{"image": "i:1", "resources": resources}]}},
        },
        "status": {"observedGeneration": 1, "readyReplicas": ready, "updatedReplicas": ready,
                   "replicas": ready},
    }  # fmt: skip


def problems(service: dict[str, Any], **more: Any) -> list[str]:
    others: dict[str, Any] = {"claims": {}, "scalers": {}, "quota": {}, "routes": {}}
    status = {"services": {"web-app": service}, **others, **more}
    return view.cluster_problems(status, COMMANDS)


def test_a_healthy_service_is_shown_beside_its_requests_and_limits() -> None:
    used = {"web-app-1-a": {"cpu": 0.05, "memory": 2.0**26}}
    shown = view.service_view(deployment(), [pod()], used, NOW)
    assert (shown["state"], shown["ready"], shown["measured"]) == ("running", 1, True)
    assert shown["requests"]["cpu"] == 0.1
    assert shown["limits"]["memory"] == 2**27
    assert shown["pods"][0]["age_s"] == 3600
    assert problems(shown) == []


def test_what_sleeps_crashes_or_lacks_memory_is_said_with_what_to_type() -> None:
    asleep = view.service_view(deployment(0, 0), [], {}, NOW)
    assert problems(asleep) == ["web-app has no replicas. Type: STARTUP"]
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    killed = view.service_view(deployment(), [pod(restartCount=1, lastState=ended)], {}, NOW)
    (said,) = problems(killed)
    assert "limit 128Mi" in said
    assert "BUILD" in said
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    unready = view.service_view(deployment(1, 0), [pod(ready=False, state=waiting)], {}, NOW)
    (said,) = problems(unready)
    assert "not ready: c: ImagePullBackOff: no such image. Its log: LOGS -e service=web-app" in said


@pytest.mark.parametrize(("hour", "said"), [("11:59", True), ("10:30", False)])
def test_many_restarts_are_a_problem_while_they_are_recent(hour: str, said: bool) -> None:
    ended = {"reason": "Error", "exitCode": 255, "finishedAt": f"2026-01-01T{hour}:00Z"}
    often = pod(restartCount=9, lastState={"terminated": ended})
    shown = view.service_view(deployment(), [often, pod("web-app-1-b")], {}, NOW)
    assert [("restarted 9 times" in each) for each in problems(shown)] == [True] * said


def test_a_further_replica_that_starts_is_no_problem() -> None:
    starting = pod("web-app-1-b", ready=False)
    starting["metadata"]["creationTimestamp"] = "2026-01-01T11:59:30Z"
    grown = view.service_view(deployment(2, 1), [pod(), starting], {}, NOW)
    assert (grown["state"], problems(grown)) == ("starting", [])
    starting["metadata"]["creationTimestamp"] = "2026-01-01T11:50:00Z"
    late = view.service_view(deployment(2, 1), [pod(), starting], {}, NOW)
    assert late["state"] == "not ready"
    assert problems(late)


def test_claims_scalers_and_quota_have_their_say() -> None:
    shown = view.service_view(deployment(), [pod()], {}, NOW)
    claims = {"data": {"phase": "Pending", "size": "1Gi", "class": "slow"}}
    scalers = {"web-app": {"fault": "no metrics", "asleep": False}}
    quota = {"requests.cpu": {"used": "2950m", "hard": "3", "share": 0.98}}
    said = problems(shown, claims=claims, scalers=scalers, quota=quota)
    assert ["slow" in said[0], "no metrics" in said[1], "2950m of 3" in said[2]] == [True] * 3


@pytest.mark.parametrize(
    ("ingress", "url", "state", "fault"),
    [
        ([], "-", "no router has taken it", ""),
        ([{"host": "a.b", "admitted": "True"}], "https://a.b", "admitted", ""),
        ([{"host": "a.b", "admitted": "False"}], "https://a.b", "refused", "taken by another"),
    ],
)
def test_a_route_says_where_it_leads_and_what_its_router_says(
    ingress: list[dict[str, str]], url: str, state: str, fault: str
) -> None:
    told = [
        {
            "host": each["host"],
            "conditions": [
                {"type": "Admitted", "status": each["admitted"], "message": "taken by another"}
            ],
        }
        for each in ingress
    ]
    route = view.route_view({"spec": {"tls": {}, "to": {}}, "status": {"ingress": told}})
    assert route == {"url": url.replace("https", "http"), "state": state, "fault": fault}
    spec = {"tls": {"termination": "edge"}}
    assert view.route_view({"spec": spec, "status": {"ingress": told}})["url"] == url
    shown = view.service_view(deployment(), [pod()], {}, NOW)
    said = problems(shown, routes={"web-app": route})
    assert [fault in each for each in said] == [True] * bool(fault)


@pytest.mark.parametrize(
    ("seconds", "started", "fault"),
    [(60, 900, ""), (900, 60, ""), (900, 900, "no metrics yet"), (900, None, "no metrics yet")],
)
def test_an_autoscaler_may_wait_for_metrics_for_a_while(
    seconds: float, started: float | None, fault: str
) -> None:
    def ago(number: float) -> str:
        return (NOW - datetime.timedelta(seconds=number)).isoformat()

    since = ago(seconds)
    pods = [pod(state={"running": {"startedAt": ago(started)}})] if started else [pod()]
    condition = {"type": "ScalingActive", "status": "False", "message": "no metrics yet"}
    resource = {"target": {"averageUtilization": 70}}
    scaler = {
        "spec": {
            "maxReplicas": 3,
            "metrics": [{"resource": resource}],
            "scaleTargetRef": {"name": "web-app"},
        },
        "status": {"conditions": [{**condition, "lastTransitionTime": since}]},
    }
    assert view.scaler_view(scaler, pods, NOW)["fault"] == fault


def warning(name: str, message: str, at: str, kind: str = "Pod") -> dict[str, Any]:
    return {
        "metadata": {"creationTimestamp": "2026-01-01T10:00:00Z"},
        "involvedObject": {"kind": kind, "name": name},
        "type": "Warning",
        "reason": "R",
        "message": message,
        "lastTimestamp": at and f"2026-01-01T{at}:00Z",
    }


def test_warnings_are_told_once_with_their_age_and_not_of_an_autoscaler_that_works() -> None:
    scaler = "HorizontalPodAutoscaler"
    events = [
        warning("web-app", "no metrics", "11:50", scaler),
        warning("data-collector", "no metrics", "11:55", scaler),
        warning("kafka-0", "probe", "11:59"),
        warning("kafka-0", "probe", "11:40"),
        {**warning("kafka-0", "late", ""), "eventTime": "2026-01-01T11:58:00.5Z"},
        {**warning("kafka-0", "started", "11:58"), "type": "Normal"},
    ]
    scalers: dict[str, dict[str, Any]] = {
        "web-app": {"current": 12},
        "data-collector": {"current": None},
    }
    told = view.warnings(events, scalers, NOW)
    assert [(each["about"], each["text"], each["age_s"]) for each in told] == [
        ("data-collector", "R: no metrics", 300.0),
        ("kafka-0", "R: late", 119.5),
        ("kafka-0", "R: probe", 60.0),
    ]


def test_metrics_are_read_in_their_own_units() -> None:
    usages = [{"cpu": "1500000n", "memory": "2048Ki"}, {"cpu": "10m"}]
    items = [{"metadata": {"name": "p"}, "containers": [{"usage": used} for used in usages]}]
    assert view.pod_metrics(items) == {"p": {"cpu": 0.0115, "memory": 2048 * 1024}}


def test_kafka_s_tools_are_read() -> None:
    text = "prices:0:12\nprices:1:30\nother:0:5\n"
    assert cluster_status.topic_ends(text, ["prices"]) == {
        "prices": {"partitions": 2, "messages": 42}
    }
    table = (
        "\nGROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID\n"
        "writer prices 0 10 12 2 x /1 c\nwriter prices 1 30 30 0 x /1 c\n"
        "idle other 0 - 5 - - - -\n"
    )
    assert cluster_status.group_lags(table) == {"writer": 2}


def test_lines_of_pods_stand_in_the_order_of_their_time() -> None:
    pods = chosen_pods([pod("web-app-1-a"), pod("web-app-1-b"), pod("kafka-1")], [])
    assert chosen_pods([pod("web-app-1-a"), pod("kafka-1")], ["kafka"]) == {"kafka-1": "kafka"}
    titles = prefixes(pods)
    assert titles["kafka-1"] == "kafka     | "
    found = {
        "kafka-1": ["2026-01-01T00:00:02Z b"],
        "web-app-1-a": ["2026-01-01T00:00:01Z a", "2026-01-01T00:00:03Z c"],
    }
    assert pod_logs.merged(found, titles) == ["web-app/a | a", "kafka     | b", "web-app/a | c"]
