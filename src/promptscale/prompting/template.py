"""Templates: how the columns of a row become the input of the model."""

import string

from promptscale.data.tables import TableRow
from promptscale.errors import ConfigError

DEFAULT = "{input}"


class Template:
    """A text with column names in braces, such as `question: {q} context: {c}`.

    Two braces stand for a brace.
    """

    def __init__(self, text: str) -> None:
        """Reads the template.

        Raises:
          ConfigError: its braces do not match, or it names no column.
        """
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError as error:
            raise ConfigError(
                f"The template {text!r} cannot be read: {error}; write {{column}} for a column, "
                "and two braces for a brace."
            ) from error
        if any(style or conversion for _, _, style, conversion in parts):
            raise ConfigError(
                f"The template {text!r} has a colon or an exclamation mark between braces; only "
                "the name of a column stands there."
            )
        self._parts = [(before, column) for before, column, _, _ in parts]
        if any(column == "" for _, column in self._parts):
            raise ConfigError(f"The template {text!r} has braces without the name of a column.")
        if not any(column for _, column in self._parts):
            raise ConfigError(f"The template {text!r} names no column; write {{input}}, say.")

    def fill(self, row: TableRow) -> str:
        """The template with the row's texts in the place of the columns' names.

        Raises:
          DataError: the row lacks a column.
        """
        return "".join(
            before + (row.text(column) if column else "") for before, column in self._parts
        )
