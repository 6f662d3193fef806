"""Calls of the `pellucid` command."""

from typer.testing import CliRunner

from pellucid.cli.main import app


def invoke(*arguments, code=0):
    """Return the result of a call that ends with this exit code and no traceback."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result
