from flows.composition import Run


def test_a_run_leaves_out_and_adds_variables() -> None:
    what = Run(command="x", environ={"ADDED": "1", "KEPT": "2"}, without=("LEFT", "NOT_THERE"))
    assert what.settled({"LEFT": "a", "KEPT": "b", "OTHER": "c"}) == {
        "ADDED": "1",
        "KEPT": "2",
        "OTHER": "c",
    }
