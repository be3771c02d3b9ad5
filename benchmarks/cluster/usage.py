"""What the processes of a container use, as its own /proc tells it."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.cluster.testbed import Testbed

TICKS = 100  # a second, on every Linux that Kubernetes runs on (USER_HZ)
MARK = "==="
# Everything in one go, and by the shell alone: what looks must not be seen for long.
LOOK = f'for process in /proc/[0-9]*; do echo "{MARK}"; cat "$process/stat" "$process/status" 2>/dev/null; done'
LOOKERS = ("sh", "cat", "dash", "bash")
UTIME, STIME = 11, 12  # fields of /proc/PID/stat behind the closing parenthesis of the name


@dataclass(frozen=True)
class Usage:
    """What the processes of a container have used so far."""

    cpu: float  # seconds
    memory: float  # bytes, resident now
    peak: float  # bytes: the sum of each process's highest


def look(testbed: Testbed, namespace: str, pod: str, container: str) -> Usage:
    """Look at a container now."""
    said = testbed.cluster.kubectl(
        *("exec", pod, f"--namespace={namespace}", f"--container={container}", "--", "sh", "-c", LOOK), check=False
    )
    return parse(said)


def parse(said: str) -> Usage:
    """Read what `LOOK` printed, without the processes that looked; ValueError when there are no others."""
    cpu = memory = peak = 0.0
    found = False
    for process in said.split(f"{MARK}\n"):
        stat, _, status = process.partition("\n")
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if "VmHWM" not in lines or lines["Name"].strip() in LOOKERS:
            continue
        found = True
        fields = stat.rpartition(")")[2].split()
        cpu += (int(fields[UTIME]) + int(fields[STIME])) / TICKS
        memory += _bytes(lines["VmRSS"])
        peak += _bytes(lines["VmHWM"])
    if not found:
        raise ValueError(f"no process in what the container's /proc said: {said!r}")
    return Usage(cpu, memory, peak)


def _bytes(text: str) -> float:
    amount, unit = text.split()
    if unit != "kB":
        raise ValueError(f"/proc says {text!r} where kB was expected")
    return int(amount) * 1024.0
