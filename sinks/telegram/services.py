"""What the bot needs from the rooms above: specs, explanations, charts."""

from collections.abc import Callable, Collection, Sequence

import msgspec


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """Callables that commands use. One that is None makes its command say so.

    Each may raise `ConfigError`; its text is the answer then. They run in the poller's thread.

    Attributes:
        add_spec: takes a spec in one line (`"BTC-USDT > 70000"`), who wants it, and the target to
            tell, None for the default one; returns what was made, for people.
        delete_spec: takes a spec's id, who wants it, and whether they may delete what others added;
            returns what was done, for people.
        list_specs: returns a line for each spec that is watched.
        spec_ids: returns the id of each of them.
        why: takes a spec's id and a symbol; returns why it fired, or did not.
        chart: takes a symbol, in any usual spelling, or an instrument's id; returns a PNG, None
            when there is nothing to draw.
        status: returns how everything is, for people.
    """

    add_spec: Callable[[str, str, str | None], str] | None = None
    delete_spec: Callable[[str, str, bool], str] | None = None
    list_specs: Callable[[], Sequence[str]] | None = None
    spec_ids: Callable[[], Collection[str]] | None = None
    why: Callable[[str, str], str] | None = None
    chart: Callable[[str], bytes | None] | None = None
    status: Callable[[], str] | None = None
