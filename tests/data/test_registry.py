"""Data sets are found by name: made here, imported, or known."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm4st_agent.data.registry import Registry
from mm4st_agent.data.store import save_panel
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import DataError, UsageError


def test_three_sources_in_order(tmp_path: Path) -> None:
    registry = Registry(None, tmp_path / "imported", {"demo": demo_panel})
    assert registry.names() == ["demo", "pems-orange", "los-loop"]

    save_panel(demo_panel(), tmp_path / "imported" / "my_city")
    (tmp_path / "imported" / ".half.partial").mkdir()
    (tmp_path / "imported" / ".half.partial" / "card.yaml").touch()
    (tmp_path / "imported" / "stray").mkdir()

    assert registry.names() == ["demo", "my_city", "pems-orange", "los-loop"]
    assert registry.open("my-city").node_ids == registry.open("demo").node_ids
    assert registry.card("My_City").name == "demo"


def test_a_panel_is_opened_once(tmp_path: Path) -> None:
    registry = Registry(None, tmp_path, {"demo": demo_panel})

    assert registry.open("demo") is registry.open("DEMO")


def test_an_unknown_name_gets_a_guess(tmp_path: Path) -> None:
    registry = Registry(None, tmp_path, {"demo": demo_panel})

    with pytest.raises(UsageError, match="no data set 'pems-orang'") as caught:
        registry.open("pems-orang")
    assert caught.value.hint == "Did you mean 'pems-orange'? Known: demo, pems-orange, los-loop."
    for call in (registry.card, registry.available):
        with pytest.raises(UsageError, match="no data set 'zzz'"):
            call("zzz")


def test_known_sets_without_their_files(tmp_path: Path) -> None:
    without = Registry(None, tmp_path, {})
    elsewhere = Registry(tmp_path / "data", tmp_path, {})

    for registry in (without, elsewhere):
        assert registry.card("pems-orange").time_zone == "US/Pacific"
        assert not registry.available("pems-orange")
        with pytest.raises(DataError, match="pems-orange") as caught:
            registry.open("pems-orange")
        assert "MM4ST_DATA_DIR" in caught.value.hint


def test_known_sets_open_by_either_spelling(real_data: Path, tmp_path: Path) -> None:
    registry = Registry(real_data, tmp_path, {})

    assert registry.available("pems_orange")
    assert registry.open("pems_orange") is registry.open("pems-orange")
    assert registry.open("los-loop").name == "los-loop"


@pytest.mark.parametrize(
    ("name", "message"),
    [("../evil", "cannot name"), ("my_city", "cannot name"), ("", "cannot name"), ("Demo", "already")],
)
def test_names_of_new_sets_are_checked(tmp_path: Path, name: str, message: str) -> None:
    registry = Registry(None, tmp_path, {"demo": demo_panel})

    with pytest.raises(UsageError, match=message):
        registry.check_new(name)
    registry.check_new("My-City-2")


def test_a_home_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    registry = Registry(None, tmp_path / "file" / "data", {})

    with pytest.raises(UsageError, match="cannot be used") as caught:
        registry.add(demo_panel())
    assert "MM4ST_HOME" in caught.value.hint
