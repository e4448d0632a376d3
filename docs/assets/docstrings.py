"""How the site reads docstrings: `Example:` holds doctests, RST's tables are set as code."""

import re

import griffe

EXAMPLE = re.compile(r"^([ \t]*)Example:[ \t]*$", re.MULTILINE)
TABLE = re.compile(r"^(=+ .*=+)\n(?:.*\n)*?\1\n(?:.*\n)*?\1$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites a docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Called for everything that griffe has found."""
        if obj.docstring is not None:
            text = EXAMPLE.sub(r"\1Examples:", obj.docstring.value)
            obj.docstring.value = TABLE.sub(lambda table: f"```text\n{table[0]}\n```", text)
