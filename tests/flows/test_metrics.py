"""Metrics over HTTP on the loopback interface."""

import socket
import urllib.request

import pytest

from flows import metrics
from flows.metrics import serve_metrics
from market.errors import ConfigError


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def test_a_process_offers_its_metrics_at_its_own_port() -> None:
    port = free_port()
    serve_metrics(port - 3, process=3)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        told = answer.read().decode()
    assert "python_info" in told


def test_a_port_in_use_is_told_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port}: .*choose another port"):
            serve_metrics(port, process=0)


def test_port_zero_means_no_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    monkeypatch.setattr(metrics, "start_http_server", lambda port, **_: started.append(port))
    serve_metrics(0, process=2)
    assert started == []
