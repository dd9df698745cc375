"""The real command over saved answers, in a process of its own with no settings."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from core.trading.backtest.signing import public_key_hex, sign_document, signing_key

KEY = signing_key("a secret of the tests, long enough to sign results")
PUBLIC = public_key_hex(KEY)
OTHER = public_key_hex(signing_key("another secret of the tests, as long as that"))
RESULT = {
    "result_id": "ab" * 32,
    "settings": {"cash": 10_000.0, "lot": 0.1},
    "numbers": [1e17, -(2.0**53), 1e21, 5e-324, 1.7976931348623157e308, 1e-7, 0.30000000000000004],
    "trades": [{"pnl": -12.5, "quantity": 83, "exit_reason": "Größe\u2028\U0001f600"}],
    "warnings": None,
}


def answer(**changes: Any) -> str:
    """Write an answer as the API does: a head, and the signed bytes in it."""
    document = rfc8785.dumps(RESULT)
    head = {"status": "succeeded", "signature": sign_document(document, KEY), "public_key": PUBLIC}
    return f'{json.dumps(head | changes).removesuffix("}")}, "result": {document.decode()}}}'


def verify(
    folder: Path, content: str | bytes, *arguments: str, file: str = "answer.json"
) -> subprocess.CompletedProcess:
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / "answer.json").write_bytes(raw)
    repository = Path(__file__).resolve().parents[3]
    return subprocess.run(
        [sys.executable, "-m", "manage", "verify", file, *arguments],
        cwd=folder,
        env={"PATH": "", "HOME": os.environ["HOME"], "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )


def faults(done: subprocess.CompletedProcess) -> list[tuple[str, str]]:
    assert (done.returncode, done.stdout) == (2, "")
    return [(error["path"], error["code"]) for error in json.loads(done.stderr)["errors"]]


def test_a_result_that_the_given_key_signed_holds(tmp_path: Path) -> None:
    done = verify(tmp_path, answer(public_key=OTHER), "--public-key", PUBLIC)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"The result {RESULT['result_id']} is signed by {PUBLIC}, and nothing in it was changed.\n"
    )


def test_the_files_own_key_is_said_to_prove_nothing_of_the_signer(tmp_path: Path) -> None:
    done = verify(tmp_path, answer())
    assert (done.returncode, done.stderr) == (0, "")
    assert "is signed by" in done.stdout
    assert "proves only that the file is whole, not who signed it" in done.stdout


def test_an_answer_that_was_printed_anew_still_holds(tmp_path: Path) -> None:
    printed = json.dumps(json.loads(answer()), indent=2, sort_keys=True, ensure_ascii=False)
    assert verify(tmp_path, b"\xef\xbb\xbf" + printed.encode()).returncode == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("10000", "10001"),
        ("0.30000000000000004", "0.3"),
        ("100000000000000000", "100000000000000016"),
    ],
)
def test_one_digit_that_changed_breaks_the_signature(
    tmp_path: Path, before: str, after: str
) -> None:
    changed = answer().replace(before, after, 1)
    assert changed != answer()
    done = verify(tmp_path, changed, "--public-key", PUBLIC)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"The signature does not hold for the key {PUBLIC}: the result was changed, or another "
        "key signed it.\n"
    )


@pytest.mark.parametrize("signature", ["", "no hex", "00" * 64])
def test_a_signature_that_is_none_does_not_hold(tmp_path: Path, signature: str) -> None:
    assert verify(tmp_path, answer(signature=signature)).returncode == 1


def test_a_key_that_did_not_sign_does_not_hold(tmp_path: Path) -> None:
    assert verify(tmp_path, answer(), "--public-key", OTHER).returncode == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", [("/file", "malformed_json")]),
        (b"\xff\xfe", [("/file", "malformed_json")]),
        ("[" * 200_000, [("/file", "malformed_json")]),
        ("[]", [("/file", "type")]),
        (answer().replace('"status"', '"result": {}, "status"'), [("/file", "malformed_json")]),
        (answer().replace('"cash":10000', '"cash":1e999'), [("/result", "not_canonical")]),
        (answer().replace('"cash":10000', '"cash":NaN'), [("/result", "not_canonical")]),
        (answer(signature=None), [("/signature", "required")]),
        (answer(public_key=None), [("/public_key", "required")]),
        (answer(public_key="00"), [("/public_key", "bad_key")]),
        (
            '{"result": null, "signature": null, "public_key": null}',
            [
                ("/result", "required"),
                ("/result/result_id", "required"),
                ("/signature", "required"),
                ("/public_key", "required"),
            ],
        ),
    ],
)
def test_a_file_that_cannot_be_checked_is_refused(
    tmp_path: Path, content: str | bytes, expected: list[tuple[str, str]]
) -> None:
    assert faults(verify(tmp_path, content)) == expected


@pytest.mark.parametrize("key", ["", "public", PUBLIC[:-2]])
def test_a_key_that_is_none_is_refused(tmp_path: Path, key: str) -> None:
    done = verify(tmp_path, answer(), "--public-key", key)
    assert faults(done) == [("/public_key", "bad_key")]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for nowhere in ("nowhere.json", "."):
        done = verify(tmp_path, answer(), file=nowhere)
        assert faults(done) == [("/file", "unreadable")]
