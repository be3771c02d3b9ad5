"""The configuration files of the node's programs."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.harness import audit

from .certificates import Authority, Pair, service_account_keys
from .packages import CNI_PLUGINS
from .sandbox import NODE_ADDRESS

API_PORT = 6443
POD_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
CLUSTER_DOMAIN = "cluster.local"
PAUSE_IMAGE = "localhost/pause:1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"  # in the node's own /run

CONTAINERD = f"""
version = 2
[plugins."io.containerd.internal.v1.opt"]
  path = "/run/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE, as in many build machines, nobody may lower a process's oom_score_adj.
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{CNI_PLUGINS}"
  conf_dir = "%(folder)s/cni"
"""

COREDNS = f"""
.:53 {{
    bind {NODE_ADDRESS}
    errors
    health 127.0.0.1:8080
    ready 127.0.0.1:8181
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig %(kubeconfig)s
        pods insecure
        ttl 5
    }}
    cache 5
}}
"""


CNI: Mapping[str, Any] = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "pods0",
            "isGateway": True,
            "hairpinMode": True,
            "ipMasq": False,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_NETWORK}]], "routes": [{"dst": "0.0.0.0/0"}]},
        }
    ],
}


@dataclass(frozen=True)
class Configuration:
    """The files that were written, by what they are for."""

    folder: Path
    authority: Pair
    api_server: Pair
    kubelet_client: Pair
    service_accounts: Pair

    def kubeconfig(self, user: str) -> Path:
        """Return the kubeconfig with which one of the node's own programs talks to the API server."""
        return self.folder / f"{user}.kubeconfig"


def write_configuration(folder: Path, node: str, cgroup: str, outside_port: int) -> Configuration:
    """Write everything that the node's programs read, and `folder/kubeconfig` for users on this host."""
    certificates = folder / "certificates"
    certificates.mkdir()
    authority = Authority(certificates)
    api_names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    configuration = Configuration(
        folder=folder,
        authority=authority.pair,
        api_server=authority.server(
            "api-server",
            "kube-apiserver",
            [*api_names, f"kubernetes.default.svc.{CLUSTER_DOMAIN}"],
            ["127.0.0.1", NODE_ADDRESS, API_SERVICE_ADDRESS],
        ),
        kubelet_client=authority.client("kubelet-client", "kube-apiserver-kubelet-client", ["system:masters"]),
        service_accounts=service_account_keys(certificates),
    )
    users = {
        "kube-controller-manager": authority.client("controller-manager", "system:kube-controller-manager"),
        "kube-scheduler": authority.client("scheduler", "system:kube-scheduler"),
        "kube-proxy": authority.client("proxy", "system:kube-proxy"),
        "kubelet": authority.client("kubelet", f"system:node:{node}", ["system:nodes"]),
        "coredns": authority.client("coredns", "system:coredns"),
    }
    for user, pair in users.items():
        _write_kubeconfig(configuration.kubeconfig(user), API_PORT, authority.pair, pair)
    admin = authority.client("admin", "flowkiln-test-admin", ["system:masters"])
    _write_kubeconfig(folder / "kubeconfig", outside_port, authority.pair, admin)
    _write_kubeconfig(folder / "kubeconfig-in-network", API_PORT, authority.pair, admin)

    (folder / "cni").mkdir()
    (folder / "cni" / "pods.conflist").write_text(json.dumps(CNI))
    (folder / "resolv.conf").touch()
    (folder / "containerd.toml").write_text(CONTAINERD % {"folder": folder})
    (folder / "Corefile").write_text(COREDNS % {"kubeconfig": configuration.kubeconfig("coredns")})
    _write_yaml(folder / "audit-policy.yaml", audit.POLICY)
    kubelet_server = authority.server("kubelet-server", f"system:node:{node}", [node], [NODE_ADDRESS])
    _write_yaml(folder / "kubelet.yaml", _kubelet(folder, cgroup, authority.pair, kubelet_server))
    _write_yaml(folder / "kube-proxy.yaml", _proxy(node, configuration.kubeconfig("kube-proxy")))
    return configuration


def _kubelet(folder: Path, cgroup: str, authority: Pair, server: Pair) -> Mapping[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(server.certificate),
        "tlsPrivateKeyFile": str(server.key),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(folder / "resolv.conf"),
        "makeIPTablesUtilChains": False,
        "serializeImagePulls": False,
        "maxPods": 250,
        # The host's disk and memory are not the node's own: a full disk must not evict the pods of a test.
        "evictionHard": {
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
        },
        "imageGCHighThresholdPercent": 100,
    }


def _proxy(node: str, kubeconfig: Path) -> Mapping[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": POD_NETWORK,
        "hostnameOverride": node,
        # Values other than these would be written to sysctls that belong to the host.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _write_kubeconfig(file: Path, port: int, authority: Pair, user: Pair) -> None:
    cluster = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority-data": _base64(authority.certificate),
    }
    credentials = {
        "client-certificate-data": _base64(user.certificate),
        "client-key-data": _base64(user.key),
    }
    file.touch(mode=0o600)
    _write_yaml(
        file,
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "flowkiln-test", "cluster": cluster}],
            "users": [{"name": "flowkiln-test", "user": credentials}],
            "contexts": [{"name": "flowkiln-test", "context": {"cluster": "flowkiln-test", "user": "flowkiln-test"}}],
            "current-context": "flowkiln-test",
        },
    )


def _write_yaml(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(yaml.safe_dump(content, sort_keys=False))


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
