import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.configuration import load
from flows.settings import DEMO_SYMBOLS
from market.errors import ConfigError
from tests.drawn_examples import examples


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str, name: str = "candlewax.toml") -> Path:
    file = Path(name).absolute()
    file.write_text(text)
    return file


def refused(text: str = "", **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(written(text), environ)
    return str(caught.value)


def test_the_defaults_are_the_embedded_demo() -> None:
    configuration = load(None, {})
    settings = configuration.settings
    assert list(settings.feeds) == ["binance"]
    assert settings.feeds["binance"].simulated
    assert settings.feeds["binance"].symbols == DEMO_SYMBOLS
    assert settings.market.bar_intervals == ("1s", "1m")
    assert (configuration.database_url, configuration.bot_token) == (None, None)
    assert set(configuration.sources.values()) == {"default"}
    assert configuration.specs_folder.parts[-2:] == ("filters", "specs")


def test_the_file_in_the_working_folder_is_read() -> None:
    file = written('[market]\ndepth = 20\n[feeds.binance]\nsymbols = ["BTC-USDT"]\n')
    configuration = load(None, {})
    assert configuration.file == file
    assert configuration.settings.market.depth == 20
    assert configuration.settings.feeds["binance"].symbols == ("BTC-USDT",)
    assert not configuration.settings.feeds["binance"].simulated
    assert configuration.sources["market.depth"] == str(file)
    assert configuration.sources["market.features"] == "default"
    assert configuration.sources["feeds.binance.simulated"] == "default"


def test_a_venues_own_settings_are_checked_by_the_venue() -> None:
    table = '[feeds.binance]\nsymbols = ["BTC-USDT"]\nmax_age_s = 60\n[feeds.binance.options]\n'
    feed = load(written(table), {}).settings.feeds["binance"]
    assert feed.venue_options() == {"max_age_s": 60}
    text = refused(table + "colour = true\n")
    assert "candlewax.toml:4: feeds.binance.options: " in text
    assert "'colour'" in text
    text = refused(table, CANDLEWAX__FEEDS__BINANCE__OPTIONS__COLOUR="1")
    assert text.startswith("CANDLEWAX__FEEDS__BINANCE__OPTIONS__COLOUR: feeds.binance.options: ")
    assert "feeds.binance.options.colour" in refused(table + "colour = [1]\n")


def test_an_option_wins_over_the_variable_and_the_variable_over_the_folder() -> None:
    written("[market]\ndepth = 1\n")
    second = written("[market]\ndepth = 2\n", "second.toml")
    third = written("[market]\ndepth = 3\n", "third.toml")
    environ = {"CANDLEWAX_CONFIG": str(second)}
    assert load(None, environ).settings.market.depth == 2
    assert load(third, environ).settings.market.depth == 3


def test_a_missing_file_is_told_with_who_named_it() -> None:
    with pytest.raises(ConfigError, match=r"nowhere.toml: no such file, named by --config"):
        load(Path("nowhere.toml"), {})
    with pytest.raises(ConfigError, match=r"named by CANDLEWAX_CONFIG; `candlewax init`"):
        load(None, {"CANDLEWAX_CONFIG": "nowhere.toml"})


def feed(line: str) -> str:
    return f"[feeds.binance]\nsymbols = ['BTC-USDT']\n{line}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[market]\ndepht = 3", "unknown key 'market.depht'; did you mean 'depth'?"),
        ("[markt]\n", "unknown section 'markt'; did you mean 'market'?"),
        (
            "[feeds.binance]\nsymbol = []",
            "unknown key 'feeds.binance.symbol'; did you mean 'symbols'?",
        ),
        ("[market]\ndepth = 'ten'", "market.depth: expected `int`, got `str`, found 'ten'"),
        ("[market]\ndepth = 65", "market.depth: expected `int` <= 64, found 65"),
        ("[market]\nstale_after_s = nan", "market.stale_after_s: expected `float` > 0.0"),
        ("[log]\nlevel = 'loud'", "log.level: expected one of debug, info, warning, error"),
        ("market = 3", "market: expected a table, as in [market]"),
        ("[market]\nbar_intervals = ['7m']", "market.bar_intervals: interval '7m'"),
        ("[store]\ndepth = 'snapshots'", 'store.depth: \'snapshots\': expected "off", "all"'),
        ("[feeds]\n", "feeds: nothing to read"),
        ("[feeds.binance]\n", "feeds.binance.symbols: name at least one symbol"),
        ("[feeds.binanse]\nsymbols = ['x']", "unknown venue; did you mean 'binance'?"),
        (feed("websocket_url = 'nonsense'"), "websocket_url: no address: 'nonsense'; write it as"),
        (feed("websocket_url = 'http://127.0.0.1:1'"), "as in wss://binance.example.com"),
        (feed("websocket_url = 'ws://a..b'"), "feeds.binance.websocket_url: no address"),
        (feed("websocket_url = 'ws://127.0.0.1:99999'"), "feeds.binance.websocket_url: no address"),
        (feed("rest_url = 'ws://127.0.0.1:1'"), "as in https://binance.example.com"),
        (feed("simulated = true\nrest_url = 'http://x'"), "both websocket_url and rest_url"),
        ("[market]\nfeatures = ['rsii(14)']", "market.features: no indicator 'rsii'"),
        ("[feeds.binance]\nsymbols = [3]", "feeds.binance.symbols: expected `str`, got `int`"),
        ("[telegram]\ntoken = 'x'", "telegram.token: a secret is no setting; set TELEGRAM_BOT"),
        ("[store]\ndatabase_url = 'x'", "store.database_url: a secret is no setting; set DATABASE"),
        ("[telegram]\nbase_url = 'ftp://x'", "base_url: 'ftp://x' is not an http or https address"),
        ("[market", "not TOML: Expected ']'"),
    ],
)
def test_a_wrong_file_is_told_by_file_key_and_near_key(text: str, expected: str) -> None:
    told = refused(text)
    assert expected in told
    assert "candlewax.toml" in told


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("[market]\ndepth = 3\nprimary = ['binanse']\n", 3, "did you mean 'binance'?"),
        ("[log]\nlevel = 'info'\n[market]\nprimary = ['binance', 'htx']", 4, "known: binance"),
        ("market = {depth = 3, primary = ['nowhere']}", 1, "known: binance"),
        ("# one\n\n[market]\n\ndepht = 7\n", 5, "did you mean 'depth'?"),
        ("[log]\nlevel = 'info'\n[markt]\ndepth = 7\n", 3, "did you mean 'market'?"),
        ("[feeds.binance]\nsymbols = [\n  3,\n]\n", 2, "expected `str`, got `int`"),
    ],
)
def test_a_mistake_has_its_line_and_a_suggestion(text: str, place: int, words: str) -> None:
    told = refused(text)
    assert f"candlewax.toml:{place}: " in told
    assert words in told


def test_a_primary_venue_of_a_variable_is_told_by_its_name() -> None:
    told = refused(CANDLEWAX__MARKET__PRIMARY="binanse")
    assert told.startswith("CANDLEWAX__MARKET__PRIMARY: market.primary: 'binanse' is no venue")


def test_every_mistake_is_told_at_once() -> None:
    told = refused("[market]\ndepht = 3\nstale_after_s = -1\n[logg]\n")
    assert len(told.splitlines()) == 3


def test_text_that_is_not_utf_8_is_told() -> None:
    file = Path("candlewax.toml")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(file, {})


def test_variables_win_over_the_file() -> None:
    file = written("[market]\ndepth = 20\nfeatures = []\n")
    environ = {
        "CANDLEWAX__MARKET__DEPTH": "5",
        "CANDLEWAX__MARKET__FEATURES": "ema(20), rsi(14)",
        "CANDLEWAX__FEEDS__BINANCE__SIMULATED": "false",
        "CANDLEWAX__LOG__LEVELS": '{"connectors": "debug"}',
        "CANDLEWAX__TELEGRAM__CHATS__MAIN": "-100123",
    }
    configuration = load(file, environ)
    settings = configuration.settings
    assert settings.market.depth == 5
    assert settings.market.features == ("ema(20)", "rsi(14)")
    assert not settings.feeds["binance"].simulated
    assert settings.feeds["binance"].symbols == DEMO_SYMBOLS
    assert settings.log.levels == {"connectors": "debug"}
    assert settings.telegram.chats == {"main": -100123}
    assert configuration.sources["market.depth"] == "CANDLEWAX__MARKET__DEPTH"
    assert configuration.sources["log.levels.connectors"] == "CANDLEWAX__LOG__LEVELS"


def test_commas_inside_brackets_do_not_cut_a_list() -> None:
    told = refused("", CANDLEWAX__MARKET__FEATURES="no(1,2), rsi(14)")
    assert "'no(1,2)'" in told or "'no'" in told
    assert "rsi" not in told.partition("no indicator")[0]


def test_a_variable_can_hold_a_whole_section() -> None:
    file = written("[feeds.binance]\nsymbols = ['BTC-USDT']\nrecord = true\n")
    feeds = {"binance": {"symbols": ["ETH-BTC"]}}
    environ = {
        "CANDLEWAX__FEEDS": json.dumps(feeds),
        "CANDLEWAX__FEEDS__BINANCE__SIMULATED": "yes",
    }
    feed = load(file, environ).settings.feeds["binance"]
    assert feed.symbols == ("ETH-BTC",)
    assert (feed.simulated, feed.record) == (True, False)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("CANDLEWAX__MARKET__DEPHT", "3", "unknown key 'market.depht'; did you mean 'depth'?"),
        ("CANDLEWAX__MARKT__DEPTH", "3", "unknown section 'markt'; did you mean 'market'?"),
        ("CANDLEWAX__MARKET__DEPTH", "many", "market.depth: expected `int`, got `str`"),
        ("CANDLEWAX__MARKET__DEPTH__X", "3", "unknown key 'market.depth.x'"),
        ("CANDLEWAX__MARKET", "{", "expected a JSON object"),
        ("CANDLEWAX__FEEDS__BINANCE__SYMBOLS", "[1", "expected a JSON list"),
        ("CANDLEWAX__FEEDS__BINANCE__SIMULATED", "perhaps", "expected `bool`, got `str`"),
        ("CANDLEWAX__TELEGRAM__TOKEN", "x", "a secret is no setting; set TELEGRAM_BOT_TOKEN"),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(name: str, value: str, expected: str) -> None:
    told = refused("", **{name: value})
    assert told.startswith(f"{name}: ")
    assert expected in told


def test_secrets_come_from_variables_or_their_files(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("123:abc\n")
    environ = {"DATABASE_URL": "postgresql://u:p@h/x", "TELEGRAM_BOT_TOKEN_FILE": str(secret)}
    configuration = load(None, environ)
    assert configuration.database_url is not None
    assert configuration.bot_token is not None
    assert configuration.bot_token.reveal() == "123:abc"
    assert "123:abc" not in repr(configuration)
    assert "u:p" not in repr(configuration)


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    file = written("[filters]\nfolder = 'mine'\n[log]\nfile = 'x.log'\n", "below/c.toml")
    configuration = load(file, {})
    assert configuration.specs_folder == tmp_path / "below" / "mine"
    assert configuration.log_file == tmp_path / "below" / "x.log"


def taken_or_refused(environ: dict[str, str]) -> str:
    try:
        return repr(load(None, environ))
    except ConfigError as error:
        return str(error)


_keys = st.sampled_from(
    ["feeds", "market", "log", "binance", "symbols", "depth", "levels", "telegram", "chats", "x"]
)
_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_values: st.SearchStrategy[object] = _leaves
for _ in range(3):  # st.recursive now and then warns of an argument that it thinks unused
    _values = _leaves | st.lists(_values, max_size=3) | st.dictionaries(_keys, _values, max_size=3)


@examples(25)
@given(st.dictionaries(st.sampled_from(["FEEDS", "MARKET", "LOG", "TELEGRAM"]), _values))
def test_any_value_is_either_taken_or_refused_with_a_reason(sections: dict[str, object]) -> None:
    environ = {f"CANDLEWAX__{name}": json.dumps(value) for name, value in sections.items()}
    assert taken_or_refused(environ)


@examples(25)
@given(
    st.lists(st.sampled_from(["MARKET", "DEPTH", "FEEDS", "BINANCE", "X", ""]), max_size=4),
    st.text(max_size=20),
)
def test_any_variable_is_either_taken_or_refused(path: list[str], value: str) -> None:
    assert taken_or_refused({"__".join(["CANDLEWAX", *path]): value})
