"""`neozork verify`: whether a backtest's saved answer is what was signed, with no server."""

import json
from pathlib import Path
from typing import Any

import click
import rfc8785

from core.cli.refusals import Offline
from core.errors import Fault, InvalidInputError
from core.trading.backtest.signing import is_signed_by, read_public_key


@click.command(cls=Offline)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--public-key", metavar="HEX", help="Of who must have signed; else the file's own.")
@click.pass_context
def verify(ctx: click.Context, file: Path, public_key: str | None) -> None:
    """Check the signature of a backtest's answer, saved as JSON."""
    answer = _read(file)
    _refuse_partial(answer, own_key=public_key is None)
    document = _canonical(answer["result"])
    try:
        key = read_public_key(answer["public_key"] if public_key is None else public_key)
    except ValueError:
        raise _refusal("/public_key", "bad_key", "The key is not 32 bytes in hex.") from None
    shown = key.public_bytes_raw().hex()
    if not is_signed_by(document, answer["signature"], key):
        click.echo(
            f"The signature does not hold for the key {shown}: the result was changed, or another "
            "key signed it.",
            err=True,
        )
        ctx.exit(1)
    click.echo(
        f"The result {answer['result']['result_id']} is signed by {shown}, and nothing in it was "
        "changed."
    )
    if public_key is None:
        click.echo(
            "The key is the file's own: this proves only that the file is whole, not who signed "
            "it. To know that, give --public-key."
        )


def _read(file: Path) -> dict[str, Any]:
    """Answer what the file says, every number a float as RFC 8785 has it.

    A float such as 1e17 is written without a point; as an integer it could not be written again.
    """
    try:
        answer = json.loads(file.read_text("utf-8-sig"), parse_int=float, object_pairs_hook=_object)
    except OSError:
        raise _refusal("/file", "unreadable", f"{file} is no file that can be read.") from None
    except (ValueError, RecursionError) as error:
        raise _refusal("/file", "malformed_json", f"The file is no JSON: {error}.") from None
    if not isinstance(answer, dict):
        raise _refusal("/file", "type", "The file is no JSON object.")
    return answer


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse keys that stand twice: another reader could take the one that was not checked."""
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return mapping


def _refuse_partial(answer: dict[str, Any], *, own_key: bool) -> None:
    result = answer.get("result")
    held = {
        "/result": isinstance(result, dict),
        "/result/result_id": isinstance(result, dict) and isinstance(result.get("result_id"), str),
        "/signature": isinstance(answer.get("signature"), str),
        "/public_key": not own_key or isinstance(answer.get("public_key"), str),
    }
    hint = "Save the answer of GET …/trading/backtesting/{id} once its job succeeded."
    faults = [
        Fault(path, "required", f"The file lacks {path}.", hint)
        for path, is_there in held.items()
        if not is_there
    ]
    if faults:
        raise InvalidInputError("The file is no answer with a signed result.", errors=faults)


def _canonical(result: dict[str, Any]) -> bytes:
    try:
        return rfc8785.dumps(result)
    except (ValueError, RecursionError) as error:
        raise _refusal("/result", "not_canonical", f"RFC 8785 cannot write it: {error}.") from None


def _refusal(path: str, code: str, message: str) -> InvalidInputError:
    return InvalidInputError("The file cannot be checked.", errors=[Fault(path, code, message)])
