"""Merge the records of several passes into one list: equal records become one, gaps are filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from octavo.text.equality import Equality, to_canonical_form
from octavo.text.grounding.verify import Evidence, MatchKind, VerifiedClaim
from octavo.text.note import Record
from octavo.text.span import Span

__all__ = ["RecordFinding", "merge_records"]


_EMPTY_VALUES: tuple[object, ...] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class RecordFinding:
    """A verified record, the number of the pass that gave it, and where its part begins."""

    verified_record: VerifiedClaim
    pass_number: int
    part_start: int

    @property
    def quote_span(self) -> Span | None:
        """Where the record's quote stands."""
        return self.verified_record.quote.span


def merge_records(
    findings: Sequence[RecordFinding], *, key: Sequence[str], everywhere: bool
) -> Record:
    """Return the `records` in document order, with the number of unverified fields.

    Records are equal when the fields of `key` are, or all of them without it, without regard to
    case and white space; and, unless `everywhere`, when their quotes overlap or have no place. Of
    equal ones the first counts, and takes what it lacks from the others.
    """
    groups: dict[str, list[list[RecordFinding]]] = {}
    for finding in findings:
        alike = groups.setdefault(_build_merge_key(finding.verified_record.claim.record, key), [])
        for group in alike:
            if everywhere or any(
                _is_same_place(finding.quote_span, other.quote_span) for other in group
            ):
                group.append(finding)
                break
        else:
            alike.append([finding])
    merged = [group for alike in groups.values() for group in alike]
    merged.sort(key=_find_first_start)
    records = [_merge_group(group) for group in merged]
    unverified = sum(
        each["match"] == MatchKind.NONE for record in records for each in record["fields"].values()
    )
    return {"records": records, "total": len(records), "unverified": unverified}


def _build_merge_key(record: Record, key: Sequence[str]) -> str:
    compared = {name: record.get(name) for name in key} if key else record
    return to_canonical_form(compared, Equality.CASE)


def _is_same_place(one: Span | None, other: Span | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.start < other.end and other.start < one.end


def _find_first_start(group: Sequence[RecordFinding]) -> int:
    return min(
        each.part_start if each.quote_span is None else each.quote_span.start for each in group
    )


def _merge_group(group: Sequence[RecordFinding]) -> dict[str, Any]:
    first = group[0].verified_record
    record = dict(first.claim.record)
    fields = dict(first.fields)
    for other in group[1:]:
        claim = other.verified_record.claim
        for name, value in claim.record.items():
            if _is_missing(record, name) and value not in _EMPTY_VALUES:
                record[name] = value
                fields |= {
                    path: evidence
                    for path, evidence in other.verified_record.fields.items()
                    if path == name or path.startswith(f"{name}/")
                }
    places = sorted({each.quote_span for each in group if each.quote_span is not None})
    return {
        "record": record,
        "source": _describe_evidence(first.quote),
        "fields": {path: _describe_evidence(evidence) for path, evidence in fields.items()},
        "places": [list(place) for place in places],
        "passes": len({each.pass_number for each in group}),
    }


def _is_missing(record: Mapping[str, Any], name: str) -> bool:
    return name not in record or record[name] in _EMPTY_VALUES


def _describe_evidence(evidence: Evidence) -> dict[str, Any]:
    shown: dict[str, Any] = {"match": evidence.match.value}
    if evidence.span is not None:
        shown |= {"start": evidence.span.start, "end": evidence.span.end}
    return shown
