"""What several readings found, as one list: equal records are one, and lacks are filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from octavo.text.alike import Equality, to_canonical_form
from octavo.text.evidence import Evidence, MatchKind, VerifiedClaim
from octavo.text.note import Record
from octavo.text.span import Span

__all__ = ["Finding", "harvest"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A verified record, the number of the pass that gave it, and where its part begins."""

    found: VerifiedClaim
    reading: int
    start: int

    @property
    def place(self) -> Span | None:
        """Where the record's quote stands."""
        return self.found.quote.span


def harvest(findings: Sequence[Finding], *, key: Sequence[str], everywhere: bool) -> Record:
    """Return the `records` in the order of the document, with how many fields are unverified.

    Records are equal when the fields of `key` are, or all of them without it, without regard to
    case and white space; and, unless `everywhere`, when their quotes overlap or have no place. Of
    equal ones the first counts, and takes what it lacks from the others.
    """
    groups: dict[str, list[list[Finding]]] = {}
    for finding in findings:
        alike = groups.setdefault(_name(finding.found.claim.record, key), [])
        for group in alike:
            if everywhere or any(_meet(finding.place, other.place) for other in group):
                group.append(finding)
                break
        else:
            alike.append([finding])
    merged = [group for alike in groups.values() for group in alike]
    merged.sort(key=_first_place)
    records = [_merged(group) for group in merged]
    unverified = sum(
        each["match"] == MatchKind.NONE for record in records for each in record["fields"].values()
    )
    return {"records": records, "total": len(records), "unverified": unverified}


def _name(record: Record, key: Sequence[str]) -> str:
    told = {name: record.get(name) for name in key} if key else record
    return to_canonical_form(told, Equality.CASE)


def _meet(one: Span | None, other: Span | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.start < other.end and other.start < one.end


def _first_place(group: Sequence[Finding]) -> int:
    return min(each.start if each.place is None else each.place.start for each in group)


def _merged(group: Sequence[Finding]) -> dict[str, Any]:
    first = group[0].found
    record = dict(first.claim.record)
    fields = dict(first.fields)
    for other in group[1:]:
        claim = other.found.claim
        for name, value in claim.record.items():
            if _lacks(record, name) and value not in _NOTHING:
                record[name] = value
                fields |= {
                    path: evidence
                    for path, evidence in other.found.fields.items()
                    if path == name or path.startswith(f"{name}/")
                }
    places = sorted({each.place for each in group if each.place is not None})
    return {
        "record": record,
        "source": _shown(first.quote),
        "fields": {path: _shown(evidence) for path, evidence in fields.items()},
        "places": [list(place) for place in places],
        "passes": len({each.reading for each in group}),
    }


_NOTHING: tuple[object, ...] = (None, "", [], {})


def _lacks(record: Mapping[str, Any], name: str) -> bool:
    return name not in record or record[name] in _NOTHING


def _shown(evidence: Evidence) -> dict[str, Any]:
    shown: dict[str, Any] = {"match": evidence.match.value}
    if evidence.span is not None:
        shown |= {"start": evidence.span.start, "end": evidence.span.end}
    return shown
