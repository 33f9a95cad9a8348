"""Verify the fields of a record against its text, instead of believing them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar, cast

from octavo.text.grounding.search import PieceLocation, find_pieces
from octavo.text.note import Record
from octavo.text.span import Span

__all__ = ["Claim", "Evidence", "MatchKind", "VerifiedClaim", "verify_claims"]


Name = TypeVar("Name")


class MatchKind(StrEnum):
    """How the source of a field was verified.

    EXACT: the value stands in the text to the letter. ALIKE: but for case, white space and
    typography, or a number in another notation. QUOTE: the value does not stand there, as a
    category does not, but the words that the record was taken from do. NONE: neither does.
    """

    EXACT = "exact"
    ALIKE = "alike"
    QUOTE = "quote"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Claim:
    """A record that a model returned, and the words of the text that it cites for it."""

    record: Record
    quote: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """How something was verified, and where it stands; without a place when it was not."""

    match: MatchKind
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class VerifiedClaim:
    """A claim with the evidence for its quote and, by their paths, for its fields."""

    claim: Claim
    quote: Evidence
    fields: Mapping[str, Evidence]


def verify_claims(text: str, claims: Sequence[Claim], offset: int = 0) -> list[VerifiedClaim]:
    """Return the claims with their evidence in a text that begins at `offset` of the document.

    A value is looked for in the claim's own quote first, then in the whole text. All of it takes
    time in proportion to the text and the claims together.
    """
    quotes = find_pieces(text, [claim.quote for claim in claims])
    found: list[dict[str, Evidence]] = []
    forms = [dict(_iter_leaves(claim.record)) for claim in claims]
    for fields, quote in zip(forms, quotes, strict=True):
        inside = _find_values("" if quote is None else text[slice(*quote.span)], fields)
        start = offset + (quote.span.start if quote else 0)
        found.append({path: _to_evidence(place, start) for path, place in inside.items()})
    missing = {
        (number, path): variants
        for number, fields in enumerate(forms)
        for path, variants in fields.items()
        if path not in found[number]
    }
    for (number, path), place in _find_values(text, missing).items():
        found[number][path] = _to_evidence(place, offset)
    return [
        _combine_evidence(claim, quote, fields, evidence, offset)
        for claim, quote, fields, evidence in zip(claims, quotes, forms, found, strict=True)
    ]


def _combine_evidence(
    claim: Claim,
    place: PieceLocation | None,
    fields: Mapping[str, object],
    found: Mapping[str, Evidence],
    offset: int,
) -> VerifiedClaim:
    quote = Evidence(MatchKind.NONE) if place is None else _to_evidence((place, False), offset)
    other = quote if quote.span is None else Evidence(MatchKind.QUOTE, quote.span)
    return VerifiedClaim(claim, quote, {path: found.get(path, other) for path in fields})


def _to_evidence(found: tuple[PieceLocation, bool], offset: int) -> Evidence:
    place, rewritten = found
    match = MatchKind.EXACT if place.exact and not rewritten else MatchKind.ALIKE
    return Evidence(match, Span(offset + place.span.start, offset + place.span.end))


def _find_values(
    text: str, wanted: Mapping[Name, Sequence[str]]
) -> dict[Name, tuple[PieceLocation, bool]]:
    """Return the place of each value, by the first of its forms that is there, and which it is."""
    pieces = [form for forms in wanted.values() for form in forms]
    places = iter(find_pieces(text, pieces) if text else [None] * len(pieces))
    found: dict[Name, tuple[PieceLocation, bool]] = {}
    for name, forms in wanted.items():
        for number, _ in enumerate(forms):
            place = next(places)
            if place is not None and name not in found:
                found[name] = (place, number > 0)
    return found


def _iter_leaves(value: object, path: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the path of each value in a record, with the forms in which a text may have it.

    What is empty or null claims nothing. A path is the names and numbers on the way, with slashes.
    """
    match value:
        case Mapping():
            for name, each in cast("Mapping[str, object]", value).items():
                yield from _iter_leaves(each, f"{path}/{name}" if path else name)
        case list():
            for number, each in enumerate(cast("list[object]", value)):
                yield from _iter_leaves(each, f"{path}/{number}" if path else str(number))
        case str():
            if value.strip():
                yield path, (value,)
        case bool():
            yield path, ()
        case int() | float():
            yield path, _format_number(value)
        case _:
            pass


def _format_number(number: float) -> tuple[str, ...]:
    """Return the ways in which a number is written, its plain form first."""
    if isinstance(number, float) and not number.is_integer():
        plain = repr(number)
        return (plain, plain.replace(".", ",")) if "e" not in plain else (plain,)
    whole = int(number)
    grouped = f"{whole:,}"
    if "," not in grouped:
        return (str(whole),)
    marks = (",", ".", " ", "'")
    return (str(whole), *(grouped.replace(",", mark) for mark in marks))
