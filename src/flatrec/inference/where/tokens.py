"""The words, numbers, texts and signs of a condition."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TypeAlias

from flatrec.inference.where.refusal import LONGEST, refusal
from flatrec.utils.messages import clipped

Kind: TypeAlias = Literal["name", "keyword", "text", "number", "sign", "end"]

KEYWORDS = frozenset({"and", "or", "not", "in", "is", "missing", "contains", "true", "false"})
# Signs of other languages, and what to write for them.
FOREIGN = {"==": "=", "<>": "!=", "&&": "and", "||": "or", "&": "and", "|": "or"}
FOREIGN |= {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'"}  # quotation marks of word processors
CLOSERS = {"'": "a text", '"': "a text", "`": "a name"}
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
      | (?P<word>[^\W\d]\w*)
      | (?P<quoted>'(?:[^']|'')*+' | "(?:[^"]|"")*+" | `(?:[^`]|``)*+`)
      | (?P<foreign>==|<>|&&|\|\||[&|“”„‘’])
      | (?P<sign><=|>=|!=|[=<>()\[\],])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """A piece of a condition."""

    kind: Kind
    content: str  # a text or a name without its quotation marks; a keyword in small letters
    position: int  # of its first character, counted from 1
    written: str  # as it stands in the condition

    def described(self) -> str:
        """Return what it is, for messages."""
        if self.kind == "end":
            return "the end"
        return f"the {self.kind} {clipped(self.written)!r}"


def tokenize(expression: str) -> list[Token]:
    """Return the tokens of a condition; the last one is its end.

    Raises:
        ValueError: the condition is empty, too long, or has a character that starts nothing.
    """
    _check_text(expression)
    tokens = [_token_at(expression, 0)]
    while tokens[-1].kind != "end":
        tokens.append(_token_at(expression, tokens[-1].position - 1 + len(tokens[-1].written)))
    return tokens


def _check_text(expression: str) -> None:
    if not expression.strip():
        raise refusal(1, "the condition is empty; write one such as price < 30")
    if len(expression) > LONGEST:
        raise refusal(LONGEST + 1, f"a condition may have {LONGEST} characters, but this one has {len(expression)}")
    half = re.search(r"[\ud800-\udfff]", expression)
    if half:
        raise refusal(half.start() + 1, "there is half of a character (a lone surrogate), which no text may contain")


def _token_at(expression: str, start: int) -> Token:
    match = _TOKEN.match(expression, start)
    if match is None:
        raise _unreadable(expression, start)
    group = match.lastgroup or "end"
    written = match[group]
    position = match.start(group) + 1
    if group == "foreign":
        raise refusal(position, f"there is no {written}; write {FOREIGN[written]}")
    if group == "quoted":
        mark, content = written[0], written[1:-1].replace(written[0] * 2, written[0])
        return Token("name" if mark == "`" else "text", content, position, written)
    if group == "word":
        keyword = written.lower() in KEYWORDS
        return Token("keyword", written.lower(), position, written) if keyword else _plain("name", written, position)
    kinds: dict[str, Kind] = {"number": "number", "sign": "sign", "end": "end"}
    return _plain(kinds[group], written, position)


def _plain(kind: Kind, written: str, position: int) -> Token:
    return Token(kind, written, position, written)


def _unreadable(expression: str, start: int) -> ValueError:
    rest = expression[start:].lstrip()
    position = len(expression) - len(rest) + 1
    mark = rest[0]
    if mark in CLOSERS:
        return refusal(position, f"{CLOSERS[mark]} begins with {mark} and never ends; close it with {mark}")
    if mark.isdigit() or mark in "+-.":
        return refusal(position, f"{clipped(rest.split()[0])!r} is no number; write one such as 30, -2.5 or 1e6")
    return refusal(position, f"unexpected character {mark!r}; column names with odd characters stand in `backticks`")
