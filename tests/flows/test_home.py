import json
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from flows.home import Home, Membership, Owner, OwnerLock, Process, Running
from market.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "state")
    home.make()
    return home


def ours(cluster: str = "a") -> Owner:
    return Owner(process=Process.current(), cluster=cluster, command="candlewax test")


def test_the_folder_is_for_its_user_only(home: Home) -> None:
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


def test_the_environment_names_the_folder(tmp_path: Path) -> None:
    assert Home.of({"CANDLEWAX_HOME": str(tmp_path)}).path == tmp_path
    assert Home.of({}).path == Path.cwd() / ".candlewax"


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    place = tmp_path / "state"
    place.write_text("")
    with pytest.raises(ConfigError, match=r"state: cannot be used as the state folder.*CANDLEWAX"):
        Home(place).make()


def test_run_json_is_for_its_user_only_and_can_be_read_back(home: Home) -> None:
    running = Running(owner=ours(), database_url="postgresql://u:p@127.0.0.1:1/x")
    home.tell(running)
    assert stat.S_IMODE(home.run_file.stat().st_mode) == 0o600
    assert home.running() == running


def test_run_json_of_a_dead_owner_counts_as_absent(home: Home) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead = Owner(process=Process(pid=child.pid, started=1), cluster="a", command="x")
    home.tell(Running(owner=dead))
    assert home.running() is None


def test_a_process_id_that_is_used_again_is_another_process() -> None:
    now = Process.current()
    assert now.is_alive
    assert not Process(pid=now.pid, started=now.started + 1).is_alive


@pytest.mark.parametrize("text", ["", "{", '{"owner": 3}', "[]"])
def test_a_damaged_run_json_counts_as_absent(home: Home, text: str) -> None:
    home.run_file.write_text(text)
    assert home.running() is None


def test_the_lock_has_one_owner_and_says_who(home: Home) -> None:
    first, second = OwnerLock(home), OwnerLock(home)
    assert first.acquire("a", "candlewax demo")
    assert not second.acquire("b", "candlewax run")
    owner = home.owner()
    assert owner is not None
    assert (owner.process.pid, owner.cluster, owner.command) == (os.getpid(), "a", "candlewax demo")
    first.release()
    assert home.owner() is None
    assert second.acquire("b", "candlewax run")
    second.release()


def test_a_new_owner_removes_what_a_dead_one_left(home: Home) -> None:
    home.run_file.write_text("{}")
    lock = OwnerLock(home)
    assert lock.acquire("a", "x")
    assert not home.run_file.exists()
    lock.release()


def test_the_lock_of_a_killed_process_is_free(home: Home) -> None:
    program = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from flows.home import Home, OwnerLock
        lock = OwnerLock(Home(Path({str(home.path)!r})))
        print(lock.acquire("a", "x"), flush=True)
        time.sleep(60)
    """)
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"True\n"
        lock = OwnerLock(home)
        assert not lock.acquire("b", "y")
        child.kill()
        child.wait()
    assert lock.acquire("b", "y")
    assert json.loads(home.lock_file.read_text())["cluster"] == "b"
    lock.release()


def test_the_owner_sees_when_the_last_member_has_left(home: Home) -> None:
    owner, first, second = Membership(home), Membership(home), Membership(home)
    assert owner.is_last()
    first.join()
    second.join()
    assert not owner.is_last()
    first.leave()
    assert not owner.is_last()
    second.leave()
    assert owner.is_last()
    owner.leave()
