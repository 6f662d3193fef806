"""Calls of the `pellucid` command."""

from typer.testing import CliRunner

from pellucid.cli.main import app


def invoke(*arguments, code=0, input=None):
    """Return the result of a call that ends with this exit code and no traceback.

    `input` is what standard input has: text or bytes.
    """
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result
