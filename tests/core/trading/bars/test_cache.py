import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import InvalidInputError
from core.trading.bars.cache import load_cached
from core.trading.bars.canonical import data_hash
from core.trading.bars.header import NUMBERS
from core.trading.bars.series import Bars
from tests.core.trading.bars.builders import some_bars


class Loads:
    """A loader that counts, as the blob store would be asked."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.count = 0

    def __call__(self) -> Bars:
        self.count += 1
        return self.bars


def cached(folder: Path, loads: Loads, **how: int) -> Bars:
    return load_cached(folder, data_hash(loads.bars), symbol="TEST", load=loads, **how)


def test_bars_are_loaded_once_and_the_same_afterwards(tmp_path: Path) -> None:
    loads = Loads(some_bars())
    for _ in range(3):
        bars = cached(tmp_path / "new", loads)
        assert data_hash(bars) == data_hash(loads.bars)
    assert loads.count == 1
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".arrow"]


def test_mapped_columns_are_writable_and_writing_harms_nobody(tmp_path: Path) -> None:
    loads = Loads(some_bars())
    cached(tmp_path, loads)
    bars = cached(tmp_path, loads)
    for name in ("stamps", *NUMBERS):
        column = getattr(bars, name)
        assert column.flags.c_contiguous
        assert column.flags.writeable
        assert column.flags.aligned
        column[:] = 0
    assert data_hash(cached(tmp_path, loads)) == data_hash(loads.bars)
    assert loads.count == 1


@pytest.mark.parametrize("left", [0, 1, 100, 0.5, -1])
def test_a_truncated_file_is_loaded_anew(tmp_path: Path, left: float) -> None:
    loads = Loads(some_bars())
    cached(tmp_path, loads)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole)) if isinstance(left, float) else left])
    assert data_hash(cached(tmp_path, loads)) == data_hash(loads.bars)
    assert loads.count == 2
    assert path.read_bytes() == whole


def test_a_file_with_one_flipped_bit_is_loaded_anew(tmp_path: Path) -> None:
    loads = Loads(some_bars())
    cached(tmp_path / "sound", loads)
    (path,) = (tmp_path / "sound").iterdir()
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(loads.bars.close.tobytes()) + 100] ^= 1
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / path.name).write_bytes(damaged)
    for _ in range(2):
        assert data_hash(cached(tmp_path / "damaged", loads)) == data_hash(loads.bars)
    assert loads.count == 2


def test_a_file_of_another_kind_is_loaded_anew(tmp_path: Path) -> None:
    loads = Loads(some_bars())
    (tmp_path / f"{data_hash(loads.bars)}.arrow").write_bytes(b"ARROW1\0\0" + b"x" * 1000)
    cached(tmp_path, loads)
    assert loads.count == 1


def test_a_mapped_file_may_be_evicted_while_it_is_read(tmp_path: Path) -> None:
    loads = Loads(some_bars())
    cached(tmp_path, loads)
    bars = cached(tmp_path, loads)
    (path,) = tmp_path.iterdir()
    path.unlink()
    assert data_hash(bars) == data_hash(loads.bars)


def test_the_least_recently_used_files_go_first(tmp_path: Path) -> None:
    all_loads = [Loads(some_bars(n=n)) for n in (40, 41, 42)]
    for age, loads in enumerate(all_loads[:2]):
        cached(tmp_path, loads)
        path = tmp_path / f"{data_hash(loads.bars)}.arrow"
        os.utime(path, (1_000_000 + age, 1_000_000 + age))
    size = path.stat().st_size
    cached(tmp_path, all_loads[0])
    cached(tmp_path, all_loads[2], max_bytes=int(size * 2.5))
    assert {path.stem for path in tmp_path.iterdir()} == {
        data_hash(loads.bars) for loads in (all_loads[0], all_loads[2])
    }


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    abandoned, fresh = tmp_path / "a.unfinished", tmp_path / "b.unfinished"
    abandoned.write_bytes(b"x")
    fresh.write_bytes(b"x")
    os.utime(abandoned, (1_000_000, 1_000_000))
    cached(tmp_path, Loads(some_bars()))
    assert not abandoned.exists()
    assert fresh.exists()


def test_a_folder_that_cannot_be_written_only_means_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    loads = Loads(some_bars())
    assert cached(tmp_path / "file", loads) is loads.bars


def test_bars_of_another_hash_are_never_kept(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        load_cached(tmp_path, "0" * 64, symbol="TEST", load=some_bars)
    assert caught.value.instance_code == "corrupt_bars"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../" + "0" * 61, "0" * 63, "A" * 64, ""])
def test_what_is_no_hash_is_no_file_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        load_cached(tmp_path, name, symbol="TEST", load=some_bars)


RACE = """
import sys
from pathlib import Path
from core.trading.bars.cache import load_cached
from core.trading.bars.canonical import data_hash
from tests.core.trading.bars.builders import some_bars
folder = Path(sys.argv[1])
wanted = [(data_hash(some_bars(n=n)), n) for n in range(40, 46)]
for turn in range(60):
    content_hash, n = wanted[turn % 6]
    bars = load_cached(
        folder, content_hash, symbol="T", load=lambda n=n: some_bars(n=n), max_bytes=12_000
    )
    assert data_hash(bars) == content_hash
    if turn % 7 == 0:
        for path in folder.glob("*.arrow"):
            path.unlink(missing_ok=True)
"""


def test_processes_that_fill_and_empty_one_folder_always_get_right_bars(tmp_path: Path) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", RACE, str(tmp_path)], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    ends = [(process.communicate()[1].decode(), process.returncode) for process in running]
    assert [code for _, code in ends] == [0, 0, 0], ends
