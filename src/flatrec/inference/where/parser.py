"""The grammar of conditions, read by recursive descent.

::

    condition = both { "or" both }
    both      = single { "and" single }
    single    = "not" single | "(" condition ")" | column test
    test      = ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
              | [ "not" ] "in" "[" [ value { "," value } [ "," ] ] "]"
              | "contains" value
              | "is" [ "not" ] "missing"
    value     = number | text | "true" | "false"
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from flatrec.inference.where.refusal import DEEPEST, refusal
from flatrec.inference.where.tokens import Token, tokenize
from flatrec.inference.where.tree import (
    All,
    AnyOf,
    Comparison,
    Condition,
    Containment,
    Membership,
    Missing,
    Name,
    Not,
    Operator,
    Value,
)
from flatrec.utils.messages import clipped

TESTS = "=, !=, <, <=, >, >=, in, not in, contains or is missing"
OPERATORS: tuple[Operator, ...] = ("=", "!=", "<", "<=", ">", ">=")
_FAR_EXPONENT = re.compile(r"[eE][+-]?0*[1-9][0-9]{3}")  # of four digits or more: no float is that large or small


def parse(expression: str) -> Condition:
    """Return the tree of a condition.

    Raises:
        ValueError: the text does not follow the grammar, or is too long or nested too deeply.
    """
    tokens = _Tokens(tokenize(expression))
    condition = _condition(tokens, 0)
    if tokens.next.kind != "end":
        raise _unexpected(tokens.next, "and, or or the end")
    return condition


class _Tokens:
    """The tokens that have not been read yet."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._index = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._index]

    def take(self) -> Token:
        token = self.next
        self._index += token.kind != "end"
        return token

    def take_if(self, content: str) -> Token | None:
        """Take the next token if it is this keyword or sign."""
        wanted = self.next.kind in ("keyword", "sign") and self.next.content == content
        return self.take() if wanted else None

    def expect(self, content: str, alternatives: str = "") -> Token:
        token = self.take_if(content)
        if token is None:
            raise _unexpected(self.next, alternatives or content)
        return token


def _unexpected(token: Token, expected: str) -> ValueError:
    return refusal(token.position, f"expected {expected}, but found {token.described()}")


def _condition(tokens: _Tokens, depth: int) -> Condition:
    conditions = [_both(tokens, depth)]
    while tokens.take_if("or"):
        conditions.append(_both(tokens, depth))
    return conditions[0] if len(conditions) == 1 else AnyOf(tuple(conditions))


def _both(tokens: _Tokens, depth: int) -> Condition:
    conditions = [_single(tokens, depth)]
    while tokens.take_if("and"):
        conditions.append(_single(tokens, depth))
    return conditions[0] if len(conditions) == 1 else All(tuple(conditions))


def _single(tokens: _Tokens, depth: int) -> Condition:
    if depth > DEEPEST:
        raise refusal(tokens.next.position, f"parentheses and not may be nested {DEEPEST} deep; write it flatter")
    if tokens.take_if("not"):
        return Not(_single(tokens, depth + 1))
    opening = tokens.take_if("(")
    if opening:
        condition = _condition(tokens, depth + 1)
        tokens.expect(")", f"and, or or the ) for the ( at position {opening.position}")
        return condition
    return _test(tokens)


def _test(tokens: _Tokens) -> Condition:
    token = tokens.take()
    if token.kind != "name":
        hint = " (a column of that name stands in `backticks`)" if token.kind == "keyword" else ""
        raise _unexpected(token, f"a column name, not or ({hint}")
    column = Name(token.content, token.position)
    if tokens.take_if("is"):
        negated = tokens.take_if("not")
        tokens.expect("missing", "missing" if negated else "missing or not missing")
        return Not(Missing(column)) if negated else Missing(column)
    if tokens.take_if("contains"):
        return Containment(column, _value(tokens))
    if tokens.take_if("not"):
        tokens.expect("in")
        return Not(Membership(column, _list(tokens)))
    if tokens.take_if("in"):
        return Membership(column, _list(tokens))
    return Comparison(column, _operator(tokens), _value(tokens))


def _operator(tokens: _Tokens) -> Operator:
    token = tokens.take()
    for operator in OPERATORS:
        if token.kind == "sign" and token.content == operator:
            return operator
    raise _unexpected(token, TESTS)


def _list(tokens: _Tokens) -> tuple[Value, ...]:
    opening = tokens.expect("[", 'a list such as ["mugs", "lamps"]')
    values: list[Value] = []
    while not tokens.take_if("]"):
        values.append(_value(tokens))
        if not tokens.take_if(","):
            tokens.expect("]", f"a comma or the ] for the [ at position {opening.position}")
            break
    return tuple(values)


def _value(tokens: _Tokens) -> Value:
    token = tokens.take()
    if token.kind == "number":
        return Value(_number(token), token.written, token.position)
    if token.kind == "text":
        return Value(token.content, token.written, token.position)
    if token.kind == "keyword" and token.content in ("true", "false"):
        return Value(token.content == "true", token.written, token.position)
    hint = "; a text stands in quotation marks, and columns are not compared with columns" * (token.kind == "name")
    raise refusal(
        token.position,
        f"expected a number, a text in quotation marks, true or false, but found {token.described()}{hint}",
    )


def _number(token: Token) -> Fraction:
    if _FAR_EXPONENT.search(token.content) or not math.isfinite(float(token.content)):
        raise refusal(token.position, f"the number {clipped(token.content)} is too large or too small for a computer")
    return Fraction(token.content)
