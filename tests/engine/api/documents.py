"""Documents with everything in them, for tests of models and of an API server."""

from __future__ import annotations

from typing import Any

FULL_FLOW: dict[str, Any] = {
    "description": "Monthly summaries",
    "parameters": [
        {"name": "year", "schema": {"type": "integer"}, "default": 2015},
        {"name": "unit", "schema": {"enum": ["celsius", "fahrenheit"]}},
        {"name": "note", "optional": True},
    ],
    "source": {"files": [{"path": "weather.py", "content": "def extract(year): ...\n"}]},
    "tasks": [
        {
            "name": "extract",
            "description": "Reads one year of observations",
            "function": "weather:extract",
            "inputs": [
                {"name": "year", "parameter": "year"},
                {"name": "token", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}},
                {"name": "options", "value": {"depth": [1, None, 2.5]}},
            ],
            "retries": {"max": 3, "delay": "10s", "backoffFactor": 2, "maxDelay": "5m", "jitterPercent": 10},
            "timeout": "5m",
        },
        {
            "name": "summarise",
            "function": "weather:summarise",
            "inputs": [{"name": "rows", "task": "extract", "map": True}],
            "trigger": {"rule": "SomeSuccessful", "atLeast": "50%", "atMost": 7},
            "tags": ["heavy"],
            "stateHandlers": ["weather:notify"],
        },
        {
            "name": "notify",
            "command": ["sh", "-c", "echo done"],
            "after": ["summarise"],
            "trigger": {"rule": "AllFinished"},
            "skipOnUpstreamSkip": False,
        },
    ],
    "referenceTasks": ["summarise"],
    "stateHandlers": ["weather:flow_changed"],
    "context": {"team": "climate", "nothing": None},
    "timeout": "2h",
    "cluster": {
        "image": "registry.example/weather:1",
        "imagePullPolicy": "IfNotPresent",
        "imagePullSecrets": [{"name": "pull"}],
        "serviceAccountAnnotations": {"example.org/role": "reader"},
        "startDeadline": "5m",
        "retainAfterFailure": "0s",
        "workers": {
            "replicas": 4,
            "processes": 1,
            "threads": 2,
            "ttl": "60s",
            "resources": {"requests": {"cpu": 1, "memory": "2Gi"}, "limits": {"memory": "4Gi"}},
        },
        "scheduler": {"resources": {"requests": {"cpu": "100m"}}},
        "podTemplate": {
            "labels": {"team": "climate"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
            "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
            "env": [
                {"name": "MODE", "value": "fast"},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "api", "key": "key"}}},
            ],
            "envFrom": [{"configMapRef": {"name": "settings"}}],
        },
    },
}
"""Every field of a Flow, valid."""

OPERATOR_STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "state": "Failed",
    "startTime": "2025-01-01T00:00:00Z",
    "completionTime": "2025-01-01T00:05:00Z",
    "plan": {"configMap": "weather-2015-plan", "sha256": "0" * 64, "flowGeneration": 3},
    "cluster": {"name": "weather-2015-c1", "number": 1},
    "conditions": [
        {
            "type": "Finished",
            "status": "True",
            "reason": "TaskFailed",
            "message": "load failed: no rows",
            "lastTransitionTime": "2025-01-01T00:05:00Z",
            "observedGeneration": 1,
        }
    ],
}
"""What the operator writes about a run that has ended."""

AGENT_STATUS: dict[str, Any] = {
    "flow": {
        "state": "Failed",
        "reason": "TaskFailed",
        "runCount": 1,
        "message": "load failed: no rows",
        "progress": "14/37",
        "attempt": 1,
        "holder": {"podUID": "8c2f", "schedulerId": "Scheduler-1"},
        "counts": {"Success": 14, "Failed": 1, "TriggerFailed": 22},
    },
    "tasks": [
        {"name": "extract", "state": "Success", "startTime": "2025-01-01T00:00:00Z", "runCount": 2},
        {
            "name": "summarise",
            "state": "Mapped",
            "children": {
                "total": 30,
                "counts": {"Success": 26, "Failed": 4},
                "indexes": [{"state": "Failed", "indexes": "12-15", "truncated": True}],
            },
        },
        {"name": "load", "state": "Failed", "message": "ValueError: no rows", "traceback": "…"},
    ],
}
"""What the agent writes about the same."""
