"""The node's processes: the command line of each."""

from __future__ import annotations

from collections.abc import Mapping

from .binaries import Binaries
from .configuration import API_PORT, CONTAINERD_SOCKET, SERVICE_NETWORK, Configuration
from .sandbox import NODE_ADDRESS

CONTAINERD = "containerd"
ETCD = "etcd"
API_SERVER = "kube-apiserver"
COREDNS = "coredns"

# What must be there before the API server answers, and what needs an API server that answers.
FIRST = (CONTAINERD, ETCD, API_SERVER)
THEN = ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", COREDNS)

ETCD_URL = "http://127.0.0.1:2379"  # loopback of the node's own network namespace


def command_lines(binaries: Binaries, configuration: Configuration, node: str) -> Mapping[str, list[str]]:
    """Return the command line of every process by its name."""
    folder = configuration.folder
    return {
        CONTAINERD: [CONTAINERD, f"--config={folder / 'containerd.toml'}", f"--address={CONTAINERD_SOCKET}"],
        ETCD: [
            str(binaries.etcd),
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={ETCD_URL}",
            f"--advertise-client-urls={ETCD_URL}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ],
        API_SERVER: [str(binaries.component(API_SERVER)), *_api_server(configuration)],
        "kube-controller-manager": [
            str(binaries.component("kube-controller-manager")),
            *_kubeconfigs(configuration, "kube-controller-manager"),
            f"--root-ca-file={configuration.authority.certificate}",
            f"--service-account-private-key-file={configuration.service_accounts.key}",
            f"--cluster-signing-cert-file={configuration.authority.certificate}",
            f"--cluster-signing-key-file={configuration.authority.key}",
            "--use-service-account-credentials",
            "--leader-elect=false",
        ],
        "kube-scheduler": [
            str(binaries.component("kube-scheduler")),
            *_kubeconfigs(configuration, "kube-scheduler"),
            "--leader-elect=false",
        ],
        "kubelet": [
            str(binaries.component("kubelet")),
            f"--config={folder / 'kubelet.yaml'}",
            f"--kubeconfig={configuration.kubeconfig('kubelet')}",
            f"--hostname-override={node}",
            f"--node-ip={NODE_ADDRESS}",
        ],
        "kube-proxy": [str(binaries.component("kube-proxy")), f"--config={folder / 'kube-proxy.yaml'}"],
        COREDNS: [str(binaries.coredns), f"-conf={folder / 'Corefile'}"],
    }


def _api_server(configuration: Configuration) -> list[str]:
    folder = configuration.folder
    return [
        f"--etcd-servers={ETCD_URL}",
        f"--advertise-address={NODE_ADDRESS}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        f"--client-ca-file={configuration.authority.certificate}",
        f"--requestheader-client-ca-file={configuration.authority.certificate}",
        "--requestheader-allowed-names=nobody",  # no aggregated API servers
        f"--tls-cert-file={configuration.api_server.certificate}",
        f"--tls-private-key-file={configuration.api_server.key}",
        f"--kubelet-client-certificate={configuration.kubelet_client.certificate}",
        f"--kubelet-client-key={configuration.kubelet_client.key}",
        "--kubelet-preferred-address-types=InternalIP",  # nobody can look up the node's name
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={configuration.service_accounts.certificate}",
        f"--service-account-signing-key-file={configuration.service_accounts.key}",
        f"--audit-policy-file={folder / 'audit-policy.yaml'}",
        f"--audit-log-path={folder / 'audit.log'}",
        "--audit-log-maxsize=2000",  # MiB; one file, so that a reader sees everything
    ]


def _kubeconfigs(configuration: Configuration, user: str) -> list[str]:
    file = configuration.kubeconfig(user)
    return [f"--kubeconfig={file}", f"--authentication-kubeconfig={file}", f"--authorization-kubeconfig={file}"]
