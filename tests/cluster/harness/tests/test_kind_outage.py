"""The API server of a kind cluster goes away and comes back."""

from __future__ import annotations

import json

import pytest

from tests.cluster.harness import kind_outage
from tests.cluster.harness.interface import HarnessError
from tests.cluster.harness.kind import KindCluster

from .conftest import StandIns

NODE = "exec flowkiln-mine-control-plane"
PARK = f"{NODE} mv {kind_outage.MANIFEST} {kind_outage.PARKED_MANIFEST}"
RETURN = f"{NODE} mv {kind_outage.PARKED_MANIFEST} {kind_outage.MANIFEST}"
KILL = f"{NODE} sh -c {kind_outage.KILL}"
LIST = f"{NODE} sh -c {kind_outage.LISTED}"


def after(command: str, times: int, stand_ins: StandIns) -> str:
    """Return a condition of the shell's: whether the record has a command at least so often."""
    return f'[ "$(grep --count --fixed-strings -- "{command}" {stand_ins.record})" -ge {times} ]'


def leases(stand_ins: StandIns) -> str:
    """Answer with leases that one component renews at the second look, the other at the third."""
    looks = "get leases --namespace=kube-system"

    def listed(manager: str, scheduler: str) -> str:
        times = {"kube-controller-manager": manager, "kube-scheduler": scheduler, "apiserver-0": "ever"}
        items = [{"metadata": {"name": name}, "spec": {"renewTime": time}} for name, time in times.items()]
        return f"echo '{json.dumps({'items': items})}'"

    third, second = after(looks, 3, stand_ins), after(looks, 2, stand_ins)
    return (
        f"if {third}; then {listed('12:01', '12:02')}; "
        f"elif {second}; then {listed('12:01', '12:00')}; else {listed('12:00', '12:00')}; fi"
    )


def test_it_is_killed_and_the_end_waits_until_the_control_plane_works(stand_ins: StandIns) -> None:
    """The block begins when no container and no sandbox of it is left; after it, each component has renewed its lease.

    With the manifest alone, the API server would answer its watches for half a minute more, and the scheduler and the
    controller manager would be away when the next test needs them.
    """
    stand_ins.answer(
        {
            f"docker {LIST}": f"{after(kind_outage.LISTED, 3, stand_ins)} || echo 0123",
            f"docker {KILL}": "exit 123",  # xargs: the container had ended already
            "kubectl * get --raw=/readyz *": "printf ok",
            "kubectl * get leases *": leases(stand_ins),
        }
    )
    with KindCluster("mine").api_server_down():
        assert stand_ins.asked("docker") == [PARK, *[KILL, LIST] * 3]
        assert stand_ins.asked("kubectl") == []
    assert stand_ins.asked("docker")[7:] == [RETURN]
    looks = [line for line in stand_ins.asked("kubectl") if "get leases" in line]
    assert len(looks) == 3


def test_the_manifest_comes_back_whatever_happens(stand_ins: StandIns) -> None:
    """Else every test afterwards would fail for it. A control plane without leases is not waited for."""
    stand_ins.answer(
        {
            f"docker {LIST}": "echo cannot list >&2; exit 1",
            "kubectl * get --raw=/readyz *": "printf ok",
            "kubectl * get leases *": """echo '{"items": []}'""",
        }
    )
    with pytest.raises(HarnessError, match="cannot list"), KindCluster("mine").api_server_down():
        pytest.fail("it is not known to be down")
    assert stand_ins.asked("docker")[-1] == RETURN
