"""Count the votes for one question, and compute how many votes a reliability takes.

Votes are counted in sample order until one answer leads by enough. The formulas, of how many votes
a wanted reliability takes and what reliability a number of votes gives, are those of MAKER
(Meyerson et al. 2025, arXiv 2511.09030), for votes that are decided when one answer leads all
others by k. They hold for votes that err independently, and `accuracy` is that of one vote against
the commonest wrong answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

__all__ = ["Ballot", "compute_reliability", "compute_required_lead", "estimate_votes"]


_ROUNDING_TOLERANCE = 1e-9
"""How far above a whole number a lead may be computed and still be that number."""


@dataclass
class Ballot:
    """First to lead by `required_lead` votes, among at most `max_samples` samples.

    A sample gives a vote or is flagged and gives none. What is known after the samples so far
    depends on them alone, so it does not matter in which order replies arrive.
    """

    required_lead: int
    max_samples: int
    flags: int = 0
    _votes: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def sample_count(self) -> int:
        """How many samples were counted, flagged ones included."""
        return sum(self._votes.values()) + self.flags

    @property
    def standings(self) -> tuple[tuple[str, int], ...]:
        """The answers with their votes, most votes first, then by the answer."""
        return tuple(sorted(self._votes.items(), key=lambda each: (-each[1], each[0])))

    @property
    def winner(self) -> str | None:
        """The answer that leads by enough, if there is one."""
        return None if self._count_missing_votes() else self.standings[0][0]

    @property
    def required_samples(self) -> int:
        """How many samples there must be: no decision can come with fewer.

        None beyond those counted when it is decided, or when those left could not decide it.
        """
        wanted = self.sample_count + self._count_missing_votes()
        return wanted if wanted <= self.max_samples else self.sample_count

    def add_vote(self, answer: str) -> None:
        """Count the next sample for an answer."""
        self._votes[answer] = self._votes.get(answer, 0) + 1

    def add_flagged(self) -> None:
        """Count the next sample as invalid."""
        self.flags += 1

    def _count_missing_votes(self) -> int:
        votes = [*sorted(self._votes.values(), reverse=True), 0, 0]
        return max(0, self.required_lead - (votes[0] - votes[1]))


def compute_reliability(lead: int, accuracy: float, items: int = 1) -> float:
    """Return the probability that all of `items` are right: (1 + ((1-p)/p)^k)^-items."""
    return math.exp(-items * math.log1p(((1 - accuracy) / accuracy) ** lead))


def compute_required_lead(reliability: float, accuracy: float, items: int = 1) -> int:
    """Return the least lead for which all of `items` are right with that probability.

    `reliability` lies between 0 and 1, `accuracy` above 0.5 and below 1: below, voting makes it
    worse.
    """
    if items < 1:
        return 1
    wrong = math.expm1(-math.log(reliability) / items)
    odds = math.log((1 - accuracy) / accuracy)
    return max(1, math.ceil(math.log(wrong) / odds - _ROUNDING_TOLERANCE))


def estimate_votes(lead: int, accuracy: float) -> float:
    """Return about how many valid votes are counted: k / (2p - 1)."""
    return lead / (2 * accuracy - 1)
