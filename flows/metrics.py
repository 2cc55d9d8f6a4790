"""Prometheus metrics over HTTP, for this machine only."""

import logging

from prometheus_client import start_http_server

from market.errors import ConfigError

LOOPBACK = "127.0.0.1"

log = logging.getLogger(__name__)


def serve_metrics(port: int, process: int) -> None:
    """Offer this process's metrics until it ends.

    Args:
        port: of the first process; 0 for none at all.
        process: number of this process in its cluster, added to the port.

    Raises:
        ConfigError: the port is taken.
    """
    if not port:
        return
    try:
        start_http_server(port + process, addr=LOOPBACK)
    except OSError as error:
        raise ConfigError(
            f"serving.metrics_port: cannot listen on {LOOPBACK}:{port + process}:"
            f" {error.strerror}; choose another port, or 0 for no metrics"
        ) from error
    log.info("metrics", extra={"url": f"http://{LOOPBACK}:{port + process}/metrics"})
