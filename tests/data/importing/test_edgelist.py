"""Edge lists and adjacency matrices."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from mm4st_agent.data.importing.edgelist import read_edges
from mm4st_agent.errors import DataError

ABC = ["a", "b", "c"]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def matrix_of(edges: pd.DataFrame, ids: list[str], value: str = "weight") -> np.ndarray:
    found = np.zeros((len(ids), len(ids)))
    for row in edges.itertuples():
        found[ids.index(row.source), ids.index(row.target)] = getattr(row, value)
    return found


def test_distances_become_weights_and_all_road_links_stay(tmp_path: Path) -> None:
    edges, findings = read_edges(write(tmp_path / "e.csv", "from,to,length_km\na,b,1\nb,c,2\nc,a,9\n"), ABC)

    distance = np.array([1.0, 2.0, 9.0])
    assert edges["source"].tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(edges["distance"], distance)
    np.testing.assert_allclose(edges["weight"], np.exp(-((distance / distance.std()) ** 2)))
    assert edges["weight"].min() < 0.1
    assert ("unit of distances", "km") in {(f.what, f.value) for f in findings}


def test_a_stated_unit_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "e.csv", "from,to,cost\na,b,1\nb,c,2\n")

    _, findings = read_edges(path, ABC, {"distance": "mile"})

    assert [(f.value, f.status) for f in findings if f.what == "unit of distances"] == [("mile", "stated")]


def test_all_pairs_are_cut_where_road_links_could_not_be_so_many(tmp_path: Path) -> None:
    ids = [f"s{i}" for i in range(12)]
    place = np.arange(12.0)
    rows = [f"{ids[i]},{ids[j]},{abs(place[i] - place[j])}" for i in range(12) for j in range(12)]

    edges, findings = read_edges(write(tmp_path / "e.csv", "\n".join(["from,to,cost", *rows])), ids)

    every = np.abs(place[:, None] - place)[~np.eye(12, dtype=bool)]
    kernel = np.exp(-((every / every.std()) ** 2))
    assert len(edges) == (kernel >= 0.1).sum() < len(every)
    assert edges["weight"].min() >= 0.1
    assert any("132 entries are more than the 60 links" in f.why for f in findings)


@pytest.mark.parametrize(("ids", "first"), [(["7", "8", "9"], "positions from 0"), (["0", "1", "2"], "node ids")])
def test_ends_are_positions_or_ids_by_which_fit(tmp_path: Path, ids: list[str], first: str) -> None:
    edges, findings = read_edges(write(tmp_path / "e.csv", "source,target\n0,1\n1,2\n"), ids)

    assert edges["source"].tolist() == ids[:2]
    assert edges["weight"].tolist() == [1.0, 1.0]
    assert findings[0].value == first


def test_a_list_without_a_header(tmp_path: Path) -> None:
    edges, _ = read_edges(write(tmp_path / "e.txt", "0 1 0.5\n1 2 0.25\n".replace(" ", ",")), ABC)

    assert edges["target"].tolist() == ["b", "c"]
    assert edges["weight"].tolist() == [0.5, 0.25]


def test_sensors_outside_the_set_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "e.csv", "from,to,cost\na,b,3\na,z,1\ny,b,2\nb,a,4\n")

    edges, findings = read_edges(path, ABC)

    assert edges[["source", "target"]].to_numpy().tolist() == [["a", "b"], ["b", "a"]]
    left_out = next(f for f in findings if f.what == "edges left out")
    assert left_out.value == "2 rows"
    assert "y, z" in left_out.why


def test_loops_and_repeats(tmp_path: Path) -> None:
    path = write(tmp_path / "e.csv", "from,to,cost\na,a,0\na,b,3\na,b,1\nb,c,2\n")

    edges, findings = read_edges(path, ABC)

    assert edges["distance"].tolist() == [1.0, 2.0]
    assert {"edges left out", "edges twice"} <= {f.what for f in findings}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from,to,cost\na,b,-1\n", "row 2, column 'cost': '-1' is no distance"),
        ("from,to,cost\na,b,1\nb,c,\n", "row 3, column 'cost': '' is no distance"),
        ("from,to,cost\na,b,far\n", "row 2, column 'cost': 'far' is not a number"),
        ("from,to,weight\na,b,0.5\nb,c,1.5\n", "row 3: the weight 1.5 is above 1"),
        ("from,to,cost\nx,y,1\n", "no row links two of the nodes; 'x' is none"),
        ("a,b\nhello,world\n", "is no edge list and no matrix of 3 x 3"),
        ("from,to,cost\na,a,0\n", "links no two of the nodes"),
        ("1,2,3,4\n1,2,3,4\n1,2,3,4\n1,2,3,4\n", "has 4 columns; a matrix of the 3 nodes has 3"),
        ("0,1,0\n1,0,x\n0,1,0\n", "row 2, column 3: 'x' is not a number"),
        ("0,1,0\n1,0,-2\n0,1,0\n", "row 2, column 3: -2 is no distance"),
        ("0,0,0\n0,0,0\n0,0,0\n", "holds no edge"),
        ("", "is empty"),
    ],
)
def test_bad_files_are_refused_by_row_and_value(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_edges(write(tmp_path / "e.csv", text), ABC)


def test_a_matrix_of_weights_in_every_format(tmp_path: Path) -> None:
    matrix = np.array([[1, 0.5, 0], [0, 1, 0.25], [0.75, 0, 1]])
    pd.DataFrame(matrix).to_csv(tmp_path / "m.csv", header=False, index=False)
    pd.DataFrame(matrix, index=ABC, columns=ABC).iloc[::-1, ::-1].to_csv(tmp_path / "labelled.csv")
    np.save(tmp_path / "m.npy", matrix)
    np.savez(tmp_path / "m.npz", adj=matrix, other=np.arange(3))
    sparse.save_npz(tmp_path / "sparse.npz", sparse.csr_matrix(matrix))

    for name in ("m.csv", "labelled.csv", "m.npy", "m.npz", "sparse.npz"):
        edges, findings = read_edges(tmp_path / name, ABC)
        np.testing.assert_array_equal(matrix_of(edges, ABC), matrix - np.eye(3), err_msg=name)
        assert "distance" not in edges
        assert any(f.value == "3, directed" for f in findings)


def test_a_matrix_of_distances_becomes_weights(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.array([[0, 4, np.inf], [4, 0, 2], [np.nan, 2, 0]]))

    edges, findings = read_edges(tmp_path / "m.npy", ABC)

    np.testing.assert_array_equal(matrix_of(edges, ABC, "distance"), [[0, 4, 0], [4, 0, 2], [0, 2, 0]])
    np.testing.assert_allclose(edges["weight"], np.exp(-(edges["distance"] ** 2)))
    assert any("both ways" in f.value for f in findings)


def test_a_matrix_of_another_size_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.ones((2, 2)))
    np.savez(tmp_path / "two.npz", one=np.ones((3, 3)), two=np.ones((3, 3)))
    write(tmp_path / "short.csv", "0,1,0,1\n1,0,1,0\n0,0,1,1\n")

    for name, ids, message in (
        ("m.npy", ABC, r"of the shape \(2, 2\)"),
        ("two.npz", ABC, "no single array"),
        ("short.csv", [*ABC, "d"], "has 3 rows; a matrix of the 4 nodes has 4"),
    ):
        with pytest.raises(DataError, match=message):
            read_edges(tmp_path / name, ids)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    (tmp_path / "adj_mx.pkl").write_bytes(pickle.dumps(np.ones((3, 3))))
    np.save(tmp_path / "objects.npy", np.array([[object()]]), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", adj=np.array([[object()]]))

    for name in ("adj_mx.pkl", "objects.npy", "objects.npz"):
        with pytest.raises(DataError, match="never opened") as caught:
            read_edges(tmp_path / name, ABC)
        assert "CSV" in caught.value.hint


def test_8600_nodes_with_50000_edges_are_fast(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ids = [str(400_000 + i) for i in range(8600)]
    ends = rng.choice(8600 * 8600, 50_000, replace=False)
    table = pd.DataFrame(
        {
            "from": np.array(ids)[ends // 8600],
            "to": np.array(ids)[ends % 8600],
            "cost": rng.uniform(0.1, 5, 50_000),
        }
    )
    table.to_csv(tmp_path / "e.csv", index=False)

    began = time.perf_counter()
    edges, _ = read_edges(tmp_path / "e.csv", ids)

    assert time.perf_counter() - began < 5
    assert len(edges) == (table["from"] != table["to"]).sum()


def test_the_road_graph_of_orange(real_data: Path) -> None:
    with np.load(real_data / "pems_orange" / "orange_traffic.npz", allow_pickle=False) as raw:
        ids = [str(station) for station in raw["station_id"]]

    edges, findings = read_edges(real_data / "pems_orange" / "orange_edges.csv", ids)

    assert len(edges) == 84
    first = edges.iloc[0]
    assert (first["source"], first["target"], first["distance"]) == ("1205320", "1205330", 0.1)
    assert first["weight"] == pytest.approx(np.exp(-((0.1 / edges["distance"].std(ddof=0)) ** 2)))
    assert findings[0].value == "positions from 0"


def test_the_matrices_of_los_loop_and_shenzhen(real_data: Path) -> None:
    ids = list(pd.read_csv(real_data / "los_loop" / "los_speed.csv", nrows=0).columns)
    los, _ = read_edges(real_data / "los_loop" / "los_adj.csv", ids)
    raw = pd.read_csv(real_data / "los_loop" / "los_adj.csv", header=None).to_numpy(dtype=float)
    np.fill_diagonal(raw, 0)
    np.testing.assert_array_equal(matrix_of(los, ids), raw)

    shenzhen, _ = read_edges(real_data / "sz_taxi" / "sz_adj.csv", [str(i) for i in range(156)])
    assert len(shenzhen) == 532
    assert set(shenzhen["weight"]) == {1.0}
