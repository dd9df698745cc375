from pathlib import Path

import pytest

from core.errors import ConfigurationError, UnavailableError
from core.storage.folder import folder_of, install_folder, refuse_absent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "var" / "blobs"


def test_the_first_installation_makes_the_folder_for_its_owner_alone(folder: Path) -> None:
    install_folder(folder, first=True)
    refuse_absent(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_an_empty_mount_point_of_a_platform_with_firms_is_refused(folder: Path) -> None:
    for _ in ("no folder", "an empty one"):
        with pytest.raises(ConfigurationError, match=f"touch {folder}/.neozork"):
            install_folder(folder, first=False)
        with pytest.raises(UnavailableError):
            refuse_absent(folder)
        folder.mkdir(parents=True, exist_ok=True)


def test_a_folder_that_is_there_stays_as_it_is(folder: Path) -> None:
    install_folder(folder, first=True)
    install_folder(folder, first=False)
    refuse_absent(folder)


def test_a_folder_with_blobs_from_before_there_were_marks_is_ours(folder: Path) -> None:
    (folder / "0192f0c1-2a3b-7c4d-8e5f-000000000001" / "bars").mkdir(parents=True)
    install_folder(folder, first=False)
    refuse_absent(folder)


def test_what_lies_on_any_new_disk_is_no_blob(folder: Path) -> None:
    (folder / "lost+found").mkdir(parents=True)
    with pytest.raises(ConfigurationError):
        install_folder(folder, first=False)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///a%20b/c", Path("/a b/c")),
        ("file://localhost/a", Path("/a")),
        ("file://host/a", None),
        ("file:a", None),
        ("s3://a/b", None),
        ("memory://", None),
    ],
)
def test_only_a_files_url_names_a_folder(url: str, path: Path | None) -> None:
    assert folder_of(url) == path
