"""Check keywords for Dask: Dask rejects unknown ones only when the run starts, or not at all."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable
from functools import cache

from distributed import Client, LocalCluster, Nanny, Worker


def check_keywords(keywords: Iterable[str], *, has_address: bool) -> None:
    """Check keywords of a client, and without an address of its local cluster and workers.

    Raises:
        TypeError: one of them is unknown; the message suggests the most similar known one.
    """
    of_client, of_cluster = _known(Client), _known(LocalCluster, Worker, Nanny)
    known = of_client if has_address else of_client | of_cluster
    for keyword in keywords:
        if keyword in known:
            continue
        if keyword in of_cluster:
            raise TypeError(
                f"DaskExecutor got the keyword {keyword!r}, which is for a cluster of its own; at an address the "
                "cluster is there already."
            )
        near = difflib.get_close_matches(keyword, known, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise TypeError(f"DaskExecutor got an unexpected keyword {keyword!r}.{meant}")


@cache
def _known(*classes: type) -> frozenset[str]:
    return frozenset(
        name
        for one in classes
        for name, parameter in inspect.signature(one).parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    )
