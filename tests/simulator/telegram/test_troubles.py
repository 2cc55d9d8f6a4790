from simulator.telegram.troubles import Trouble, Troubles


def test_troubles_come_in_their_order_and_are_used_up() -> None:
    troubles = Troubles()
    troubles.add(Trouble("limit", 2, retry_after=3))
    troubles.add(Trouble("drop", 1))
    kinds = [troubles.of("sendMessage") for _ in range(4)]
    assert [None if one is None else one.kind for one in kinds] == ["limit", "limit", "drop", None]


def test_a_trouble_concerns_what_sends_unless_it_names_a_method() -> None:
    troubles = Troubles()
    troubles.add(Trouble("fail", 1))
    troubles.add(Trouble("slow", 1, method="getMe"))
    assert troubles.of("getUpdates") is None
    found = troubles.of("getMe")
    assert found is not None
    assert found.kind == "slow"
    assert troubles.of("getMe") is None
    assert troubles.of("sendPhoto") is not None
