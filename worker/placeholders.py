r"""Parameter values in the program's text: `%(x)`, `%x`, `$x`, `${x}`, `$(x)` and `{x}`.

Each of these is replaced if `x` is a known parameter, whatever quotes it stands in, and quoted so
that the value reaches the program as it is: as one argument, or as its part of one. All else stays
for bash, which runs the text: unknown names, `${x:-1}`, `$(date)`, `%s`.

- Names are matched longest first and as a whole: `$x` is not replaced within `$xy`.
- Numbers are written as Python writes them (`0.1`, `1e-05`: all digits that count), truth values
  as `True` and `False`.
- A backslash keeps its meaning: `\$x` is no placeholder. `%%` is left as it is and starts none.
- Comments, and `%` as the operator of `${name%end}`, are left alone.
- In a here-document the value stands for itself; with a quoted delimiter it is put in as it is.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from db.records import Value

_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_PLAIN = _WORD | frozenset("./+-:@")
# Words that mean something to bash where a command may start.
_RESERVED = (
    " case coproc do done elif else esac fi for function if in select then time until while "
)
_FORMS = (("%(", ")"), ("$(", ")"), ("${", "}"), ("{", "}"), ("%", ""), ("$", ""))

# What the text stands in; the innermost is last. Most have the sign that ends them.
_BARE, _PAREN, _ARITHMETIC, _BACKTICK = "bare", "paren", "arithmetic", "backtick"
_SINGLE, _ANSI, _DOUBLE, _DOCUMENT, _RAW = "single", "ansi", "double", "document", "raw"
_BRACE, _QUOTED_BRACE = "brace", "quoted brace"
_UNQUOTED = (_BARE, _PAREN, _ARITHMETIC, _BACKTICK, _BRACE)
_COMMAND = (_BARE, _PAREN, _BACKTICK)
_ENDS = {
    _PAREN: ")",
    _ARITHMETIC: ")",
    _BACKTICK: "`",
    _SINGLE: "'",
    _ANSI: "'",
    _DOUBLE: '"',
    _BRACE: "}",
    _QUOTED_BRACE: "}",
}
# Signs that a backslash takes the meaning of, where not every sign is one.
_ESCAPABLE = {_DOUBLE: '\\"$`', _DOCUMENT: "\\$`", _QUOTED_BRACE: '\\"$`}'}


def render(text: str, parameters: Mapping[str, Value]) -> str:
    """Return the program's text for bash, with the values of the parameters in it.

    Args:
        text: What the user gave as program.
        parameters: Values by name; a name may hold any characters.
    """
    return _Scanner(text, parameters).run()


def unknown_names(text: str, names: Iterable[str]) -> list[str]:
    """Return the names that stand as `%(name)` in the text and are not among `names`."""
    scanner = _Scanner(text, dict.fromkeys(names, 0))
    scanner.run()
    return list(dict.fromkeys(scanner.unknown))


def _text_of(value: Value) -> str:
    """Write a value as the program is to see it."""
    return repr(value) if isinstance(value, float) else str(value)


class _Scanner:
    """Goes through bash text once, knowing at each sign what it is quoted by."""

    def __init__(self, text: str, parameters: Mapping[str, Value], context: str = _BARE) -> None:
        self.text = text
        self.parameters = parameters
        self.names = sorted(parameters, key=len, reverse=True)
        self.at = 0
        self.done: list[str] = []
        self.contexts = [context]
        self.documents: list[tuple[str, bool, bool]] = []  # delimiter, quoted, tabs stripped
        self.unknown: list[str] = []

    def run(self) -> str:
        """Go through the whole text."""
        while self.at < len(self.text):
            if not self._placeholder():
                self._step()
        return "".join(self.done)

    def _copy(self, count: int) -> None:
        """Take the next characters over as they are."""
        self.done.append(self.text[self.at : self.at + count])
        self.at += count

    def _open(self, context: str, count: int) -> None:
        """Take over the characters that begin a context."""
        self._copy(count)
        self.contexts.append(context)

    def _step(self) -> None:
        """Take over one sign, or the few that belong together, and follow the contexts."""
        context, sign = self.contexts[-1], self.text[self.at]
        if sign == "\\" and context not in (_SINGLE, _RAW):
            self._backslash(context)
        elif len(self.contexts) > 1 and sign == _ENDS[context]:
            self._copy(1)
            self.contexts.pop()
        elif context in (_SINGLE, _ANSI, _RAW):
            self._copy(1)
        elif sign in {"$", "`"}:
            self._dollar_or_backtick(context)
        elif sign == '"' and context != _DOCUMENT:
            self._open(_DOUBLE, 1)
        elif context in _UNQUOTED:
            self._unquoted(context, sign)
        else:
            self._copy(1)

    def _backslash(self, context: str) -> None:
        """Take over a backslash and the sign whose meaning it takes."""
        following = self.text[self.at + 1 : self.at + 2]
        if following in _ESCAPABLE.get(context, following) or following == "\n":
            self._copy(2)
        else:
            # A literal backslash. Alone it could take the meaning of a value's first sign.
            self.done.append("\\\\")
            self.at += 1

    def _dollar_or_backtick(self, context: str) -> None:
        """Follow an expansion."""
        unquoted = context in _UNQUOTED
        if self.text[self.at] == "`":
            self._open(_BACKTICK, 1)
        elif self.text.startswith("$((", self.at):
            self._open(_ARITHMETIC, 2)
            self._open(_ARITHMETIC, 1)
        elif self.text.startswith("$(", self.at):
            self._open(_PAREN, 2)
        elif self.text.startswith("${", self.at):
            self._open(_BRACE if unquoted else _QUOTED_BRACE, 2)
        elif self.text.startswith("$'", self.at) and unquoted:
            self._open(_ANSI, 2)
        else:
            self._copy(2 if self.text[self.at + 1 : self.at + 2] in ("$", "#") else 1)

    def _unquoted(self, context: str, sign: str) -> None:
        """Follow what has a meaning only outside of quotes."""
        if sign == "'":
            self._open(_SINGLE, 1)
        elif context == _ARITHMETIC:
            self._open(_ARITHMETIC, 1) if sign == "(" else self._copy(1)
        elif context not in _COMMAND:
            self._copy(1)
        elif self.text.startswith("((", self.at):
            self._open(_ARITHMETIC, 1)
            self._open(_ARITHMETIC, 1)
        elif sign == "(":
            self._open(_PAREN, 1)
        elif sign == "#" and (self.at == 0 or self.text[self.at - 1] in " \t\n;&|()"):
            end = self.text.find("\n", self.at)
            self._copy((end if end >= 0 else len(self.text)) - self.at)
        elif self.text.startswith("<<<", self.at):
            self._copy(3)
        elif self.text.startswith("<<", self.at):
            self._announce_document()
        else:
            self._copy(1)
            if sign == "\n" and self.documents:
                self._read_documents()

    def _announce_document(self) -> None:
        """Read `<<[-]WORD`; the document itself starts at the next line."""
        start = self.at
        self.at += 2
        strips = self.text.startswith("-", self.at)
        self.at += strips
        while self.text[self.at : self.at + 1] in (" ", "\t"):
            self.at += 1
        word = self.at
        while self.at < len(self.text) and self.text[self.at] not in " \t\n;&|()<>":
            self.at += 1
        given = self.text[word : self.at]
        delimiter = "".join(sign for sign in given if sign not in "'\"\\")
        self.documents.append((delimiter, delimiter != given, strips))
        self.done.append(self.text[start : self.at])

    def _read_documents(self) -> None:
        """Take over the here-documents that the last line announced."""
        for delimiter, quoted, strips in self.documents:
            start = end = self.at
            while end < len(self.text):
                stop = self.text.find("\n", end)
                stop = len(self.text) if stop < 0 else stop
                line = self.text[end:stop]
                if (line.lstrip("\t") if strips else line) == delimiter:
                    break
                end = min(stop + 1, len(self.text))
            inner = _Scanner(self.text[start:end], self.parameters, _RAW if quoted else _DOCUMENT)
            self.done.append(inner.run())
            self.unknown += inner.unknown
            self.at = end
            self._copy(len(delimiter) if not strips else 0)
        self.documents = []

    def _placeholder(self) -> bool:
        """Replace the placeholder that begins here, if one does."""
        sign = self.text[self.at]
        if sign not in "%${":
            return False
        if self.text.startswith("%%", self.at):
            self._copy(2)
            return True
        for opening, closing in _FORMS:
            if not self.text.startswith(opening, self.at):
                continue
            if opening == "%" and self._is_operator():
                continue
            name = self._name(self.at + len(opening), closing)
            if name is not None:
                sticks = self._follows_variable()
                self.at += len(opening) + len(name) + len(closing)
                self.done.append(self._quoted(_text_of(self.parameters[name]), sticks=sticks))
                return True
        if sign == "%":
            self._note_unknown()
        return False

    def _is_operator(self) -> bool:
        """Tell whether this is the `%` of `${name%end}`."""
        if self.contexts[-1] not in (_BRACE, _QUOTED_BRACE):
            return False
        start = self.at
        while start and (self.text[start - 1] in _WORD or self.text[start - 1] in "[]@*!"):
            start -= 1
        return self.text[start - 2 : start] == "${"

    def _name(self, start: int, closing: str) -> str | None:
        """Return the known name that stands at `start` and ends as it should."""
        for name in self.names:
            if self.text.startswith(name, start):
                end = start + len(name)
                if closing and self.text.startswith(closing, end):
                    return name
                if not closing and self.text[end : end + 1] not in _WORD:
                    return name
        return None

    def _note_unknown(self) -> None:
        """Remember a `%(name)` of which nobody knows the name."""
        end = self.text.find(")", self.at)
        if not self.text.startswith("%(", self.at) or end < 0:
            return
        name = self.text[self.at + 2 : end]
        if name and not name[0].isdigit() and all(sign in _WORD or sign in ".-" for sign in name):
            self.unknown.append(name)

    def _follows_variable(self) -> bool:
        """Tell whether bash would read the value as part of a name: `$y%(x)` is not `$y1`."""
        start = self.at
        while start and self.text[start - 1] in _WORD:
            start -= 1
        return start < self.at and self.text[start - 1 : start] == "$"

    def _quoted(self, value: str, *, sticks: bool) -> str:
        """Quote a value for the place where it stands."""
        context = self.contexts[-1]
        if context == _RAW or (self._is_plain(value) and not sticks):
            quoted = value
        elif context == _SINGLE:
            quoted = value.replace("'", "'\\''")
        elif context == _ANSI:
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        elif context == _QUOTED_BRACE:
            # bash 5 wants a single quote within "${y:-…}" in quotes of its own.
            quoted = _escaped(value, _ESCAPABLE[context]).replace("'", '"\'"')
        elif context in _ESCAPABLE:
            gap = '""' if sticks and context == _DOUBLE else ""
            quoted = gap + _escaped(value, _ESCAPABLE[context])
        else:
            quoted = "'" + value.replace("'", "'\\''") + "'"
        # Within backticks bash takes a level of backslashes away before it reads the command.
        for _ in range(self.contexts.count(_BACKTICK)):
            quoted = _escaped(quoted, "\\$`")
        return quoted

    def _is_plain(self, value: str) -> bool:
        """Tell whether bash reads a value as itself without any quotes."""
        if self.text[self.at : self.at + 1] in ("<", ">"):
            return False  # `2>file` would not give the program its 2
        return bool(value) and _PLAIN.issuperset(value) and f" {value} " not in _RESERVED


def _escaped(value: str, signs: str) -> str:
    """Put a backslash before each of `signs`."""
    return "".join("\\" + sign if sign in signs else sign for sign in value)
