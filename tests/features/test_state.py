from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from galeno.errors import PackageError
from galeno.features.state import pack_arrays, read_arrays


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9.]{1,8}", fullmatch=True),
        hnp.arrays(
            st.sampled_from([np.float32, np.int64]), hnp.array_shapes(min_dims=1, max_dims=2, min_side=0)
        ),
        max_size=4,
    )
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path_factory.mktemp("state") / "arrays.npz"
    packed = pack_arrays(arrays)
    path.write_bytes(packed)
    read = read_arrays(path)
    assert sorted(read) == sorted(arrays)
    for name, array in arrays.items():
        assert read[name].tobytes() == array.tobytes()
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
    assert pack_arrays(dict(reversed(arrays.items()))) == packed


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 broken"])
def test_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "arrays.npz"
    path.write_bytes(content)
    with pytest.raises(PackageError, match=r"arrays\.npz.*undamaged"):
        read_arrays(path)


def test_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    np.savez(path, bad=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(PackageError):
        read_arrays(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"none\.npz"):
        read_arrays(tmp_path / "none.npz")
