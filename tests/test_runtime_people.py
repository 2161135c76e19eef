"""One app, several people: what is each person's own stays apart, what everyone sees is there once."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import MM4STError, UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

QUESTION = "How busy is station S039 now?"
DAY = pd.Timestamp("2024-03-04", tz="UTC")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def ada(base: Runtime) -> Runtime:
    return base.of_user("ada")


@pytest.fixture(scope="module")
def bob(base: Runtime) -> Runtime:
    return base.of_user("bob")


def _mine(level: float, note: str, name: str = "mine") -> Panel:
    """A day of hours at three nodes, and one event whose id everyone's data set has."""
    time = pd.date_range(DAY.tz_localize(None), periods=24, freq="h")
    data = xr.Dataset(
        {"flow": (("time", "node"), np.full((24, 3), level), {"units": "vehicles/h"})},
        coords={"time": time, "node": np.array(["a", "b", "c"], dtype=object)},
    )
    flow = Channel(name="flow", unit="vehicles/h")
    card = DataCard(name=name, title=f"Of {note}", source="test", licence="none", channels=(flow,))
    moment = DAY + pd.Timedelta(hours=6)
    return Panel(card, data, events=(Event("1", note, moment, moment, moment, "log", "a", "at a"),))


def _found(runtime: Runtime, query: str, dataset: str = "mine") -> list[str]:
    panel = runtime.registry.open(dataset)
    return [hit.text for hit in runtime.knowledge.search(query, panel=panel.until(panel.now), kind="event", limit=20)]


def test_a_person_has_one_runtime_and_nobody_the_first_one(base: Runtime) -> None:
    assert base.of_user(None) is base
    found: list[Runtime] = []
    threads = [threading.Thread(target=lambda: found.append(base.of_user("carol"))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 20
    assert len(set(map(id, found))) == 1
    assert found[0].settings.home == base.settings.home / "users" / "carol"
    assert found[0].settings.model_copy(update={"home": base.settings.home}) == base.settings


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../bob", "a/b", "/etc", "a\\b", "Ada", ".a", "a.", "a b", "a\n", "é", "x" * 33, "-a"],
)
def test_a_name_that_is_no_folder_is_refused(base: Runtime, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a person's name"):
        base.of_user(name)


def test_threads_pictures_and_manifests_belong_to_their_person(base: Runtime, ada: Runtime, bob: Runtime) -> None:
    answer = asyncio.run(ada.ask(QUESTION, thread="shared-id"))
    picture = ada.images.put(_png())

    for other in (base, bob):
        assert other.conversations.list() == []
        with pytest.raises(UsageError):
            other.conversations.turns(answer.thread)
        with pytest.raises(UsageError):
            other.conversations.delete(answer.thread)
        for read in (other.images.get, other.images.path):
            with pytest.raises(MM4STError):
                read(picture)
    assert ada.images.get(picture) == _png()
    assert answer.manifest is not None
    home = ada.settings.home
    assert Path(answer.manifest).is_relative_to(home)
    assert not (base.settings.home / "threads.sqlite").exists()

    same_id = asyncio.run(bob.ask("hello", thread="shared-id"))
    assert [turn.question for turn in bob.conversations.turns(same_id.thread)] == ["hello"]
    assert [turn.question for turn in ada.conversations.turns(answer.thread)] == [QUESTION]


def test_two_people_may_both_call_a_data_set_mine(base: Runtime, ada: Runtime, bob: Runtime) -> None:
    ada.registry.add(_mine(1.0, "Ada's secret tanker overturned"))
    bob.registry.add(_mine(2.0, "Bob's secret tanker overturned"))

    assert float(ada.registry.open("mine").data["flow"].mean()) == 1.0
    assert float(bob.registry.open("MINE").data["flow"].mean()) == 2.0
    assert (ada.registry.card("mine").title, bob.registry.card("mine").title) == (
        "Of Ada's secret tanker overturned",
        "Of Bob's secret tanker overturned",
    )
    for _ in range(2):  # each indexes before the other searches again
        assert _found(ada, "tanker") == ["Ada's secret tanker overturned"]
        assert _found(bob, "tanker") == ["Bob's secret tanker overturned"]
    with pytest.raises(UsageError, match="There is no data set 'mine'"):
        base.registry.open("mine")
    assert "mine" not in base.registry.names()
    for stored in (base.settings.home / "knowledge").rglob("*"):
        assert not stored.is_file() or b"secret tanker" not in stored.read_bytes()


def test_who_removes_a_data_set_removes_nobody_elses(ada: Runtime, bob: Runtime) -> None:
    ada.registry.add(_mine(3.0, "x", "both"))
    bob.registry.add(_mine(4.0, "y", "both"))
    ada.registry.remove("both")

    with pytest.raises(UsageError, match="There is no data set 'both'"):
        ada.registry.open("both")
    assert float(bob.registry.open("both").data["flow"].mean()) == 4.0


def test_what_is_imported_for_everyone_is_seen_but_not_changed(base: Runtime, ada: Runtime, bob: Runtime) -> None:
    base.registry.add(_mine(5.0, "seen by all", "ours"))

    assert ada.registry.open("ours") is bob.registry.open("ours") is base.registry.open("ours")
    assert _found(ada, "seen", "ours") == ["seen by all"]
    assert ada.registry.available("ours")
    assert not ada.registry.stored("ours")
    with pytest.raises(UsageError, match="not an imported data set"):
        ada.registry.remove("ours")
    with pytest.raises(UsageError, match="There is a data set 'Ours' already"):
        ada.registry.check_new("Ours")


def test_a_persons_own_data_set_wins_over_a_later_one_for_everyone(base: Runtime, ada: Runtime, bob: Runtime) -> None:
    ada.registry.add(_mine(6.0, "Ada's own", "later"))
    own = ada.registry.open("later")
    base.registry.add(_mine(7.0, "for all", "later"))

    assert ada.registry.open("later") is own
    assert _found(ada, "own", "later") == ["Ada's own"]
    assert _found(bob, "own", "later") == ["for all"]
    ada.registry.remove("later")
    assert float(ada.registry.open("later").data["flow"].mean()) == 7.0
    assert not ada.registry.is_shared(own), "an answer that is under way still holds it"
    hits = ada.knowledge.search("own", panel=own, kind="event")
    assert [hit.text for hit in hits] == ["Ada's own"]
    assert _found(bob, "own", "later") == ["for all"]


def test_what_everyone_sees_is_in_memory_and_on_disk_once(base: Runtime) -> None:
    people = [base.of_user(f"person{number}") for number in range(20)]
    demo = base.registry.open("demo")
    known = demo.until(demo.now)
    for person in people:
        person.knowledge.search("why do queues grow?", panel=known, limit=1)

    for person in people:
        assert person.registry.open("demo") is demo
        assert person.registry.is_shared(known)
        assert person.forecaster(known, demo.channel()) is base.forecaster(demo, demo.channel())
        assert person.windows is base.windows
        assert person._chat_model("embedded") is base._chat_model("embedded")
        assert person.images is not base.images
        assert not (person.settings.home / "knowledge").exists()


def test_an_answer_on_shared_data_leaves_no_index_with_the_person(base: Runtime) -> None:
    dora = base.of_user("dora")
    answer = asyncio.run(dora.ask("Were there any incidents near S096 in the last 48 hours?"))

    assert answer.citations
    assert {path.name for path in dora.settings.home.iterdir()}.isdisjoint({"knowledge", "windows", "data"})


def test_a_panel_is_read_once_however_many_people_ask_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Runtime(load_settings(home=tmp_path))
    base.registry.add(_mine(1.0, "x", "ours"))
    read: list[str] = []
    real = type(base.registry)._read
    barrier = threading.Barrier(10)

    def noted(self: Any, name: str) -> Panel:
        read.append(name)
        return real(self, name)

    monkeypatch.setattr(type(base.registry), "_read", noted)
    opened: list[Panel] = []

    def ask(number: int) -> None:
        person = base.of_user(f"p{number}")
        barrier.wait()
        opened.append(person.registry.open("ours"))

    threads = [threading.Thread(target=ask, args=[number]) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(map(id, opened))) == 1
    assert read == ["ours"]


def _png() -> bytes:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (4, 3), "teal").save(stream, "PNG")
    return stream.getvalue()
