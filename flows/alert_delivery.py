"""Joins the outbox's sender, its targets and the bot that people command."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from flows.configuration import Configuration
from flows.market_pages import market_page
from sinks.delivery import Companion
from sinks.message import Composer
from sinks.pacing import Pacer
from sinks.pictures import Picture
from sinks.secret import Secret
from sinks.sender import Sender
from sinks.targets import make_targets
from sinks.telegram.services import Services
from sinks.unexpected import Contained

_WARM_UP = "picture-warm-up"

_log = logging.getLogger(__name__)


def make_sender(
    settings: Configuration,
    dsn: Secret,
    stream: TextIO,
    *,
    services: Services | None = None,
    picture: Picture | None = None,
    mutes_file: Path | None = None,
) -> Sender:
    """Return the sender of alerts, not started.

    Args:
        settings: targets, and who may command the bot.
        dsn: address of the database.
        stream: what the console prints to.
        services: what the bot's commands need; those that lack theirs say so.
        picture: draws an alert; None for texts alone.
        mutes_file: where it is kept what is muted; None for memory alone.

    Raises:
        ConfigError: the bot's token cannot be right.
    """
    pacer = Pacer(time.monotonic)
    targets = make_targets(settings.channels, stream)
    if not any(target.traits.takes_pictures for target in targets.values()):
        picture = None
    return Sender(
        dsn,
        targets,
        settings.settings.alerts,
        pacer=pacer,
        link=market_page,
        picture=picture,
        mutes_file=mutes_file,
        companion=_poller(settings, dsn, pacer, services if services is not None else Services()),
    )


def _poller(
    settings: Configuration, dsn: Secret, pacer: Pacer, services: Services
) -> Companion | None:
    telegram, token = settings.settings.telegram, settings.bot_token
    if token is None or not telegram.users:
        return None
    from sinks.telegram.desk import Desk  # noqa: PLC0415 - half a second to load
    from sinks.telegram.poller import Poller  # noqa: PLC0415

    composer = Composer(settings.settings.alerts.zone, market_page)
    return Poller(token, telegram, dsn, Desk(services, composer), pacer=pacer)


def stored_pictures(settings: Configuration, dsn: Secret) -> Picture | None:
    """Return what draws alerts from the store, being warmed up beside us; None: not wanted.

    Args:
        settings: whether alerts have pictures, and whose local time is on them.
        dsn: address of the database.
    """
    alerts = settings.settings.alerts
    takers = settings.settings.telegram.chats if settings.bot_token is not None else {}
    if not alerts.pictures or not (takers or settings.settings.email.addresses):
        return None
    from sinks.charts.stored import AlertPictures  # noqa: PLC0415 - seconds to load

    pictures = AlertPictures(dsn, zone=alerts.zone)
    threading.Thread(target=_warm_up, args=(pictures.warm_up,), name=_WARM_UP, daemon=True).start()
    return lambda facts: pictures.picture_of(facts.key)


def _warm_up(warm_up: Callable[[], None]) -> None:
    """Load what draws; without it the first picture is only late."""
    with Contained(_log, _WARM_UP, "pictures of alerts are not warmed up"):
        warm_up()
