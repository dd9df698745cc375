"""How an error of ours reaches a terminal: in words for people, or as a document for programs."""

import json
from typing import Any

import click

from core.errors import InvalidInputError, NeozorkError


class Commands(click.Group):
    """Says on standard error what went wrong, every fault in a line; exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except NeozorkError as error:
            click.echo(f"neozork: {in_words(error)}", err=True)
        return ctx.exit(1)


class Offline(click.Command):
    """Prints the problem document of an input that it refuses; exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except InvalidInputError as error:
            click.echo(json.dumps(error.problem(), indent=2), err=True)
        return ctx.exit(2)


def in_words(error: NeozorkError) -> str:
    """Answer what an error says, and below it a line for each of its faults."""
    faults = [f"  {fault.path}: {fault.message} {fault.hint}".rstrip() for fault in error.errors]
    return "\n".join([error.detail, *faults])
