"""One GET of a venue's past: within the budget of its host, and tried again where that helps."""

import logging
import random
import time
from collections.abc import Callable

import httpx

from connectors.contract import Venue
from connectors.limiter import HostLimiter, limiter_of
from connectors.transport import Answer, explain_status, fetch
from market.errors import HistoryError

ATTEMPTS = 5
PATIENCE_S = 120.0
"""Longer than this nobody waits for a venue: who asked is told when to come back."""
_FIRST_RETRY_S = 0.5
_LIMITED_WAIT_S = 10.0

log = logging.getLogger(__name__)


class Asking:
    """Asks venues for something of their past.

    Args:
        what: is asked for, in words of people: `"candles"`.
        wait: sleeps so many seconds.
        chance: a number from 0 to 1, for retries that do not meet.
        limiter: the budget of an address.
    """

    def __init__(
        self,
        what: str,
        *,
        wait: Callable[[float], None] = time.sleep,  # noqa: TID251 - whoever fetches waits for it
        chance: Callable[[], float] = random.random,
        limiter: Callable[[Venue, str], HostLimiter] = limiter_of,
    ) -> None:
        self._what = what
        self._wait = wait
        self._chance = chance
        self._limiter = limiter

    def ask(
        self,
        venue: Venue,
        client: httpx.Client,
        url: str,
        *,
        weight: float,
        is_rate_limit: Callable[[bytes], bool],
    ) -> bytes:
        """Return the body of the answer.

        Args:
            venue: row of `connectors.VENUES`.
            client: with the key in a header, where the venue wants one.
            url: without a key.
            weight: what the venue counts the request as.
            is_rate_limit: whether an answer says that too much was asked, where its status does
                not.

        Raises:
            HistoryError: the venue refuses, or does not answer.
        """
        limiter = self._limiter(venue, url)
        for attempt in range(1, ATTEMPTS + 1):
            while (wait_s := limiter.ask(weight)) > 0:
                if wait_s > PATIENCE_S:
                    wants = Answer(0, b"it wants to be left alone", wait_s)
                    raise self._refusal(venue, url, wants)
                self._wait(wait_s)
            answer = fetch(client, url)
            is_limited = answer.status < 500 and is_rate_limit(answer.body)
            if answer.status == 200 and not is_limited:
                return answer.body
            if answer.status in {401, 403} and venue.key_names:
                raise self._refusal(venue, url, answer)  # the key is wrong, not the pace
            refused_s = answer.wait_s or (_LIMITED_WAIT_S if is_limited else 0.0)
            if refused_s:
                limiter.refused(refused_s)
            elif 0 < answer.status < 500:
                raise self._refusal(venue, url, answer)
            if attempt == ATTEMPTS or refused_s > PATIENCE_S:
                raise self._refusal(venue, url, answer)
            log.warning(
                "%s not had: trying again",
                self._what,
                extra={"venue": venue.name, "status": answer.status, "attempt": attempt},
            )
            if not refused_s:
                self._wait(_FIRST_RETRY_S * 2**attempt * (0.5 + self._chance() / 2))
        raise AssertionError("the last attempt returns or raises")

    def _refusal(self, venue: Venue, url: str, answer: Answer) -> HistoryError:
        if answer.status in {401, 403} and venue.key_names:
            return HistoryError(
                f"{venue.name}: HTTP {answer.status} from {url}: the key was refused, or its plan"
                f" does not hold this; correct {' or '.join(venue.key_names)}"
            )
        said = explain_status(answer.status) or answer.body[:200].decode(errors="replace")
        if answer.wait_s:
            said += f"; it may be asked again in {answer.wait_s:.0f} s"
        status = f"HTTP {answer.status}, " if answer.status else ""
        return HistoryError(
            f"{venue.name}: cannot fetch {self._what} from {url}: {status}{said}",
            retry_after_s=answer.wait_s,
        )
