"""Options that several commands share, as dataclasses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, Literal, get_type_hints

import typer


@dataclass(frozen=True)
class ReadingOptions:
    """How the files of tables are read; the fields are parameters of `tables.read_table`."""

    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header",
            help="Whether the first line of a CSV file contains column names. Without names, the "
            "columns are named column_1, column_2, …",
            show_default="names; an error if the line looks like data",
        ),
    ] = None
    delimiter: Annotated[
        str | None,
        typer.Option(
            help="Character between the cells of a CSV file, such as ';' or '\\t'. This and the "
            "following are recognized by default."
        ),
    ] = None
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of a CSV file, such as latin-1.")
    ] = None
    comment: Annotated[
        str | None, typer.Option(help="What comment lines of a CSV file begin with, such as #.")
    ] = None
    decimal: Annotated[
        Literal[".", ","] | None, typer.Option(help="Decimal mark of the numbers in a CSV file.")
    ] = None
    thousands: Annotated[
        str | None,
        typer.Option(help="Separator of groups of three digits in the numbers of a CSV file."),
    ] = None

    def __post_init__(self) -> None:
        if not self.given():
            return
        from pellucid.cli.words import in_options
        from pellucid.tables.dialect import CsvOptions
        from pellucid.tables.reading import check_marks
        from pellucid.tables.table import TableError

        try:
            CsvOptions(self.header, self.delimiter, self.encoding, self.comment)
            check_marks(self.decimal, self.thousands)
        except TableError as error:
            raise typer.BadParameter(in_options(str(error))) from None

    def given(self) -> dict[str, Any]:
        """Return the options that were given, by name; a backslash and a t stand for a tab."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        if given.get("delimiter") == "\\t":
            given["delimiter"] = "\t"
        return given


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take dataclasses of options: each of their fields becomes an option.

    Examples
    --------
    >>> import inspect
    >>> from pellucid.cli.options import ReadingOptions, with_options
    >>> @with_options
    ... def command(table: str, reading: ReadingOptions) -> None:
    ...     pass
    >>> list(inspect.signature(command).parameters)
    ['table', 'header', 'delimiter', 'encoding', 'comment', 'decimal', 'thousands']
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        if name in groups:
            parameters += map(_parameter_of(groups[name]), _options_of(groups[name]))
        else:
            parameters.append(
                parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name])
            )

    @wraps(command)
    def expanded(**values: Any) -> None:
        made = {
            name: group(**{option.name: values.pop(option.name) for option in _options_of(group)})
            for name, group in groups.items()
        }
        command(**values, **made)

    expanded.__annotations__ = {one.name: one.annotation for one in parameters}
    expanded.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return expanded


def _options_of(group: Any) -> list[Field[Any]]:
    return [option for option in fields(group) if option.init]


def _parameter_of(group: Any) -> Callable[[Field[Any]], Parameter]:
    hints = get_type_hints(group, include_extras=True)

    def parameter(option: Field[Any]) -> Parameter:
        default = Parameter.empty if option.default is MISSING else option.default
        annotation = hints[option.name]
        return Parameter(
            option.name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )

    return parameter
